"""A mistake in a role is found: each is planted, and the tables of requests must tell it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.iam.calls import HOUSEKEEPING, TERMINATION, calls
from tests.iam.test_calls import ONLY_IN, about, policies
from tests.support.iam import Request, is_allowed
from tests.template import test_housekeeping, test_roles
from tests.template.test_roles import INSTANCE, REPLICA, TERMINATE, tag

Json = Any
Statement = dict[str, Json]
REQUESTS = {TERMINATION: test_roles, HOUSEKEEPING: test_housekeeping}
UNTAGGED = {"UntaggedReplicas": "terminate"}


def found(role: str, given: list[dict[str, Json]], **parameters: str) -> list[str]:
    """What the tables say against these policies."""
    wrong = [f"denied: {r.action}" for r in REQUESTS[role].ALLOWED if not is_allowed(given, r)]
    wrong += [f"allowed: {r.action}" for r in REQUESTS[role].DENIED if is_allowed(given, r)]
    made = {action for r, action in calls() if r == role} - ONLY_IN.keys()
    wrong += [f"a call, denied: {a}" for a in made if not is_allowed(given, about(role, a))]
    if parameters == UNTAGGED:
        for tags in (REPLICA | tag(DoNotTerminate=""), test_roles.HERE | tag(ReplicaId="rep-1")):
            if is_allowed(given, Request(TERMINATE, INSTANCE, tags)):
                wrong.append(f"allowed: {tags}")
    return wrong


def without(*path: str) -> Callable[[Statement], None]:
    """Takes a part of a statement away."""

    def plant(statement: Statement) -> None:
        for key in path[:-1]:
            statement = statement[key]
        del statement[path[-1]]

    return plant


def having(*path: str, value: Json) -> Callable[[Statement], None]:
    """Gives a part of a statement another value."""

    def plant(statement: Statement) -> None:
        for key in path[:-1]:
            statement = statement[key]
        statement[path[-1]] = value

    return plant


def lacking(action: str) -> Callable[[Statement], None]:
    return lambda statement: statement["Action"].remove(action)


PLANTED: dict[str, tuple[str, str, Callable[[Statement], None]]] = {
    "anybody's machine": (
        TERMINATION,
        "Terminate",
        without("Condition", "StringEquals", "aws:ResourceTag/ManagedBy"),
    ),
    "a protected machine": (TERMINATION, "Terminate", without("Condition", "Null")),
    "only protected machines": (
        TERMINATION,
        "Terminate",
        having("Condition", "Null", "aws:ResourceTag/DoNotTerminate", value="false"),
    ),
    "machines of every region": (
        TERMINATION,
        "Terminate",
        without("Condition", "StringEquals", "aws:RequestedRegion"),
    ),
    "another key of the tag": (
        TERMINATION,
        "Terminate",
        having("Condition", "StringEquals", value={"ec2:ResourceTag/Managed": "SpotOptimizer"}),
    ),
    "more than to terminate": (TERMINATION, "Terminate", having("Action", value="ec2:*")),
    "no look at fleets": (TERMINATION, "Look", lacking("ec2:DescribeFleets")),
    "no look at machines": (TERMINATION, "Look", lacking("ec2:DescribeInstances")),
    "another owner's Spot request": (
        TERMINATION,
        "CancelSpotRequest",
        without("Condition", "StringEqualsIfExists"),
    ),
    "no request without a tag": (
        TERMINATION,
        "CancelSpotRequest",
        having("Condition", value={"StringEquals": {"aws:ResourceTag/ManagedBy": "SpotOptimizer"}}),
    ),
    "every parameter": (TERMINATION, "ReadToken", having("Resource", value="*")),
    "the other function's items": (TERMINATION, "Ledger", without("Condition")),
    "a call that names no item": (TERMINATION, "Ledger", without("Condition", "Null")),
    "a misspelt item": (
        TERMINATION,
        "Ledger",
        having(
            "Condition",
            "ForAllValues:StringLike",
            "dynamodb:LeadingKeys",
            value=["success_report#*", "lived-here#*", "first-seen", "doctor"],
        ),
    ),
    "no update of a report": (TERMINATION, "Ledger", lacking("dynamodb:UpdateItem")),
    "every table": (
        TERMINATION,
        "Ledger",
        having("Resource", value="arn:aws:dynamodb:eu-west-1:123456789012:table/*"),
    ),
    "decoding in this region only": (
        TERMINATION,
        "SeeWhyNot",
        having("Condition", value={"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}),
    ),
    "the housekeeping schedule": (
        TERMINATION,
        "SeeTheSchedule",
        having("Resource", value="arn:aws:scheduler:eu-west-1:123456789012:schedule/*"),
    ),
    "anybody's image": (
        HOUSEKEEPING,
        "Delete",
        without("Condition", "StringEquals", "aws:ResourceTag/ManagedBy"),
    ),
    "a protected snapshot": (HOUSEKEEPING, "Delete", without("Condition", "Null")),
    "images as if they had an account": (
        HOUSEKEEPING,
        "Delete",
        having("Resource", value="arn:aws:ec2:eu-west-1:123456789012:image/*"),
    ),
    "no public parameters": (
        HOUSEKEEPING,
        "ParametersThatNameImages",
        having("Resource", value="arn:aws:ssm:eu-west-1:123456789012:parameter/*"),
    ),
    "reports of terminations": (HOUSEKEEPING, "Outbox", without("Condition")),
}


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_found(mistake: str) -> None:
    role, sid, plant = PLANTED[mistake]
    sound = policies(role, {})
    assert not found(role, sound)
    given = json.loads(json.dumps(sound))
    (statement,) = [s for p in given for s in p["Statement"] if s["Sid"] == sid]
    plant(statement)
    assert given != sound
    assert found(role, given)


@pytest.mark.parametrize("key", ["DoNotTerminate", "ParentInstance"])
def test_so_is_one_in_the_wall_of_untagged_replicas(key: str) -> None:
    sound = policies(TERMINATION, UNTAGGED)
    given = json.loads(json.dumps(sound))
    (statement,) = [
        s for p in given for s in p["Statement"] if s["Sid"] == "TerminateUntaggedReplicas"
    ]
    # What this parameter opens is in the table of what the defaults deny.
    opened = found(TERMINATION, sound, **UNTAGGED)
    assert opened == ["allowed: ec2:TerminateInstances"]
    del statement["Condition"]["Null"][f"aws:ResourceTag/{key}"]
    assert len(found(TERMINATION, given, **UNTAGGED)) > len(opened)
