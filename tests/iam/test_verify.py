"""`make verify` asks IAM about every call of the code, and each is allowed under the template's roles."""

from __future__ import annotations

import re
from typing import Any

import pytest

from handler.doctor.findings import Check, Status
from tests.iam.calls import HOUSEKEEPING, TERMINATION, calls
from tests.iam.test_calls import NOT_SPELT, ONLY_IN, SETS
from tests.support.iam import Request, is_allowed
from tests.template.stack import ACCOUNT, Stack
from tools.verify.permissions import CALLS, SCHEDULE, roles
from tools.verify.reading import Deployed

CHECK = Check("roles", "May they?")


class Told(Deployed):
    """A stack as the template tells it; what is asked of IAM, its simulator here answers."""

    stack: Stack

    @classmethod
    def of(cls, stack: Stack) -> Told:
        told = cls(stack.name, stack.region)
        ids = {k: (r["Type"], f"{stack.name}-{k}") for k, r in stack.resources.items()}
        # As CloudFormation does: a queue's physical id is its URL.
        for queue in ("FailedRunsQueue", "UndeliveredQueue"):
            ids[queue] = (ids[queue][0], f"https://sqs.example.com/1/{ids[queue][1]}")
        place = f"arn:{stack.partition}:cloudformation:{stack.region}:{ACCOUNT}"
        vars(told).update(
            stack=stack, resources=ids, description={"StackId": f"{place}:stack/{stack.name}/0"}
        )
        return told

    def environment(self, function: str) -> dict[str, str]:
        return {k: str(v) for k, v in self.stack.environment(function).items()}

    def pages(self, service: str, operation: str, part: str, **given: Any) -> list[Any]:
        assert (service, operation, part) == (
            *("iam", "simulate_principal_policy", "EvaluationResults"),
        )
        role = given["PolicySourceArn"].rpartition("-")[2]
        context = {
            one["ContextKeyName"]: (
                one["ContextKeyValues"]
                if one["ContextKeyType"] == "stringList"
                else one["ContextKeyValues"][0]
            )
            for one in given["ContextEntries"]
        }
        policies = self.stack.policies(role)
        return [
            {
                "EvalActionName": action,
                "EvalDecision": "allowed"
                if is_allowed(policies, Request(action, arn, context))
                else "implicitDeny",
            }
            for action in given["ActionNames"]
            for arn in given["ResourceArns"]
        ]


def asked(role: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+:[A-Z]\w+", CALLS[role]))


@pytest.mark.parametrize("role", [TERMINATION, HOUSEKEEPING])
def test_what_is_asked_is_what_the_code_calls_and_what_lambda_does_for_it(role: str) -> None:
    made = {action for r, action in calls() if r == role}
    assert made <= asked(role)
    assert asked(role) - made <= NOT_SPELT.keys()


def test_the_schedules_role_is_asked_about_all_that_it_allows() -> None:
    policies = Stack.of().policies(SCHEDULE)
    assert asked(SCHEDULE) == {s["Action"] for p in policies for s in p["Statement"]}


@pytest.mark.parametrize("named", SETS)
def test_each_role_is_ok_under_every_set_of_parameters(named: str) -> None:
    told = Told.of(Stack.of(**{"HousekeepingEnabled": "true", **SETS[named]}))
    assert [(one.status, one.found.partition(":")[0]) for one in roles(CHECK, told)] == [
        (Status.OK, role) for role in CALLS
    ]


def test_without_housekeeping_its_role_is_not_asked_about() -> None:
    assert len(list(roles(CHECK, Told.of(Stack.of())))) == 2


@pytest.mark.parametrize(
    ("role", "sid", "action"),
    [
        (TERMINATION, "Terminate", "ec2:TerminateInstances"),
        (TERMINATION, "Ledger", "dynamodb:UpdateItem"),
        (TERMINATION, "ReadToken", "ssm:GetParameter"),
        (HOUSEKEEPING, "Delete", "ec2:DeleteSnapshot"),
        (HOUSEKEEPING, "Log", "logs:PutLogEvents"),
        (SCHEDULE, "Invoke", "lambda:InvokeFunction"),
    ],
)
def test_a_statement_that_is_gone_is_told(
    monkeypatch: pytest.MonkeyPatch, role: str, sid: str, action: str
) -> None:
    told = Told.of(Stack.of(HousekeepingEnabled="true"))
    for policy in told.stack.policies(role):
        kept = [one for one in policy["Statement"] if one["Sid"] != sid]
        monkeypatch.setitem(policy, "Statement", kept)
    wrong = [one for one in roles(CHECK, told) if one.status is Status.FAILED]
    assert [one.found.partition(":")[0] for one in wrong] == [role]
    assert action in wrong[0].found


def test_a_call_that_only_a_parameter_brings_about_is_asked_only_with_it() -> None:
    assert ONLY_IN.keys() <= asked(TERMINATION)
    for action, named in ONLY_IN.items():
        for parameters, expected in (({}, False), (SETS[named], True)):
            told = Told.of(Stack.of(**parameters))
            seen: list[str] = []
            pages = told.pages
            vars(told)["pages"] = lambda *a, _p=pages, _s=seen, **k: (
                _s.extend(k["ActionNames"]) or _p(*a, **k)
            )
            list(roles(CHECK, told))
            assert (action in seen) is expected
