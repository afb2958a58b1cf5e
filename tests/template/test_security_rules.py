"""What checkov and cfn-guard's AWS rule sets ask of such a stack, on the transformed template.

The rules bear checkov's names where it has one, and run without it. checkov itself (99 packages, 189 MB, 17 s of a processor)
is `make checkov`, in an environment of its own: it finds no more but, where it does not know the property that
answers it, CKV_AWS_27 and CKV_AWS_116. Each exception has its reason, and must still be one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.template.stack import Stack
from tests.template.test_names import FULL

Json = Any
Finding = tuple[str, str]
"""Logical id, and what of it."""

STACK = Stack.of(
    **FULL,
    AsgMembers="terminate_and_shrink",
    MissingInstancePolicy="verify",
    TokenKmsKeyArn="arn:aws:kms:eu-west-1:123456789012:key/12ab",
    UntaggedReplicas="terminate",
    EventBusName="spot",
    BackendCaParameter="ca",
)


def statements() -> Iterator[tuple[str, dict[str, Json]]]:
    """Of every role and resource policy, with the logical id."""
    for logical_id, resource in STACK.resources.items():
        properties = resource["Properties"]
        documents = [p["PolicyDocument"] for p in properties.get("Policies", [])]
        documents += [properties[k] for k in ("PolicyDocument",) if k in properties]
        documents += [properties[k] for k in ("AssumeRolePolicyDocument",) if k in properties]
        for document in documents:
            for statement in document["Statement"]:
                yield logical_id, statement


def listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def lacking(kind: str, *path: str, wanted: Callable[[Json], bool] = bool) -> Iterator[Finding]:
    """Resources of a kind whose property at this path is not as wanted."""
    for logical_id, properties in STACK.of_type(kind).items():
        found: Json = properties
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        if not wanted(found):
            yield logical_id, ".".join(path)


def wildcards(part: str) -> Iterator[Finding]:
    for logical_id, statement in statements():
        if statement["Effect"] == "Allow" and part in statement:
            for value in listed(statement[part]):
                if value == "*" or (part == "Action" and "*" in value):
                    yield logical_id, statement["Sid"]


def unconditioned_service_trust() -> Iterator[Finding]:
    """CKV_AWS_364 and the confused deputy: who else could make the service come?"""
    for logical_id, statement in statements():
        if "Principal" in statement and statement["Effect"] == "Allow":
            keys = str(statement.get("Condition", {}))
            if "aws:SourceArn" not in keys and "aws:SourceAccount" not in keys:
                yield logical_id, str(statement["Principal"])


def public() -> Iterator[Finding]:
    """CKV_AWS_27 and others: an Allow to everybody."""
    for logical_id, statement in statements():
        principal = statement.get("Principal")
        if statement["Effect"] == "Allow" and "*" in (principal, dict(principal or {}).get("AWS")):
            yield logical_id, statement["Sid"]


def plain_secrets() -> Iterator[Finding]:
    """CKV_AWS_45, CKV_AWS_46: a function's environment names secrets, and holds none."""
    for logical_id, properties in STACK.of_type("AWS::Lambda::Function").items():
        for variable in properties["Environment"]["Variables"]:
            word = variable.rsplit("_", 1)[-1]
            if word in {"TOKEN", "PASSWORD", "SECRET", "KEY"}:
                yield logical_id, variable


def escalation() -> Iterator[Finding]:
    """CKV_AWS_107 to CKV_AWS_111: to give oneself more, or to change what is watched."""
    words = ("iam:", "PassRole", "AssumeRole", "Put*", "UpdateFunctionCode", "UpdateSchedule")
    for logical_id, statement in statements():
        if "Principal" in statement or statement["Effect"] == "Deny":
            continue
        for action in listed(statement["Action"]):
            if any(word in action for word in words):
                yield logical_id, action


