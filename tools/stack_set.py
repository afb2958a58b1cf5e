"""`make stack-set-template`: a template for stack sets that can have neither transforms nor nested stacks.

Those with service-managed permissions, unless they are given an execution role of their own (AWS,
"StackSets concepts" and "Prepare to use StackSets": the default role provisions neither).
"""

from __future__ import annotations

import argparse
import json
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

Json = Any
ROOT = Path(__file__).resolve().parents[1]
WRITTEN = ROOT / "build" / "stack-set.yaml"
NESTED_STACK = "AWS::CloudFormation::Stack"


def transform(packaged: dict[str, Json], region: str) -> dict[str, Json]:
    """What SAM's transform makes of a template whose code is in S3 already."""
    translator = Translator({}, Parser(), None, boto3.session.Session(region_name=region))
    return cast("dict[str, Json]", translator.translate(deepcopy(packaged), parameter_values={}))


def without_nested_stacks(transformed: dict[str, Json]) -> dict[str, Json]:
    """The same without nested stacks and the outputs that read them; monitoring cannot be switched on."""
    template = deepcopy(transformed)
    resources, outputs = template["Resources"], template["Outputs"]
    nested = [name for name, one in resources.items() if one["Type"] == NESTED_STACK]
    conditions = {resources.pop(name).get("Condition") for name in nested}
    for name in [n for n, output in outputs.items() if _hangs_on(template, output, conditions)]:
        del outputs[name]
    template["Parameters"]["MonitoringEnabled"] |= {"Default": "false", "AllowedValues": ["false"]}
    return template


def _hangs_on(template: dict[str, Json], output: Json, conditions: set[str | None]) -> bool:
    """Whether an output is there only where one of these conditions holds."""
    named = output.get("Condition")
    if named is None:
        return False
    rule = json.dumps(template["Conditions"][named])
    return named in conditions or any(f'{{"Condition": "{one}"}}' in rule for one in conditions)


def main() -> int:
    """Package what `sam build` left, and write the template."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "bucket", help="in the region of the stacks, and readable by their accounts"
    )
    bucket = parser.parse_args().bucket
    WRITTEN.parent.mkdir(exist_ok=True)
    packaged = WRITTEN.with_name("packaged.yaml")
    package = ["sam", "package", "--s3-bucket", bucket, "--output-template-file", str(packaged)]
    if code := subprocess.run(["sam", "build"], cwd=ROOT, check=False).returncode:
        return code
    if code := subprocess.run(package, cwd=ROOT, check=False).returncode:
        return code
    template = without_nested_stacks(transform(yaml_parse(packaged.read_text()), "us-east-1"))
    WRITTEN.write_text(json.dumps(template, indent=1))  # JSON is YAML, too
    print(f"{WRITTEN.relative_to(ROOT)}: {len(template['Resources'])} resources")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
