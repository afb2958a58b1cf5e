"""Two stacks live side by side in one region, and one stack in several."""

import json
import re
from typing import Any

import pytest

from tests.template.stack import MONITORING, Stack, transformed

# The properties by which a resource's name is chosen; without one CloudFormation makes it up.
NAMES = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::CompositeAlarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Lambda::LayerVersion": "LayerName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::Logs::MetricFilter": "FilterName",
    "AWS::Logs::QueryDefinition": "Name",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::Scheduler::Schedule": "Name",
    "AWS::Scheduler::ScheduleGroup": "Name",
}
# The most characters that a chosen name may have, where it is made of the stack's (AWS's API references).
LONGEST = {
    "AWS::CloudWatch::Alarm": 255,
    "AWS::CloudWatch::CompositeAlarm": 255,
    "AWS::CloudWatch::Dashboard": 255,
    "AWS::Lambda::LayerVersion": 140,
    "AWS::Logs::QueryDefinition": 255,
    "AWS::Scheduler::Schedule": 64,
}
LONGEST_STACK_NAME = 128
NAMELESS = {
    "AWS::CloudFormation::Stack",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}
# A schedule takes no tags, its group does. Nor do layers, dashboards, queries and filters.
UNTAGGED = {
    "AWS::CloudWatch::Dashboard",
    "AWS::Lambda::LayerVersion",
    "AWS::Logs::MetricFilter",
    "AWS::Logs::QueryDefinition",
    "AWS::Scheduler::Schedule",
} | NAMELESS - {"AWS::CloudFormation::Stack"}


FULL = {
    "AgentId": "agent-1,agent-2=web",
    "HousekeepingEnabled": "true",
    "AlarmEmail": "ops@example.com",
}
"""The parameters with which every resource is there."""


def names(stack: Stack) -> list[tuple[str, str]]:
    """What would collide: kind and name; a schedule's is its group's, a metric its namespace's."""
    found = [
        (r["Type"], f"{r['Properties'].get('GroupName', '')}/{r['Properties'][NAMES[r['Type']]]}")
        for r in stack.resources.values()
        if r["Type"] in NAMES and NAMES[r["Type"]] in r["Properties"]
    ]
    filters = stack.of_type("AWS::Logs::MetricFilter").values()
    sent = [metric for one in filters for metric in one["MetricTransformations"]]
    return found + [("metric", f"{m['MetricNamespace']}/{m['MetricName']}") for m in sent]


def test_every_kind_of_resource_is_looked_at() -> None:
    kinds = {resource["Type"] for resource in Stack.of(**FULL).resources.values()}
    assert kinds == NAMES.keys() | NAMELESS
    templates = {**transformed()["Resources"], **transformed(MONITORING)["Resources"]}
    assert set(Stack.of(**FULL).resources) == set(templates)


def test_two_stacks_of_the_same_agents_share_no_name() -> None:
    first, second = names(Stack.of("first", **FULL)), names(Stack.of("second", **FULL))
    assert len(first) > 20
    assert not set(first) & set(second)


@pytest.mark.parametrize("parameters", [{}, FULL], ids=["one agent", "everything"])
def test_no_name_is_given_twice_in_a_stack(parameters: dict[str, str]) -> None:
    given = names(Stack.of(**parameters))
    assert len(set(given)) == len(given)


def test_roles_have_no_chosen_name() -> None:
    """IAM is global: a chosen name would collide between regions, and need CAPABILITY_NAMED_IAM."""
    roles = Stack.of().of_type("AWS::IAM::Role")
    assert not [role for role in roles.values() if "RoleName" in role]


def test_a_schedule_has_its_name_in_the_stack_s_own_group_which_cloudformation_names() -> None:
    for stack in ("mine", "m" * LONGEST_STACK_NAME):
        one = Stack.of(stack, **FULL)
        schedules = one.of_type("AWS::Scheduler::Schedule").values()
        assert sorted(s["Name"] for s in schedules) == ["housekeeping", "termination"]
        assert {s["GroupName"] for s in schedules} == {f"{stack}-ScheduleGroup"}
        assert "Name" not in one.one("AWS::Scheduler::ScheduleGroup")


def test_no_name_is_too_long_for_the_longest_stack_s_in_the_longest_region() -> None:
    """128 characters (CloudFormation, CreateStack); StackSets make names of 58 and more."""
    stack = Stack.of("s" * LONGEST_STACK_NAME, "ap-southeast-1", **FULL)
    chosen = [
        (r["Type"], r["Properties"][NAMES[r["Type"]]])
        for r in stack.resources.values()
        if r["Type"] in NAMES and NAMES[r["Type"]] in r["Properties"]
    ]
    assert {kind for kind, _ in chosen} == LONGEST.keys()
    for kind, name in chosen:
        assert len(name) <= LONGEST[kind]
    longest = "n" * 126
    space = Stack.of("s" * LONGEST_STACK_NAME, PowertoolsMetricsNamespace=longest)
    for one in space.of_type("AWS::Logs::MetricFilter").values():
        assert len(one["MetricTransformations"][0]["MetricNamespace"]) <= 255


def tags(properties: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}


@pytest.mark.parametrize("logical_id", sorted(Stack.of(**FULL).resources))
def test_whatever_can_be_tagged_tells_whose_it_is(logical_id: str) -> None:
    several = Stack.of(Stage="staging", **FULL)
    if several.resources[logical_id]["Type"] in UNTAGGED:
        assert not tags(several.properties(logical_id))
        return
    wanted = {"Application": "spot-cleanup", "Stage": "staging", "Agent": "several"}
    assert tags(several.properties(logical_id)).items() >= wanted.items()
    one = Stack.of(**{**FULL, "AgentId": "agent-9"})
    wanted = {"Application": "spot-cleanup", "Stage": "production", "Agent": "agent-9"}
    assert tags(one.properties(logical_id)).items() >= wanted.items()


def test_nothing_is_bound_to_one_region_account_or_partition() -> None:
    text = json.dumps(Stack.of(region="ap-south-1", **FULL).resources)
    assert "ap-south-1" in text
    for other in ("us-east-1", "eu-west-1"):
        assert other not in text


@pytest.mark.parametrize(
    ("partition", "region", "console"),
    [
        ("aws", "eu-west-1", "https://eu-west-1.console.aws.amazon.com/"),
        ("aws-cn", "cn-north-1", "https://cn-north-1.console.amazonaws.cn/"),
        ("aws-us-gov", "us-gov-west-1", "https://us-gov-west-1.console.amazonaws-us-gov.com/"),
    ],
)
def test_links_and_arns_are_those_of_the_partition(
    partition: str, region: str, console: str
) -> None:
    stack = Stack.of("mine", region, partition, **FULL)
    urls = [o["Value"] for o in stack.outputs.values() if o["Value"].startswith("https://")]
    assert len(urls) == 3
    assert all(url.startswith(console) for url in urls)
    arns = set(re.findall(r"\barn:([a-z-]+):", json.dumps(stack.own)))
    assert arns == {partition}


def test_every_output_says_what_it_is_for() -> None:
    for output in Stack.of().outputs.values():
        assert output["Description"].endswith(".")
        assert output["Value"]
