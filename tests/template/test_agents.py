"""One stack, one schedule, one run for all agents of AgentId."""

from __future__ import annotations

import pytest

from handler.settings import Settings
from tests.support.iam import Request, is_allowed
from tests.template.stack import ACCOUNT, BadParameterError, Stack
from tests.template.test_roles import HERE, REGION

UUID = "3f0c2b9e-8c1d-4a57-9f43-0d6f6a7f1c11"
SEVERAL = "agent-1=web-1,agent-2=web 2/blue,agent_3," + UUID
LAMBDA_ENVIRONMENT = 4096
"""Bytes of names and values together (Lambda, "Environment variables")."""


def stack(agents: str, **parameters: str) -> Stack:
    return Stack.of("mine", REGION, AgentId=agents, **parameters)


@pytest.mark.parametrize("agents", ["agent-1", SEVERAL])
def test_one_schedule_sends_nothing_for_it_is_for_all_agents(agents: str) -> None:
    schedules = stack(agents, HousekeepingEnabled="true").of_type("AWS::Scheduler::Schedule")
    assert [s["Target"]["Input"] for s in schedules.values()] == ["{}", "{}"]


@pytest.mark.parametrize("function", ["TerminationFunction", "HousekeepingFunction"])
def test_each_function_knows_the_whole_list(function: str) -> None:
    environment = stack(SEVERAL, HousekeepingEnabled="true").environment(function)
    assert environment["AGENT_ID"] == SEVERAL


def test_the_function_knows_its_schedule_and_may_look_at_it() -> None:
    """It cannot be a reference: the schedule refers to the function."""
    one = stack("agent-1")
    settings = Settings.read({**one.environment(), "AWS_REGION": REGION}, {})
    (schedule,) = one.of_type("AWS::Scheduler::Schedule").values()
    named = f"{schedule['GroupName']}/{schedule['Name']}"
    assert settings.schedule_name == named == one.outputs["Schedule"]["Value"]
    arn = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/{named}"
    assert is_allowed(one.policies("TerminationRole"), Request("scheduler:GetSchedule", arn, HERE))


@pytest.mark.parametrize(
    ("agents", "tag"),
    [("agent-1", "agent-1"), ("agent-1=web*1", "agent-1"), (SEVERAL, "several")],
)
def test_the_tag_names_the_agent_where_there_is_one(agents: str, tag: str) -> None:
    """Not its logical id: a tag of a queue or function holds less than one of an instance."""
    tags = stack(agents).properties("TerminationFunction")["Tags"]
    assert {"Key": "Agent", "Value": tag} in tags


@pytest.mark.parametrize(
    "agents",
    [
        "a",
        "a" * 64,
        "agent.1_b-C",
        "a,b,c",
        "a=b",
        "a=b=c",  # the first = divides
        "a=web server +-=._:/@",
        "a=größe",
        "a=" + "x" * 255,
    ],
)
def test_ids_and_logical_ids_of_the_contract_are_taken(agents: str) -> None:
    """By the template, and by the function."""
    environment = {**stack(agents).environment(), "AWS_REGION": REGION}
    read = Settings.read(environment, {}).agents
    assert len(read) == agents.count(",") + 1


@pytest.mark.parametrize(
    "agents",
    [
        "",
        ",",
        "a,",
        ",a",
        "a,,b",
        "a, b",
        "a b",
        "a=",
        "=b",
        "a" * 65,
        "a=" + "x" * 256,
        "team:1",
        "a@b",
        "<agent id>",
        "a=x\ny",
        "a," * 2000 + "a",
    ],
)
def test_others_are_refused(agents: str) -> None:
    with pytest.raises(BadParameterError):
        stack(agents)


def test_sixty_agents_find_room_in_the_function_s_environment() -> None:
    """UUIDs with logical ids of 12 characters, and the longest that the parameter takes."""
    sixty = ",".join(f"{UUID[:-2]}{n:02}=logical-id{n:02}" for n in range(57))
    assert stack(sixty).resources
    longest = {
        "AgentId": ",".join(["a" * 57] * 50),
        "ServerUrl": "https://" + ".".join(["backend"] * 8) + "/optimizer",
        "ClientTokenParameter": "/spot-cleanup/production/{agent_id}/token",
        "BackendCaParameter": "/spot-cleanup/production/ca",
    }
    environment = Stack.of("s" * 64, **longest).environment()
    # What CloudFormation makes up: name, logical id, and twelve letters or more.
    environment["IDEMPOTENCY_TABLE"] = "s" * 40 + "-IdempotencyTable-1ABCDEFGHIJKL"
    environment["SCHEDULE_NAME"] = "g" * 64 + "/termination"
    size = sum(len(name) + len(value) for name, value in environment.items())
    assert len(longest["AgentId"]) == 2899
    assert size <= LAMBDA_ENVIRONMENT


def test_agents_of_several_clients_have_a_token_each() -> None:
    given = stack(SEVERAL, ClientTokenParameter="/spot/{agent_id}/token")
    for agent in ("agent-1", UUID):
        arn = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/spot/{agent}/token"
        request = Request("ssm:GetParameter", arn, HERE)
        assert is_allowed(given.policies("TerminationRole"), request)
    other = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/other/agent-1/token"
    assert not is_allowed(
        given.policies("TerminationRole"), Request("ssm:GetParameter", other, HERE)
    )
