"""The template passes AWS's own checks."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint_file
from cfnlint.config import ManualArgs

from tests.template.stack import MAIN, MONITORING, NESTED, ROOT, Stack, transformed
from tools.stack_set import without_nested_stacks

NOT_HERE = ("E3012",)
"""A number as a text: CloudFormation makes a number of it where one belongs."""
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
SETS: dict[str, dict[str, str]] = {
    "the defaults": {},
    "every switch": {
        "AsgMembers": "terminate_and_shrink",
        "MissingInstancePolicy": "verify",
        "UntaggedReplicas": "terminate",
        "RequireRunningPeer": "true",
        "ConfirmTermination": "true",
        "TokenKmsKeyArn": KEY,
        "BackendCaParameter": "/spot/ca",
        "VpcSubnetIds": "subnet-0a1b2c3d,subnet-0a1b2c3e",
        "VpcSecurityGroupIds": "sg-0a1b2c3d",
        "HousekeepingEnabled": "true",
        "EventBusName": "spot",
        "AlarmEmail": "ops@example.com",
    },
    "sixty agents, dry, every quarter of an hour": {
        "AgentId": ",".join(f"agent-{n}=web-{n}" for n in range(60)),
        "HousekeepingEnabled": "dry-run",
        "DryRun": "true",
        "TerminationCheckInterval": "900",
    },
    "x86, reserved, other names, a topic of their own": {
        "Architecture": "x86_64",
        "ReservedConcurrency": "1",
        "MemorySize": "512",
        "AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:ops",
        "PowertoolsServiceName": "svc",
        "PowertoolsMetricsNamespace": "My space",
        "RequiredTags": "ManagedBy=Spot Optimizer,Env=a=b",
        "ProtectTag": "Keep me",
    },
    "no monitoring": {"MonitoringEnabled": "false"},
}


def faults(file: Path, *ignored: str) -> list[str]:
    """What cfn-lint says of it: once it is loaded, a file costs little."""
    return [str(one) for one in lint_file(file, ManualArgs(ignore_checks=list(ignored)))]


def test_sam_finds_the_template_clean() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("sam")), "validate", "--lint"],
        cwd=ROOT,
        env=os.environ | {"SAM_CLI_TELEMETRY": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", [MAIN, MONITORING])
def test_a_template_is_clean(name: str) -> None:
    assert faults(ROOT / name) == []


def test_a_fault_is_found(tmp_path: Path) -> None:
    file = tmp_path / "template.json"
    file.write_text('{"Resources": {"Topic": {"Type": "AWS::SNS::Topics"}}}')
    assert faults(file)


@pytest.mark.parametrize("named", SETS)
def test_the_transformed_templates_are_clean(named: str, tmp_path: Path) -> None:
    """What CloudFormation creates: conditions chosen, references written out, both stacks."""
    stack = Stack.of(**SETS[named])
    for one in filter(None, (stack, stack.nested)):
        resources = {name: created(r) for name, r in one.own.items() if name != NESTED}
        file = tmp_path / f"{one.file}.json"
        file.write_text(json.dumps({"Resources": resources}))
        assert faults(file, *NOT_HERE) == []


def test_the_template_for_stack_sets_is_clean(tmp_path: Path) -> None:
    file = tmp_path / "stack-set.json"
    file.write_text(json.dumps(without_nested_stacks(transformed())))
    # W1033: see template.yaml. The others: what only monitoring used is left for the file's sake.
    assert faults(file, "W1033", "W2001", "W8001") == []


def created(resource: dict[str, Any]) -> dict[str, Any]:
    """A resource whose condition holds."""
    return {key: value for key, value in resource.items() if key != "Condition"}
