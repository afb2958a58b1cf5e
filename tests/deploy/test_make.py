"""The make targets call SAM as they say: a program that only writes down its arguments stands in for it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.template.stack import ROOT, Stack
from tests.template.test_samconfig import ENVIRONMENTS, stack_of

SAM = """#!/bin/sh
python -c 'import json, os, sys; print(json.dumps([os.environ.get("SAM_CLI_ENABLE_LANGUAGE_EXTENSIONS"), *sys.argv[1:]]))' "$@"
"""


def make(tmp_path: Path, *arguments: str) -> list[list[str]]:
    """What `sam` was called with, after the variable that it needs."""
    sam = tmp_path / "sam"
    sam.write_text(SAM)
    sam.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        # The set-up is taken as done, however old it is.
        ["make", "-o", ".venv/.ready", "-o", "setup", f"PATH={path}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]


def option(call: list[str], name: str) -> str:
    return call[call.index(name) + 1]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_deploy_builds_and_deploys_an_environment(tmp_path: Path, environment: str) -> None:
    calls = make(tmp_path, "deploy", f"REGION={environment}")
    assert calls == [
        ["1", "build", "--config-env", environment],
        ["1", "deploy", "--config-env", environment],
    ]


def dry_run(tmp_path: Path, environment: str) -> Stack:
    """The stack that `make dry-run` deploys."""
    build, deploy = make(tmp_path, "dry-run", f"REGION={environment}")
    assert build == ["1", "build", "--config-env", environment]
    assert option(deploy, "--config-env") == environment
    name = option(deploy, "--stack-name")
    assert option(deploy, "--s3-prefix") == name
    overrides = deploy[deploy.index("--parameter-overrides") + 1 :]
    parameters = dict(pair.split("=", 1) for pair in overrides)
    assert len(parameters) == len(overrides)
    return Stack.of(name, stack_of(environment).region, **parameters)


@pytest.mark.parametrize("environment", [e for e in ENVIRONMENTS if e != "default"])
def test_a_dry_run_differs_in_nothing_but_what_keeps_it_apart(
    tmp_path: Path, environment: str
) -> None:
    real, dry = stack_of(environment), dry_run(tmp_path, environment)
    assert dry.name == f"{real.name}-dry-run"
    differ = {k for k, v in real.parameters.items() if dry.parameters[k] != v}
    assert differ - {"AlarmEmail"} == {"DryRun", "PowertoolsServiceName"}
    assert dry.environment()["DRY_RUN"] == "true"
    assert not dry.of_type("AWS::SNS::Subscription")


def test_the_default_environment_is_the_dry_run_of_production(tmp_path: Path) -> None:
    default = stack_of("default")
    for environment in ("us-east-1", "default"):
        dry = dry_run(tmp_path, environment)
        assert (dry.name, dry.region) == (default.name, default.region)
        assert dry.parameters == default.parameters


def test_destroy_deletes_the_environment_s_stack_and_lets_sam_ask(tmp_path: Path) -> None:
    (call,) = make(tmp_path, "destroy", "REGION=eu-west-1")
    assert call == ["1", "delete", "--config-env", "eu-west-1"]
    assert "--no-prompts" not in call
