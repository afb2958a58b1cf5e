"""The evaluator of tests/support/iam.py judges as IAM does."""

from typing import Any

import pytest

from tests.support.iam import Request, is_allowed

READ: dict[str, Any] = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/*"}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def under(condition: dict[str, Any], **context: str) -> bool:
    everything = policy({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition})
    return is_allowed(
        [everything], Request("a:B", "arn:x", {f"k:{k}": v for k, v in context.items()})
    )


def test_nothing_is_allowed_that_no_statement_allows() -> None:
    assert not is_allowed([policy()], Request("s3:GetObject", "arn:aws:s3:::b/key"))
    assert is_allowed([policy(READ)], Request("s3:GetObject", "arn:aws:s3:::b/key"))
    assert is_allowed([policy(READ)], Request("S3:getobject", "arn:aws:s3:::b/key"))
    assert not is_allowed([policy(READ)], Request("s3:GetObject", "arn:aws:s3:::B/key"))
    assert not is_allowed([policy(READ)], Request("s3:PutObject", "arn:aws:s3:::b/key"))


def test_a_deny_in_another_policy_wins() -> None:
    deny = policy({**READ, "Effect": "Deny"})
    assert not is_allowed([policy(READ), deny], Request("s3:GetObject", "arn:aws:s3:::b/key"))


def test_an_action_without_resources_needs_the_star() -> None:
    narrow = policy({"Effect": "Allow", "Action": "ec2:*", "Resource": "arn:aws:ec2:*"})
    assert not is_allowed([narrow], Request("ec2:DescribeInstances"))


@pytest.mark.parametrize(
    ("condition", "context", "holds"),
    [
        ({"StringEquals": {"k:a": ["x", "y"]}}, {"a": "y"}, True),
        ({"StringEquals": {"k:a": "x"}}, {"a": "X"}, False),
        ({"StringEquals": {"k:a": "x*"}}, {"a": "xy"}, False),
        ({"StringEquals": {"K:A": "x"}}, {"a": "x"}, True),
        ({"StringEquals": {"k:a": "x"}}, {}, False),
        ({"StringEqualsIfExists": {"k:a": "x"}}, {}, True),
        ({"StringEqualsIfExists": {"k:a": "x"}}, {"a": "y"}, False),
        ({"StringNotEquals": {"k:a": ["x", "y"]}}, {"a": "y"}, False),
        ({"StringNotEquals": {"k:a": "x"}}, {}, True),
        ({"StringLike": {"k:a": "x?z*"}}, {"a": "xyz-1"}, True),
        ({"ArnLike": {"k:a": "arn:aws:*:role/r"}}, {"a": "arn:aws:iam::1:role/r"}, True),
        ({"Bool": {"k:a": "false"}}, {"a": "False"}, True),
        ({"Null": {"k:a": "true"}}, {}, True),
        ({"Null": {"k:a": "true"}}, {"a": ""}, False),
        ({"Null": {"k:a": "false"}}, {"a": ""}, True),
        ({"StringEquals": {"k:a": "x", "k:b": "y"}}, {"a": "x"}, False),
        ({"StringEquals": {"k:a": "x"}, "Null": {"k:b": "true"}}, {"a": "x", "b": "1"}, False),
    ],
)
def test_conditions(condition: dict[str, Any], context: dict[str, str], holds: bool) -> None:
    assert under(condition, **context) is holds


@pytest.mark.parametrize(
    "unknown",
    [
        {"NotAction": "s3:*"},
        {"Condition": {"NumericLessThan": {"k:a": "1"}}},
        {"Condition": {"ForAllValues:StringEquals": {"k:a": "1"}}},
        {"Condition": {"StringEquals": {"k:a": "${aws:username}"}}},
    ],
)
def test_what_it_does_not_know_is_an_error_and_no_answer(unknown: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedError):
        is_allowed(
            [policy({**READ, **unknown})], Request("s3:GetObject", "arn:aws:s3:::b/k", {"k:a": "1"})
        )
