"""Every environment of samconfig.toml is complete: SAM lets none inherit from another."""

import itertools
import tomllib
from typing import Any

import pytest

from tests.template.stack import REQUIRED, ROOT, Stack, source
from tests.template.test_names import names

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


def test_there_is_a_default_and_each_stage_has_more_than_one_region() -> None:
    assert "default" in ENVIRONMENTS
    stacks = [stack_of(e) for e in ENVIRONMENTS if e != "default"]
    for stage in ("staging", "production"):
        assert len({s.region for s in stacks if s.parameters["Stage"] == stage}) > 1


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_is_complete(environment: str) -> None:
    build = settings(environment, "build")
    assert build["cached"] is True
    assert build["parallel"] is True
    assert settings(environment, "validate")["lint"] is True
    deploy = settings(environment, "deploy")
    assert deploy["resolve_s3"] is True
    assert deploy["confirm_changeset"] is True
    # The second is for the loop over the agents, which CloudFormation, too, writes out.
    assert deploy["capabilities"].split() == ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    assert deploy["s3_prefix"] == deploy["stack_name"]
    assert build["language_extensions"] is deploy["language_extensions"] is True


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


def test_stacks_of_one_region_keep_their_names_and_their_metrics_apart() -> None:
    for first, second in itertools.combinations(map(stack_of, ENVIRONMENTS), 2):
        if first.region == second.region:
            assert not set(names(first)) & set(names(second))
            services = {s.parameters["PowertoolsServiceName"] for s in (first, second)}
            assert len(services) == 2


def test_several_agents_find_room_for_as_many_runs_at_once() -> None:
    for stack in map(stack_of, ENVIRONMENTS):
        agents = len(stack.of_type("AWS::Scheduler::Schedule"))
        reserved = stack.properties("TerminationFunction").get("ReservedConcurrentExecutions")
        assert reserved is None or int(reserved) >= agents
    assert len(stack_of("eu-west-1").of_type("AWS::Scheduler::Schedule")) > 1


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_rule_of_the_template_holds(environment: str) -> None:
    for rule in source()["Rules"]:
        assert stack_of(environment).rule_holds(rule)


def test_a_deployment_without_a_chosen_environment_terminates_nothing() -> None:
    assert stack_of("default").environment()["DRY_RUN"] == "true"
