"""Every block of samconfig.toml is complete: SAM lets none inherit from another."""

import itertools
import re
import tomllib
from typing import Any

import pytest

from tests.template.stack import REQUIRED, ROOT, BadParameterError, Stack, source
from tests.template.test_names import names
from tools.stack_config import PLACEHOLDER, StackConfig

FILLED_IN = {
    "<agent id>,<agent id>=": "agent-1,agent-2=",
    "<agent id>": "agent-1",
    "<logical id>": "web-2",
    "<https://your backend>": "https://backend.example.com",
}
CONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())
ENVIRONMENTS = sorted(CONFIG.keys() - {"version", "default"})


def filled_in(text: str) -> str:
    """As somebody would who deploys it."""
    for placeholder, value in FILLED_IN.items():
        text = text.replace(placeholder, value)
    return text


def settings(environment: str) -> dict[str, Any]:
    (commands,) = CONFIG[environment].values()
    given: dict[str, Any] = commands["parameters"]
    return given


def overrides(environment: str) -> dict[str, str]:
    pairs = [pair.split("=", 1) for pair in settings(environment)["parameter_overrides"]]
    return {name: filled_in(value) for name, value in pairs}


def stack_of(environment: str) -> Stack:
    given = settings(environment)
    return Stack.of(given["stack_name"], given["region"], **overrides(environment))


def test_production_has_more_than_one_region() -> None:
    stacks = map(stack_of, ENVIRONMENTS)
    assert len({s.region for s in stacks if s.parameters["Stage"] == "production"}) > 1


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_stack_is_one_block_and_complete(environment: str) -> None:
    """Else a layer for one architecture could be deployed to a function of the other."""
    assert CONFIG[environment].keys() == {"global"}
    given = settings(environment)
    assert given["s3_prefix"] == given["stack_name"]
    for flag in ("cached", "parallel", "lint", "resolve_s3", "confirm_changeset"):
        assert given[flag] is True
    # The second is for SAM's transform in a template with a nested stack.
    assert given["capabilities"].split() == ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_overrides_name_every_required_parameter_and_only_good_values(environment: str) -> None:
    stack = stack_of(environment)
    assert dict(stack.overrides).keys() >= REQUIRED.keys()
    assert stack.resources


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_agent_and_url_are_all_that_must_be_edited_and_the_template_refuses_it_unedited(
    environment: str,
) -> None:
    left = {
        name: value
        for name, value in StackConfig.read(environment).parameters.items()
        if PLACEHOLDER.search(value)
    }
    assert left.keys() == {"AgentId", "ServerUrl"}
    for name, value in left.items():
        # SAM ends a value at a blank.
        for given in (value, value.split(" ")[0]):
            with pytest.raises(BadParameterError):
                Stack.of(**{name: given})


def test_no_two_blocks_are_one_stack() -> None:
    stacks = [(stack_of(e).name, stack_of(e).region) for e in ENVIRONMENTS]
    assert len(set(stacks)) == len(stacks)


def test_stacks_of_one_region_keep_their_names_and_their_metrics_apart() -> None:
    compared = 0
    for first, second in itertools.combinations(map(stack_of, ENVIRONMENTS), 2):
        if first.region == second.region:
            assert not set(names(first)) & set(names(second))
            services = {s.environment()["POWERTOOLS_SERVICE_NAME"] for s in (first, second)}
            assert len(services) == 2
            compared += 1
    assert compared


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_rule_of_the_template_holds(environment: str) -> None:
    for rule in source()["Rules"]:
        assert stack_of(environment).rule_holds(rule)


def test_without_a_chosen_block_there_is_nothing_to_deploy_and_what_runs_is_dry() -> None:
    given = settings("default")
    assert "stack_name" not in given
    assert given["parameter_overrides"] == ["DryRun=true"]


def test_every_block_stands_under_its_headline() -> None:
    text = (ROOT / "samconfig.toml").read_text()
    headlines = re.findall(r"^\[([\w-]+)\.global\.parameters\]$", text, re.MULTILINE)
    assert sorted(headlines) == sorted([*ENVIRONMENTS, "default"])
