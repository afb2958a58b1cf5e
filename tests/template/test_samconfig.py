"""Every environment of samconfig.toml is complete: SAM lets none inherit from another."""

import tomllib
from typing import Any

import pytest

from tests.template.stack import REQUIRED, ROOT, Stack

CONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())
ENVIRONMENTS = sorted(CONFIG.keys() - {"version"})


def settings(environment: str, command: str) -> dict[str, Any]:
    tables = CONFIG[environment]
    merged: dict[str, Any] = tables["global"]["parameters"] | tables[command]["parameters"]
    return merged


def stack_of(environment: str) -> Stack:
    deploy = settings(environment, "deploy")
    overrides = dict(pair.split("=", 1) for pair in deploy["parameter_overrides"])
    return Stack.of(deploy["stack_name"], deploy["region"], **overrides)


def test_there_is_a_default_and_more_than_one_region() -> None:
    assert "default" in ENVIRONMENTS
    assert len({settings(e, "deploy")["region"] for e in ENVIRONMENTS}) > 1


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_is_complete(environment: str) -> None:
    build = settings(environment, "build")
    assert build["cached"] is True
    assert build["parallel"] is True
    assert settings(environment, "validate")["lint"] is True
    deploy = settings(environment, "deploy")
    assert deploy["resolve_s3"] is True
    assert deploy["confirm_changeset"] is True
    assert deploy["capabilities"] == "CAPABILITY_IAM"
    assert deploy["s3_prefix"] == deploy["stack_name"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_build_and_deploy_get_the_same_parameters(environment: str) -> None:
    """Else a layer for one architecture would be deployed to a function of the other."""
    build, deploy = settings(environment, "build"), settings(environment, "deploy")
    assert build["parameter_overrides"] == deploy["parameter_overrides"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_overrides_name_every_required_parameter_and_only_good_values(environment: str) -> None:
    stack = stack_of(environment)
    assert dict(stack.overrides).keys() >= REQUIRED.keys()
    assert stack.resources


def test_no_two_environments_are_one_stack() -> None:
    stacks = [(stack_of(e).name, stack_of(e).region) for e in ENVIRONMENTS]
    assert len(set(stacks)) == len(stacks)


def test_a_deployment_without_a_chosen_environment_terminates_nothing() -> None:
    assert stack_of("default").environment()["DRY_RUN"] == "true"
