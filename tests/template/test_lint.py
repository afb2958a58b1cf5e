"""The template passes AWS's own checks."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.template.stack import NESTED, ROOT, Stack, transformed

# Lint does not run SAM's transform, and the transform does not lint.
CHECKS = [
    ["sam", "validate", "--lint"],
    ["cfn-lint", "--non-zero-exit-code", "informational", "template.yaml", "monitoring.yaml"],
]


NOT_HERE = ("E3012",)
"""A number as a text: CloudFormation makes a number of it where one belongs."""
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
SETS: dict[str, dict[str, str]] = {
    "the defaults": {},
    "sixty agents": {"AgentId": ",".join(f"agent-{n}=web-{n}" for n in range(60))},
    "housekeeping": {"HousekeepingEnabled": "true"},
    "housekeeping, dry": {"HousekeepingEnabled": "dry-run", "DryRun": "true"},
    "every switch": {
        "AsgMembers": "terminate_and_shrink",
        "MissingInstancePolicy": "verify",
        "UntaggedReplicas": "terminate",
        "RequireRunningPeer": "true",
        "ConfirmTermination": "true",
    },
    "a customer's key and CA": {"TokenKmsKeyArn": KEY, "BackendCaParameter": "/spot/ca"},
    "in a VPC": {
        "VpcSubnetIds": "subnet-0a1b2c3d,subnet-0a1b2c3e",
        "VpcSecurityGroupIds": "sg-0a1b2c3d",
        "HousekeepingEnabled": "true",
    },
    "events": {"EventBusName": "spot"},
    "told by mail": {"AlarmEmail": "ops@example.com"},
    "a topic of their own": {"AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:ops"},
    "every quarter of an hour": {"TerminationCheckInterval": "900"},
    "x86, reserved": {"Architecture": "x86_64", "ReservedConcurrency": "1", "MemorySize": "512"},
    "other names": {
        "PowertoolsServiceName": "svc",
        "PowertoolsMetricsNamespace": "My space",
        "RequiredTags": "ManagedBy=Spot Optimizer,Env=a=b",
        "ProtectTag": "Keep me",
    },
    "no monitoring": {"MonitoringEnabled": "false"},
}


@pytest.mark.parametrize("command", CHECKS, ids=" ".join)
def test_the_template_is_clean(command: list[str]) -> None:
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run(
        [str(program), *command[1:]],
        cwd=ROOT,
        env=os.environ | {"SAM_CLI_TELEMETRY": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_transformed_templates_are_clean_with_each_set_of_parameters(tmp_path: Path) -> None:
    """What CloudFormation creates: conditions chosen, references written out, both stacks.

    In one call: most of its time is the program's start.
    """
    files = []
    for named, parameters in SETS.items():
        stack = Stack.of(**parameters)
        for one in filter(None, (stack, stack.nested)):
            resources = {name: created(r) for name, r in one.own.items() if name != NESTED}
            file = tmp_path / f"{named}, {one.file}.json"
            file.write_text(json.dumps({"Resources": resources}))
            files.append(str(file))
    assert len(files) == 2 * len(SETS) - 1
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("cfn-lint")),
            "--ignore-checks",
            *NOT_HERE,
            "--",
            *files,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def created(resource: dict[str, Any]) -> dict[str, Any]:
    """A resource whose condition holds."""
    return {key: value for key, value in resource.items() if key != "Condition"}


def test_sam_can_transform_the_template() -> None:
    kinds = {resource["Type"] for resource in transformed()["Resources"].values()}
    assert not [kind for kind in kinds if kind.startswith("AWS::Serverless::")]
