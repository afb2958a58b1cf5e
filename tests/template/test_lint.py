"""The template passes AWS's own checks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.template.stack import ROOT, transformed

# Lint does not run SAM's transform, and the transform does not lint.
CHECKS = [
    ["sam", "validate", "--lint"],
    ["cfn-lint", "--non-zero-exit-code", "informational", "template.yaml", "monitoring.yaml"],
]


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


def test_sam_can_transform_the_template() -> None:
    kinds = {resource["Type"] for resource in transformed()["Resources"].values()}
    assert not [kind for kind in kinds if kind.startswith("AWS::Serverless::")]
