"""From each fault that the doctor knows to its section of the runbook, by the doctor's own words.

The faults are planted into the checks' answers; tests/integration/doctor plants real ones, and holds each against the page, too.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from handler.aws.errors import AwsError, ErrorKind
from handler.doctor import (
    backend,
    clock,
    ec2,
    housekeeping,
    marked,
    runs,
    schedule,
    settings,
    table,
    token,
)
from handler.doctor.advice import aws_failed
from handler.doctor.barriers import Barrier
from handler.doctor.dependencies import Answered, Dependencies, Part, Schedule, Unreached, examines
from handler.doctor.examination import CHECKS, examine
from handler.doctor.findings import Finding
from handler.instances.model import REPLICA, Agent, Instance, Marked
from tests.fakes.build import AGENT, NOW, OURS, decision, iid, instance, limits, listing
from tests.fakes.build import marked as entry
from tests.fakes.dependencies import Service, dependencies
from tests.fakes.fleet import FakeFleet
from tests.support import runbook

TEMPLATE = (runbook.ROOT / "template.yaml").read_text()
REFERENCE = (runbook.ROOT / "docs" / "configuration.md").read_text()
KNOWN = {
    *("AccessDenied", "DoNotTerminate", "EventBridge", "LogicalAgentId", "ManagedBy"),
    *("ParentInstance", "ReplicaId", "SecureString", "SpotOptimizer"),
}
"""Names of AWS's, and tags."""
DENIED = AwsError(
    "Unauthorized", "r is not authorized to perform it", ErrorKind.REFUSED, denied=True
)
CODED = AwsError("X", "Encoded authorization failure message: ab", ErrorKind.REFUSED, denied=True)
SHOP = Agent("agent-1", "shop")


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "m"}}, "Call")


def ask(part: Part, **given: Any) -> Iterable[Finding]:
    """A part of the examination: lower case is an AWS service's client, upper case a variable."""
    variables = {name: one for name, one in given.items() if name.isupper()}
    it = dependencies(**variables)
    it.environment.services.update(given)  # type: ignore[attr-defined] # a fake's
    return part.examine(it)


def answered(answer: Answered | Unreached) -> Iterable[Finding]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "_ask", lambda *_, **__: answer)
        return backend.examine.examine(dependencies())


def http(status: int, said: str = "", **of_list: Any) -> Iterable[Finding]:
    found = listing(**of_list) if of_list else None
    return answered(Answered(status, bool(said), said, found, NOW, NOW, NOW))


def tried(
    part: Part, fault: AwsError, decoded: object = None, *, standing: AwsError | None = None
) -> Iterable[Finding]:
    """EC2's answer to a DryRun on a machine of a standing Spot request."""
    it = dependencies(machines=FakeFleet([instance()]))
    fleet: Any = it.environment.machines
    fleet.faults, fleet.standing, fleet.standing_error = [fault], {"sir-1"}, standing
    it.running = (instance(spot_request="sir-1"),)
    it.environment.services["sts"] = Service(decode_authorization_message=decoded)  # type: ignore[attr-defined]
    return part.examine(it)


def reason(*, explicit: bool) -> dict[str, str]:
    context = {"principal": {"arn": "arn:r"}, "action": "ec2:TerminateInstances"}
    return {"DecodedMessage": json.dumps({"explicitDeny": explicit, "context": context})}


def listed(one: Instance, of: Marked | None = None) -> Iterable[Finding]:
    it = dependencies(machines=FakeFleet([one, instance(2)]), AGENT_ID="agent-1=shop")
    it.listings[AGENT.agent_id] = listing(of or entry(agent=SHOP), agent=SHOP)
    return marked.examine.examine(it)


def breaking() -> Iterable[Finding]:
    def breaks(_: Dependencies) -> list[Finding]:
        raise RuntimeError

    return examine(dependencies(), None, [examines(table.TABLE)(breaks)])


def aws(code: str = "C", kind: ErrorKind = ErrorKind.REFUSED) -> list[Finding]:
    return [aws_failed(table.TABLE, AwsError(code, "m", kind), "dynamodb:GetItem")]


def hour(metric: str) -> list[Finding]:
    return [runs.judge_hour({metric: 2})]


def noted() -> dict[str, object]:
    told = json.dumps({"count": 1, "told": ["SSM parameter /a"]})
    return {"Item": {"at": {"N": str(int(NOW.timestamp()))}, "unseen": {"S": told}}}


