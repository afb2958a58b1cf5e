"""One stack for several agents: a schedule each, and nothing that one agent has to wait for."""

from __future__ import annotations

import json
import re

import pytest
from samcli.lib.cfn_language_extensions.exceptions import InvalidTemplateException

from handler.settings import Settings
from tests.support.iam import Request, is_allowed
from tests.template.stack import ACCOUNT, ROOT, Stack, source
from tests.template.test_roles import HERE, KEY, REGION, TABLE, VIA_SSM

AGENTS = ["agent-1", "agent-2", "3f0c2b9e-8c1d-4a57-9f43-0d6f6a7f1c11", "team:7@eu"]
PATTERN = {"ClientTokenParameter": "/spot/{agent_id}/token"}


def stack(*further: str, **parameters: str) -> Stack:
    return Stack.of("mine", REGION, FurtherAgentIds=",".join(further), **parameters)


SEVERAL = stack(*AGENTS[1:], **PATTERN)


def schedules(of: Stack) -> dict[str, dict[str, object]]:
    """By the agent that they run for."""
    found = of.of_type("AWS::Scheduler::Schedule").values()
    return {json.loads(one["Target"]["Input"])["agent_id"]: one for one in found}


def test_without_further_agents_there_is_one_schedule() -> None:
    assert list(schedules(stack())) == ["agent-1"]


def test_every_agent_has_one_and_they_differ_in_nothing_but_the_agent() -> None:
    assert sorted(schedules(SEVERAL)) == sorted(AGENTS)
    texts = set()
    for agent, schedule in schedules(SEVERAL).items():
        name = str(schedule["Name"])
        assert re.fullmatch(r"[0-9A-Za-z_.-]{1,64}", name)
        texts.add(json.dumps(schedule, sort_keys=True).replace(name, "N").replace(agent, "A"))
    assert len(texts) == 1


def test_the_longest_agent_id_makes_a_schedule_s_name_that_is_not_too_long() -> None:
    longest = "a" * 52
    (schedule,) = schedules(stack(AgentId=longest)).values()
    assert len(str(schedule["Name"])) == 64


@pytest.mark.parametrize("agent", AGENTS)
def test_the_function_knows_each_agent_s_schedule(agent: str) -> None:
    """It cannot be a reference: the schedules refer to the function."""
    environment = {**SEVERAL.environment(), "AWS_REGION": REGION}
    settings = Settings.read(environment, {"agent_id": agent})
    group = SEVERAL.one("AWS::Scheduler::ScheduleGroup")["Name"]
    assert settings.schedule_name == f"{group}/{schedules(SEVERAL)[agent]['Name']}"
    name = f"schedule/{settings.schedule_name}"
    look = Request("scheduler:GetSchedule", f"arn:aws:scheduler:{REGION}:{ACCOUNT}:{name}", HERE)
    assert is_allowed(SEVERAL.policies("TerminationRole"), look)


def test_the_output_names_the_first_agent_s_schedule() -> None:
    (schedule,) = schedules(stack(AgentId="team:7@eu")).values()
    output = stack(AgentId="team:7@eu").outputs["Schedule"]["Value"]
    assert output == f"mine/ScheduleGroup/{schedule['Name']}"


def test_the_samples_are_events_of_two_agents() -> None:
    for event, agent in (("schedule", "agent-1"), ("agent", "agent-2")):
        sent = json.loads((ROOT / "events" / f"{event}.json").read_text())
        assert sent == json.loads(schedules(SEVERAL)[agent]["Target"]["Input"])  # type: ignore[index] # JSON


# ---------------------------------------------------------------- ids that do not go together


@pytest.mark.parametrize("further", [("agent-2", "agent2"), ("agent-2", "agent-2"), ("a:b", "a-b")])
def test_two_ids_that_make_one_logical_id_are_refused_before_anything_is_built(
    further: tuple[str, str],
) -> None:
    with pytest.raises(InvalidTemplateException, match="conflict"):
        assert stack(*further).resources


@pytest.mark.parametrize("text", ["", "agent-2", "agent-2,agent-3", "a,b,c", "team:7@eu, agent-2"])
def test_the_pattern_holds_for_the_list_as_for_each_of_its_members(text: str) -> None:
    pattern = source()["Parameters"]["FurtherAgentIds"]["AllowedPattern"]
    assert re.fullmatch(pattern, text)
    assert all(re.fullmatch(pattern, member.strip()) for member in text.split(","))
    assert not re.fullmatch(pattern, f"{text},-")


# ---------------------------------------------------------------- the token of each


def may_read(parameter: str, of: Stack, role: str = "TerminationRole") -> bool:
    arn = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{parameter}"
    return is_allowed(of.policies(role), Request("ssm:GetParameter", arn, HERE))


def test_the_role_reads_every_agent_s_token_and_nothing_beside_the_pattern() -> None:
    environment = {**SEVERAL.environment(), "AWS_REGION": REGION}
    for agent in AGENTS:
        parameter = Settings.read(environment, {"agent_id": agent}).token_parameter
        assert parameter == f"/spot/{agent}/token"
        assert may_read(parameter, SEVERAL)
    for other in ("/spot/agent-1/key", "/spot/token", "/other/agent-1/token", "/spot/agent-1"):
        assert not may_read(other, SEVERAL)


def test_housekeeping_reads_them_by_the_same_pattern() -> None:
    of = stack("agent-2", HousekeepingEnabled="true", **PATTERN)
    assert may_read("/spot/agent-1/token", of, "HousekeepingRole")
    assert not may_read("/spot/agent-1/key", of, "HousekeepingRole")


@pytest.mark.parametrize("agent", ["agent-1", "agent-2"])
def test_a_customer_s_key_decrypts_each_token(agent: str) -> None:
    policies = stack("agent-2", TokenKmsKeyArn=KEY, **PATTERN).policies("TerminationRole")
    arn = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/spot/{agent}"
    asked = HERE | VIA_SSM
    for name, allowed in (("token", True), ("key", False)):
        context = asked | {"kms:EncryptionContext:PARAMETER_ARN": f"{arn}/{name}"}
        assert is_allowed(policies, Request("kms:Decrypt", KEY, context)) is allowed


def test_agents_share_all_else() -> None:
    one, several = stack().resources, SEVERAL.resources
    more = {k: v["Type"] for k, v in several.items() if k not in one}
    assert set(more.values()) == {"AWS::Scheduler::Schedule"}
    assert len(more) == len(AGENTS) - 1
    assert is_allowed(
        SEVERAL.policies("TerminationRole"),
        Request("dynamodb:PutItem", TABLE.replace("spot-cleanup", "mine"), HERE),
    )
