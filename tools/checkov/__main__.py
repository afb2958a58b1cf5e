"""Transform the templates, have checkov judge them, and tell what nobody has explained.

It reads conditions by the parameters' defaults, so it gets the template twice: as it is, and with everything switched on.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from tools.stack_set import ROOT, transform

Json = Any
CHECKOV = ROOT / ".cache" / "checkov" / "bin" / "checkov"
EVERYTHING = {
    "HousekeepingEnabled": "true",
    "AsgMembers": "terminate_and_shrink",
    "MissingInstancePolicy": "verify",
    "UntaggedReplicas": "terminate",
    "EventBusName": "spot",
    "BackendCaParameter": "ca",
}
AT_REST = "holds ids, reasons and states, no secret; AWS's own encryption at rest is on"
EXCEPTIONS = {
    ("CKV_AWS_26", "AlarmTopic"): (
        "CloudWatch may not use AWS's key for SNS, and a message holds an alarm's name and state"
    ),
    (
        "CKV_AWS_27",
        "FailedRunsQueue",
    ): "SqsManagedSseEnabled encrypts it; this check knows keys only",
    ("CKV_AWS_27", "UndeliveredQueue"): "SqsManagedSseEnabled encrypts it, too",
    (
        "CKV_AWS_116",
        "TerminationFunction",
    ): "its dead letters go by EventInvokeConfig, unknown here",
    ("CKV_AWS_116", "HousekeepingFunction"): "its dead letters go by EventInvokeConfig as well",
    ("CKV_AWS_119", "IdempotencyTable"): AT_REST,
    ("CKV_AWS_158", "TerminationLogGroup"): AT_REST,
    ("CKV_AWS_158", "HousekeepingLogGroup"): AT_REST,
    ("CKV_AWS_173", "TerminationFunction"): AT_REST,
    ("CKV_AWS_173", "HousekeepingFunction"): AT_REST,
}
"""Check and logical id, and why it is so all the same; tests/template/test_security_rules.py has the same rules."""


def templates() -> dict[str, Json]:
    """What CloudFormation would see, by a file's name."""
    packaged = yaml_parse((ROOT / "template.yaml").read_text())
    # Where `sam package` would have put them: the transform takes only that.
    packaged["Resources"]["DependenciesLayer"]["Properties"]["ContentUri"] = "s3://bucket/layer"
    packaged["Globals"]["Function"]["CodeUri"] = "s3://bucket/function"
    packaged["Resources"]["Monitoring"]["Properties"]["Location"] = "https://s3.amazonaws.com/b/m"
    plain = transform(packaged, "us-east-1")
    for name, value in EVERYTHING.items():
        packaged["Parameters"][name]["Default"] = value
    full = transform(packaged, "us-east-1")
    monitoring = yaml_parse((ROOT / "monitoring.yaml").read_text())
    return {"defaults.json": plain, "everything.json": full, "monitoring.json": monitoring}


def findings() -> set[tuple[str, str]]:
    """Check and logical id of whatever failed.

    Raises:
        RuntimeError: it could not read a template, or judged next to nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, template in templates().items():
            Path(folder, name).write_text(json.dumps(template))
        command = [str(CHECKOV), "--directory", folder, "--framework", "cloudformation"]
        command += ["--skip-download", "--quiet", "--compact", "--output", "json"]
        told = subprocess.run(command, check=False, capture_output=True, text=True)
    try:
        report = json.loads(told.stdout)
    except ValueError:
        raise RuntimeError(told.stdout + told.stderr) from None
    if report["summary"]["parsing_errors"] or report["summary"]["passed"] < 20:
        raise RuntimeError(f"checkov could not judge: {report['summary']}")
    failed = report["results"]["failed_checks"]
    return {(one["check_id"], one["resource"].rpartition(".")[2]) for one in failed}


def verdict(found: Iterable[tuple[str, str]]) -> list[str]:
    """What is wrong: findings that nobody explained, and exceptions that are none any more."""
    seen = set(found)
    wrong = [
        f"{check} on {name}: not explained" for check, name in sorted(seen - EXCEPTIONS.keys())
    ]
    over = sorted(EXCEPTIONS.keys() - seen)
    return wrong + [f"{check} on {name}: is no exception any more" for check, name in over]


def main() -> int:
    """1 if there is something to mend."""
    wrong = verdict(findings())
    print("\n".join(wrong) or f"checkov: nothing but {len(EXCEPTIONS)} exceptions, each explained")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