EVERY_MINUTE = Schedule(enabled=True, expression="rate(1 minute)")
POLLED = instance(tags={"ReplicaId": "r", "ParentInstance": iid(2)})
FAULTS: dict[str, Callable[[], Iterable[Finding]]] = {
    "a bad variable": lambda: [settings.judge("1 bad variable(s): DRY_RUN")],
    "agents that cannot tell": lambda: [settings.judge(None, (SHOP, Agent("b")))],
    "switched off": partial(ask, settings.auto_terminate, AUTO_TERMINATE_ENABLED="false"),
    "a dry run": partial(ask, settings.dry_run, DRY_RUN="true"),
    **{
        f"the token: {answer}": partial(ask, token.examine, ssm=Service(get_parameter=answer))
        for answer in (
            *map(
                refusal, ("ParameterNotFound", "AccessDeniedException", "InvalidKeyId", "Expired")
            ),
            *({"Parameter": {"Value": '{"token": "in JSON"}'}}, KeyError("odd")),
        )
    },
    **{f"the way: {one.name}": partial(answered, Unreached(one, "m")) for one in Barrier},
    **{f"HTTP {status}": partial(http, status, "m") for status in (302, 429, 503, 401, 403, 404)},
    "a page of HTML": partial(http, 200),
    "no instance in the list": partial(http, 200, "", invalid=1),
    "the backend's switch": partial(http, 200, "", enabled=False),
    "a clock that is ahead": lambda: [clock.judge_skew(20)],
    "a clock that is behind": lambda: [clock.judge_skew(-300)],
    **{f"AWS: {kind}": partial(aws, kind=kind) for kind in ErrorKind},
    **{
        f"AWS: {code}": partial(aws, code)
        for code in (
            *("EndpointConnectionError", "ReadTimeoutError", "ConnectionClosedError"),
            *("ProxyConnectionError", "SSLError", "ValueError"),
        )
    },
    "no look at EC2": lambda: [aws_failed(ec2.DESCRIBE, DENIED, "ec2:DescribeInstances")],
    "no end": partial(tried, ec2.terminate, DENIED),
    "no end by no policy": partial(tried, ec2.terminate, CODED, reason(explicit=False)),
    "no end by a statement": partial(tried, ec2.terminate, CODED, reason(explicit=True)),
    "no end for a hidden reason": partial(tried, ec2.terminate, CODED, refusal("AccessDenied")),
    "no cancelling": partial(tried, ec2.spot_requests, DENIED),
    "no Spot requests": partial(tried, ec2.spot_requests, DENIED, standing=DENIED),
    "a guard": partial(
        listed, instance(tags=OURS | {"LogicalAgentId": "shop", "DoNotTerminate": ""})
    ),
    "no tags": partial(listed, instance(tags={})),
    "a polling worker's": partial(listed, POLLED, entry(1, REPLICA, agent=SHOP)),
    "nobody's": partial(listed, instance(tags=OURS | {"LogicalAgentId": "books"})),
    "a fuse": lambda: [
        marked.judge_decided(marked.Foreseen([decision()]), 1, limits(max_fleet_percent=1))
    ],
    "machines unseen": lambda: [marked.judge_decided(marked.Foreseen([], DENIED), None, limits())],
    **{
        f"the table: {code}": partial(ask, table.examine, dynamodb=Service(get_item=refusal(code)))
        for code in ("ResourceNotFoundException", "ValidationException", "AccessDeniedException")
    },
    "housekeeping's look": partial(ask, housekeeping.examine, dynamodb=Service(get_item=noted())),
    "no schedule": lambda: [schedule.judge_schedule(None, "g/n")],
    "a schedule disabled": lambda: [schedule.judge_schedule(Schedule(False, "rate"), "g/n")],
    "a schedule unseen": lambda: [schedule.judge_schedule(DENIED, "g/n")],
    "runs that fail": lambda: [runs.judge_runs([runs.Minute(NOW, 1, 1)], NOW, EVERY_MINUTE)],
    "no runs": lambda: [runs.judge_runs([], NOW, EVERY_MINUTE)],
    "no runs, and no rate": lambda: [runs.judge_runs([], NOW, None)],
    "metrics unseen": partial(
        ask, runs.last_run, cloudwatch=Service(get_metric_data=refusal("AccessDenied"))
    ),
    **{f"the hour: {metric}": partial(hour, metric) for metric in runs.WRONG},
    "the doctor": breaking,
}


@cache
def findings(fault: str) -> list[Finding]:
    """What has a cure. Text that is the fault's own (`m`) stands in no row."""
    return [one for one in FAULTS[fault]() if one.cure]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_doctor_s_words_lead_to_a_row_with_its_cure_and_every_name_is_there(fault: str) -> None:
    assert findings(fault)
    for one in findings(fault):
        runbook.leads(one.check.name, f"{one.found} {one.cause}", one.cure)
        said = f"{one.cause} {one.cure}"
        variables = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", said)) - {"LOGICAL_ID"}
        assert {name for name in variables if f"`{name}`" not in REFERENCE} <= {"LOGICAL_AGENT_ID"}
        named = set(re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", re.sub(r"\w+:\w+", "", said)))
        assert {name for name in named if f"\n  {name}:\n" not in TEMPLATE} <= KNOWN
        actions = set(re.findall(r"\b[a-z0-9]+:[A-Z]\w+", said))
        assert {action for action in actions if f" {action}\n" not in TEMPLATE} == set()


def test_each_check_has_a_fault_and_each_row_is_some_fault_s_in_every_word() -> None:
    told = [one for fault in FAULTS for one in findings(fault)]
    for name in ("At any check", *(check.name for check in CHECKS)):
        of = [one for one in told if name in ("At any check", one.check.name)]
        said = " ".join(f"{one.found} {one.cause}" for one in of).lower()
        assert said, name
        assert "**Symptom.**" in runbook.section(name)
        words = [one for row in runbook.rows(name) for one in row.says]
        assert [one for one in words if one not in said] == []


def test_whatever_the_doctor_can_say_is_said_of_some_fault() -> None:
    """By its code: a new finding, or new words, need a fault here, and so a row of the page."""
    said = [one for fault in FAULTS for one in findings(fault)]
    told = " ".join(f"{one.found} {one.cause} {one.cure}" for one in said)
    says = {"Advice", "Trial", "failed", "warning", "judge"}
    for file in (runbook.ROOT / "src/handler/doctor").glob("*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") in says:
                words = [one.value for one in ast.walk(call) if isinstance(one, ast.Constant)]
                texts = [one for one in words if isinstance(one, str) and " " in one.strip()]
                assert [one for one in texts if one not in told] == []
