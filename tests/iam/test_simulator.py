"""What the roles' tests rely on in the simulator, and in what is rewritten for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.iam import HERE, CannotJudgeError, Request, is_allowed, judge

BUCKET = "arn:aws:s3:::b/key"
READ: dict[str, Any] = {
    "Effect": "Allow",
    "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::b/*",
}
KEY = "arn:aws:kms:eu-west-1:123456789012:key/12ab"
CONTEXT = "kms:EncryptionContext:PARAMETER_ARN"


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def test_nothing_is_allowed_that_no_statement_allows_and_a_deny_wins() -> None:
    read = Request("s3:GetObject", BUCKET)
    assert not is_allowed([policy({**READ, "Action": "s3:PutObject"})], read)
    assert is_allowed([policy(READ)], read)
    assert not is_allowed([policy(READ), policy({**READ, "Effect": "Deny"})], read)


def test_a_resource_that_the_action_does_not_take_is_an_error_and_no_answer() -> None:
    with pytest.raises(CannotJudgeError):
        judge([policy(READ)], Request("s3:GetObject", KEY))
    with pytest.raises(CannotJudgeError):
        judge([policy(READ)], Request("s3:NoSuchAction", BUCKET))


def test_a_key_that_the_action_does_not_have_is_told() -> None:
    request = Request("s3:GetObject", BUCKET, {"ec2:InstanceType": "m5.large"})
    assert judge([policy(READ)], request).ignored == ("ec2:InstanceType",)


def test_an_encryption_context_is_judged() -> None:
    decrypt = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": KEY}
    condition = {"StringLike": {CONTEXT: "arn:aws:ssm:*:token"}}
    policies = [policy({**decrypt, "Condition": condition})]
    assert is_allowed(policies, Request("kms:Decrypt", KEY, {CONTEXT: "arn:aws:ssm:x:token"}))
    assert not is_allowed(policies, Request("kms:Decrypt", KEY, {CONTEXT: "arn:aws:ssm:x:other"}))
    assert not is_allowed(policies, Request("kms:Decrypt", KEY))


def test_a_parameter_without_an_account_is_judged() -> None:
    public = "arn:aws:ssm:eu-west-1::parameter/aws/service/ami"
    get = {"Effect": "Allow", "Action": "ssm:GetParameters"}
    request = Request("ssm:GetParameters", public)
    assert is_allowed([policy({**get, "Resource": public})], request)
    own = "arn:aws:ssm:eu-west-1:123456789012:parameter/*"
    assert not is_allowed([policy({**get, "Resource": own})], request)


def test_a_list_of_keys_is_judged() -> None:
    table = "arn:aws:dynamodb:eu-west-1:123456789012:table/t"
    condition = {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["mine#*"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    put = {"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": table}
    policies = [policy({**put, "Condition": condition})]

    def allowed(*keys: str) -> bool:
        context: dict[str, str | list[str]] = {"dynamodb:LeadingKeys": [*keys]} if keys else {}
        return is_allowed(policies, Request("dynamodb:PutItem", table, context))

    assert allowed("mine#1", "mine#2")
    assert not allowed("mine#1", "theirs#2")
    assert not allowed()


def test_the_lock_names_versions_and_hashes_and_no_host() -> None:
    packages = json.loads((HERE / "package-lock.json").read_text())["packages"]
    locked = {name: one for name, one in packages.items() if name}
    assert locked
    for one in locked.values():
        assert one["version"]
        assert one["integrity"]
        assert "resolved" not in one