RULES: dict[str, Callable[[], Iterator[Finding]]] = {
    "no Allow for any action (CKV_AWS_62, CKV_AWS_63)": lambda: wildcards("Action"),
    "no Allow on any resource (CKV_AWS_109, CKV_AWS_111)": lambda: wildcards("Resource"),
    "no way to more rights (CKV_AWS_107 to 110)": escalation,
    "services are trusted for this account only (CKV_AWS_364)": unconditioned_service_trust,
    "nothing is public": public,
    "no secret in a function's environment (CKV_AWS_45)": plain_secrets,
    "inline policies only, none of AWS's": lambda: lacking(
        "AWS::IAM::Role", "ManagedPolicyArns", wanted=lambda v: v is None
    ),
    "log groups end (CKV_AWS_66)": lambda: lacking("AWS::Logs::LogGroup", "RetentionInDays"),
    "logs are kept for a year (CKV_AWS_338)": lambda: lacking(
        "AWS::Logs::LogGroup", "RetentionInDays", wanted=lambda v: int(v) >= 365
    ),
    "log groups under a key of one's own (CKV_AWS_158)": lambda: lacking(
        "AWS::Logs::LogGroup", "KmsKeyId"
    ),
    "queues encrypted (CKV_AWS_27)": lambda: lacking("AWS::SQS::Queue", "SqsManagedSseEnabled"),
    "topics encrypted (CKV_AWS_26)": lambda: lacking("AWS::SNS::Topic", "KmsMasterKeyId"),
    "table encrypted with KMS": lambda: lacking(
        "AWS::DynamoDB::Table", "SSESpecification", "SSEEnabled"
    ),
    "table under a key of one's own (CKV_AWS_119)": lambda: lacking(
        "AWS::DynamoDB::Table", "SSESpecification", "KMSMasterKeyId"
    ),
    "table with recovery (CKV_AWS_28)": lambda: lacking(
        "AWS::DynamoDB::Table", "PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled"
    ),
    "table's rows end": lambda: lacking("AWS::DynamoDB::Table", "TimeToLiveSpecification"),
    "functions have dead letters (CKV_AWS_116)": lambda: lacking(
        "AWS::Lambda::EventInvokeConfig", "DestinationConfig", "OnFailure", "Destination"
    ),
    "functions limit their concurrency (CKV_AWS_115)": lambda: lacking(
        "AWS::Lambda::Function", "ReservedConcurrentExecutions"
    ),
    "functions trace (CKV_AWS_50)": lambda: lacking(
        "AWS::Lambda::Function", "TracingConfig", "Mode", wanted=lambda v: v == "Active"
    ),
    "functions' environments under a key of one's own (CKV_AWS_173)": lambda: lacking(
        "AWS::Lambda::Function", "KmsKeyArn"
    ),
    "functions in a VPC (CKV_AWS_117)": lambda: lacking("AWS::Lambda::Function", "VpcConfig"),
    "functions' code signed (CKV_AWS_272)": lambda: lacking(
        "AWS::Lambda::Function", "CodeSigningConfigArn"
    ),
    "schedules under a key of one's own (CKV_AWS_297)": lambda: lacking(
        "AWS::Scheduler::Schedule", "KmsKeyArn"
    ),
    "schedules have dead letters": lambda: lacking(
        "AWS::Scheduler::Schedule", "Target", "DeadLetterConfig", "Arn"
    ),
}

READS_ONLY = "a look that knows no resources; narrowed to the region"
NO_SECRET = "holds ids, reasons and states, no secret; AWS's own encryption at rest is on"
BOTH_FUNCTIONS = ("TerminationFunction", "HousekeepingFunction")
SCHEDULES = (
    "TerminationFunctionSchedule",
    "HousekeepingFunctionSchedule",
)

