"""Every call that the code makes is allowed under every set of parameters, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.iam.calls import HOUSEKEEPING, TERMINATION, calls, calls_of, operations
from tests.support.iam import Request, is_allowed, judge
from tests.template.stack import ACCOUNT, Stack
from tests.template.test_housekeeping import IMAGE, OTHER_PARAMETER, OUTBOX, SNAPSHOT
from tests.template.test_roles import (
    BUS,
    GROUP,
    HERE,
    INSTANCE,
    KEY,
    OURS,
    PARAMETER,
    REGION,
    REPORTED,
    SCHEDULE,
    SPOT_REQUEST,
    TABLE,
    item,
)

SETS: dict[str, dict[str, str]] = {
    "the defaults": {},
    "a dry run": {"DryRun": "true", "HousekeepingEnabled": "dry-run"},
    "verify": {"MissingInstancePolicy": "verify"},
    "ignore": {"MissingInstancePolicy": "ignore"},
    "groups shrink": {"AsgMembers": "terminate_and_shrink"},
    "untagged replicas": {"UntaggedReplicas": "terminate"},
    "a customer's key": {"TokenKmsKeyArn": KEY},
    "a private CA": {"BackendCaParameter": "/spot-cleanup/ca"},
    "events": {"EventBusName": "spot"},
    "in a VPC": {"VpcSubnetIds": "subnet-0a", "VpcSecurityGroupIds": "sg-0b"},
    "several agents": {
        "AgentId": "agent-1,agent-2=web",
        "ClientTokenParameter": "/spot-cleanup/{agent_id}/token",
    },
    "another protect tag": {"ProtectTag": "KeepMe"},
    "no monitoring": {"MonitoringEnabled": "false"},
}
ONLY_IN = {
    "cloudtrail:LookupEvents": "verify",
    "autoscaling:TerminateInstanceInAutoScalingGroup": "groups shrink",
    "events:PutEvents": "events",
}
"""Calls that the code makes only with such parameters, and may make only then."""
ABOUT: dict[str, Request] = {
    one.action: one
    for one in (
        Request("ec2:TerminateInstances", INSTANCE, OURS),
        Request("ec2:CancelSpotInstanceRequests", SPOT_REQUEST, HERE),
        Request("ec2:DescribeInstanceAttribute", INSTANCE, HERE),
        Request("ec2:DescribeImageAttribute", IMAGE, HERE),
        Request("ec2:DescribeSnapshotAttribute", SNAPSHOT, HERE),
        Request("ec2:DeregisterImage", IMAGE, OURS),
        Request("ec2:DeleteSnapshot", SNAPSHOT, OURS),
        Request("autoscaling:TerminateInstanceInAutoScalingGroup", GROUP, OURS),
        Request("ssm:GetParameter", PARAMETER, HERE),
        Request("ssm:GetParameters", OTHER_PARAMETER, HERE),
        Request("scheduler:GetSchedule", SCHEDULE, HERE),
        Request("rbin:GetRule", f"arn:aws:rbin:{REGION}:{ACCOUNT}:rule/r1", HERE),
        Request("events:PutEvents", BUS, HERE),
        Request("sts:DecodeAuthorizationMessage", context={"aws:RequestedRegion": "us-east-1"}),
    )
}
"""What a call is about; one that is not here knows no resources."""
NOT_SPELT = {
    "imagebuilder:GetContainerRecipe": "EC2 makes it in the role's name for DescribeImageReferences",
    "imagebuilder:ListContainerRecipes": "EC2 makes it in the role's name",
    "imagebuilder:ListImageRecipes": "EC2 makes it in the role's name",
    "logs:CreateLogStream": "Lambda writes the log with the function's role",
    "logs:PutLogEvents": "Lambda writes the log with the function's role",
    "sqs:SendMessage": "Lambda puts failed runs into their queue with it",
    "kms:Decrypt": "SSM decrypts with it",
    "dynamodb:ConditionCheckItem": "may be in a transaction",
    "dynamodb:BatchWriteItem": "the ledger's",
    "events:PutEvents": "the event of a run that acted",
    "ssm:GetParameter": "Powertools' parameters",
    "ec2:AssignPrivateIpAddresses": "Lambda's, for a VPC",
    "ec2:CreateNetworkInterface": "Lambda's, for a VPC",
    "ec2:DeleteNetworkInterface": "Lambda's, for a VPC",
    "ec2:DescribeNetworkInterfaces": "Lambda's, for a VPC",
    "ec2:DescribeSubnets": "Lambda's, for a VPC",
    "ec2:UnassignPrivateIpAddresses": "Lambda's, for a VPC",
}
"""Actions that a role allows and no call of the code spells out."""


def about(role: str, action: str) -> Request:
    if action.startswith("dynamodb:"):
        return Request(action, TABLE, item(OUTBOX if role == HOUSEKEEPING else REPORTED))
    return ABOUT.get(action, Request(action, context=HERE))


def policies(role: str, parameters: dict[str, str]) -> list[dict[str, Any]]:
    on = {"HousekeepingEnabled": "true", **parameters}
    return Stack.of(region=REGION, **on).policies(role)


@pytest.mark.parametrize("named", SETS)
@pytest.mark.parametrize("role", [TERMINATION, HOUSEKEEPING])
def test_every_call_of_the_code_is_allowed_where_the_code_makes_it(role: str, named: str) -> None:
    given = policies(role, SETS[named])
    told = {a: is_allowed(given, about(role, a)) for r, a in calls() if r == role}
    assert told
    assert told == {a: ONLY_IN.get(a, named) == named for a in told}


@pytest.mark.parametrize("role", [TERMINATION, HOUSEKEEPING])
def test_iam_knows_every_key_that_a_call_is_judged_by(role: str) -> None:
    """A condition on a key that an action does not have would never hold."""
    for _, action in calls():
        assert not judge([], about(role, action)).ignored


def allowed_actions(role: str) -> Iterator[str]:
    everything = {key: value for one in SETS.values() for key, value in one.items()}
    for policy in policies(role, everything):
        for statement in policy["Statement"]:
            if statement["Effect"] == "Allow":
                actions = statement["Action"]
                yield from actions if isinstance(actions, list) else [actions]


@pytest.mark.parametrize("role", [TERMINATION, HOUSEKEEPING])
def test_a_role_allows_no_action_that_nobody_needs(role: str) -> None:
    made = {action for r, action in calls() if r == role}
    assert set(allowed_actions(role)) - made <= NOT_SPELT.keys()


def test_a_new_call_is_found_however_it_is_made() -> None:
    """As a method, as a method that is handed on, and by its name."""
    assert calls_of("client.stop_instances(InstanceIds=ids)") == {"ec2:StopInstances"}
    assert calls_of("ask(self.client().delete_volume, given)") == {"ec2:DeleteVolume"}
    assert calls_of('client.get_paginator("describe_volumes")') == {"ec2:DescribeVolumes"}
    assert ("TerminationRole", "ec2:TerminateInstances") in calls()
    assert ("HousekeepingRole", "ec2:TerminateInstances") not in calls()
    assert len(calls()) > 30
    assert len(operations()) > 1000


def test_a_new_call_without_a_permission_is_refused() -> None:
    for action in ("ec2:DescribeKeyPairs", "ec2:DescribeTags", "cloudwatch:ListMetrics"):
        assert not is_allowed(policies(TERMINATION, {}), about(TERMINATION, action))
