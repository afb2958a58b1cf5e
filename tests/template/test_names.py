"""Two stacks live side by side in one region, and one stack in several."""

import json
from typing import Any

import pytest

from tests.template.stack import Stack

# The properties by which a resource's name is chosen; without one CloudFormation makes it up.
NAMES = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Lambda::LayerVersion": "LayerName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::Logs::QueryDefinition": "Name",
    "AWS::SQS::Queue": "QueueName",
    "AWS::Scheduler::Schedule": "Name",
    "AWS::Scheduler::ScheduleGroup": "Name",
}
NAMELESS = {"AWS::Lambda::EventInvokeConfig", "AWS::SQS::QueuePolicy"}
# SAM gives these no tags: a schedule takes none, its group does. Nor do dashboards and queries.
UNTAGGED = {
    "AWS::CloudWatch::Dashboard",
    "AWS::Lambda::LayerVersion",
    "AWS::Logs::QueryDefinition",
    "AWS::Scheduler::Schedule",
} | NAMELESS


def names(stack: Stack) -> set[tuple[str, str]]:
    return {
        (r["Type"], r["Properties"][NAMES[r["Type"]]])
        for r in stack.resources.values()
        if r["Type"] in NAMES and NAMES[r["Type"]] in r["Properties"]
    }


def test_every_kind_of_resource_is_looked_at() -> None:
    kinds = {resource["Type"] for resource in Stack.of().resources.values()}
    assert kinds == NAMES.keys() | NAMELESS


def test_two_stacks_of_one_agent_share_no_name() -> None:
    first, second = names(Stack.of("first")), names(Stack.of("second"))
    assert first
    assert first.isdisjoint(second)


def test_roles_have_no_chosen_name() -> None:
    """IAM is global: a chosen name would collide between regions, and need CAPABILITY_NAMED_IAM."""
    roles = Stack.of().of_type("AWS::IAM::Role")
    assert not [role for role in roles.values() if "RoleName" in role]


def test_the_schedule_is_named_after_the_stack_and_in_its_own_group() -> None:
    schedule = Stack.of("mine").one("AWS::Scheduler::Schedule")
    assert schedule["Name"] == "mine-termination"
    assert schedule["GroupName"] == "mine/ScheduleGroup"


def tags(properties: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}


@pytest.mark.parametrize("logical_id", sorted(Stack.of().resources))
def test_whatever_can_be_tagged_tells_whose_it_is(logical_id: str) -> None:
    resource = Stack.of(AgentId="agent-3").resources[logical_id]
    if resource["Type"] in UNTAGGED:
        assert not tags(resource["Properties"])
    else:
        found = tags(resource["Properties"])
        assert (found["Application"], found["Agent"]) == ("spot-cleanup", "agent-3")


def test_nothing_is_bound_to_one_region_account_or_partition() -> None:
    text = json.dumps(Stack.of(region="ap-south-1").resources)
    assert "ap-south-1" in text
    for other in ("us-east-1", "eu-west-1"):
        assert other not in text


def test_every_output_says_what_it_is_for() -> None:
    for output in Stack.of().outputs.values():
        assert output["Description"].endswith(".")
        assert output["Value"]