EXCEPTIONS: dict[str, dict[Finding, str]] = {
    "no Allow on any resource (CKV_AWS_109, CKV_AWS_111)": {
        ("TerminationRole", "Look"): READS_ONLY,
        ("TerminationRole", "VerifyMissing"): READS_ONLY,
        ("TerminationRole", "SeeTheRuns"): READS_ONLY,
        ("TerminationRole", "SeeWhyNot"): "decodes only what AWS encoded for this account",
        ("HousekeepingRole", "Look"): READS_ONLY,
    },
    "services are trusted for this account only (CKV_AWS_364)": {
        (role, "{'Service': 'lambda.amazonaws.com'}"): (
            "only who may pass the role can give it to a function, and Lambda documents no "
            "source conditions for an execution role"
        )
        for role in ("TerminationRole", "HousekeepingRole")
    },
    "topics encrypted (CKV_AWS_26)": {
        ("AlarmTopic", "KmsMasterKeyId"): (
            "CloudWatch may not use AWS's key for SNS, and a message holds an alarm's name, "
            "description and state; who wants a key of their own gives AlarmTopicArn"
        )
    },
    "logs are kept for a year (CKV_AWS_338)": {
        (log, "RetentionInDays"): "90 days unless LogRetentionDays says more: storage is paid for"
        for log in ("TerminationLogGroup", "HousekeepingLogGroup")
    },
    "table under a key of one's own (CKV_AWS_119)": {
        ("IdempotencyTable", "SSESpecification.KMSMasterKeyId"): NO_SECRET
    },
    "log groups under a key of one's own (CKV_AWS_158)": {
        ("TerminationLogGroup", "KmsKeyId"): NO_SECRET,
        ("HousekeepingLogGroup", "KmsKeyId"): NO_SECRET,
    },
    "functions limit their concurrency (CKV_AWS_115)": {
        (f, "ReservedConcurrentExecutions"): (
            "a new account's limit of 10 is too small to reserve from; ReservedConcurrency does"
        )
        for f in BOTH_FUNCTIONS
    },
    "functions trace (CKV_AWS_50)": {
        (f, "TracingConfig.Mode"): (
            "X-Ray's SDK costs more cold start than all the rest, and one run's lines in the log "
            "bear one function_request_id"
        )
        for f in BOTH_FUNCTIONS
    },
    "functions' environments under a key of one's own (CKV_AWS_173)": {
        (f, "KmsKeyArn"): NO_SECRET for f in BOTH_FUNCTIONS
    },
    "functions in a VPC (CKV_AWS_117)": {
        (f, "VpcConfig"): "calls public endpoints only; VpcSubnetIds puts it into one"
        for f in BOTH_FUNCTIONS
    },
    "functions' code signed (CKV_AWS_272)": {
        (f, "CodeSigningConfigArn"): (
            "needs a signing profile of the account's; sam deploy --signing-profiles adds it"
        )
        for f in BOTH_FUNCTIONS
    },
    "schedules under a key of one's own (CKV_AWS_297)": {
        (s, "KmsKeyArn"): "holds an empty event; AWS's own encryption at rest is on"
        for s in SCHEDULES
    },
}


@pytest.mark.parametrize("rule", RULES)
def test_the_template_keeps_the_rule_but_for_what_has_a_reason(rule: str) -> None:
    """Both ways: an exception that is none any more fails, too."""
    assert set(RULES[rule]()) == EXCEPTIONS.get(rule, {}).keys()


def test_every_exception_has_its_rule_and_a_reason() -> None:
    assert EXCEPTIONS.keys() <= RULES.keys()
    assert all(len(why) > 20 for one in EXCEPTIONS.values() for why in one.values())


def test_a_rule_looks_at_something() -> None:
    """A rule over a kind that is not there would hold for ever."""
    kinds = {r["Type"] for r in STACK.resources.values()}
    for kind in ("Table", "Queue", "Topic", "Function", "LogGroup", "Role", "Schedule"):
        assert [k for k in kinds if k.endswith(f"::{kind}")]
    assert len(list(statements())) > 20


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ({"Sid": "S", "Effect": "Allow", "Action": "s3:*", "Resource": "r"}, 0),
        ({"Sid": "S", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}, 1),
        ({"Sid": "S", "Effect": "Allow", "Action": ["iam:PassRole"], "Resource": "r"}, 2),
        (
            {"Sid": "S", "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sns:Publish"},
            4,
        ),
    ],
)
def test_a_statement_that_breaks_a_rule_is_found(
    monkeypatch: pytest.MonkeyPatch, statement: dict[str, Json], rule: int
) -> None:
    role = {"PolicyName": "more", "PolicyDocument": {"Statement": [statement]}}
    monkeypatch.setitem(STACK.resources["ScheduleRole"]["Properties"], "Policies", [role])
    name = list(RULES)[rule]
    found = {logical_id for logical_id, _ in set(RULES[name]()) - EXCEPTIONS.get(name, {}).keys()}
    assert found == {"ScheduleRole"}
