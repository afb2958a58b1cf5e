"""`make verify` on a stack in moto: each fault is found, nothing but reading is done, and no token is shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError

from handler import VERSION
from handler.doctor.findings import Check, Finding, Status, ok
from local.stack import CREDENTIALS
from tests.deploy.conftest import Deployed as Made
from tests.support.filter_pattern import matches
from tests.template.stack import Stack
from tools.verify.__main__ import main, verify
from tools.verify.checks import CHECKS, RUNS, metrics_of
from tools.verify.reading import READS, Deployed, NotReadingError, answer

pytestmark = pytest.mark.artifact

ENVIRONMENT = "us-east-1"
TOKEN = "t0p-s3cret"
READING = ("Get", "List", "Describe", "Simulate", "FilterLogEvents")
ALL_ALLOWED = """<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><SimulatePrincipalPolicyResult>
<IsTruncated>false</IsTruncated><EvaluationResults><member><EvalActionName>ec2:DescribeInstances</EvalActionName>
<EvalDecision>{}</EvalDecision></member></EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"""
FILTERS = ("BackendUnavailableFilter", "IamFailuresFilter")


class Raw:
    """A body as urllib3 hands it out."""

    def __init__(self, text: str) -> None:
        self._text = text

    def stream(self) -> Iterator[bytes]:
        yield self._text.encode()


@dataclass(frozen=True, eq=False)
class Whole(Deployed):
    """The stack with what moto's CloudFormation leaves out, and with an IAM that simulates."""

    made: Made = None  # type: ignore[assignment] # always given
    calls: tuple[list[str], ...] = ()
    simulated: str = "allowed"

    @cached_property
    def resources(self) -> dict[str, tuple[str, str]]:
        left_out = {
            "ScheduleGroup": ("AWS::Scheduler::ScheduleGroup", f"{self.name}-ScheduleGroup"),
            **{name: ("AWS::Logs::MetricFilter", name) for name in FILTERS},
            "NoRunsAlarm": ("AWS::CloudWatch::Alarm", f"{self.name}-no-runs"),
        }
        return {**super().resources, **left_out}

    def client(self, service: str) -> Any:
        client = super().client(service)
        events = client.meta.events
        events.register("before-call", self._note, unique_id="note")
        answered = "before-send.iam.SimulatePrincipalPolicy"
        events.register(answered, self._simulate, unique_id="simulate")
        return client

    def _note(self, model: Any, **_: object) -> None:
        self.calls[0].append(model.name)

    def _simulate(self, request: Any, **_: object) -> AWSResponse:
        text = ALL_ALLOWED.format(self.simulated)
        return AWSResponse(request.url, 200, HTTPHeaders(), Raw(text))


@pytest.fixture(scope="module")
def good(deployed: dict[str, Made]) -> Made:
    """A stack that works: with a schedule, an alarm, filters, metrics, a token and a run's last line."""
    made = deployed[ENVIRONMENT]
    stack = made.stack
    schedule = stack.one("AWS::Scheduler::Schedule")
    scheduler = made.client("scheduler")
    scheduler.create_schedule_group(Name=schedule["GroupName"])
    keys = ("Name", "GroupName", "ScheduleExpression", "FlexibleTimeWindow")
    target = {"Arn": schedule["Target"]["Arn"], "RoleArn": schedule["Target"]["RoleArn"]}
    scheduler.create_schedule(**{key: schedule[key] for key in keys}, Target=target)
    cloudwatch = made.client("cloudwatch")
    cloudwatch.put_metric_alarm(**alarm(stack))
    cloudwatch.set_alarm_state(
        AlarmName=alarm(stack)["AlarmName"], StateValue="OK", StateReason="-"
    )
    name = made.physical("Dashboard")
    body = json.loads(cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])
    for metric in metrics_of(body):
        if metric["Namespace"] == "AWS/Lambda":
            dimensions = [{"Name": "FunctionName", "Value": made.physical("TerminationFunction")}]
            assert metric["Dimensions"] == dimensions
            one = {"MetricName": metric["MetricName"], "Dimensions": dimensions, "Value": 1}
            one["Timestamp"] = datetime.now(UTC) - timedelta(minutes=2)
            cloudwatch.put_metric_data(Namespace="AWS/Lambda", MetricData=[one])
    for filter_name in FILTERS:
        one = stack.properties(filter_name)
        made.client("logs").put_metric_filter(
            logGroupName=made.physical("TerminationLogGroup"),
            filterName=filter_name,
            filterPattern=one["FilterPattern"],
            metricTransformations=[
                {key[0].lower() + key[1:]: value for key, value in each.items()}
                for each in one["MetricTransformations"]
            ],
        )
    made.client("ssm").put_parameter(
        Name="/spot-cleanup/agent-1/token", Value=TOKEN, Type="SecureString", Overwrite=True
    )
    say(made, {"message": "run finished", "summary": {"listed": 0}, "version": VERSION})
    return made


def alarm(stack: Stack) -> dict[str, Any]:
    given = stack.properties("NoRunsAlarm")
    left_out = {"Tags", "AlarmActions", "OKActions"}
    numbers = {k: int(given[k]) for k in ("EvaluationPeriods", "DatapointsToAlarm")}
    return {k: v for k, v in given.items() if k not in left_out} | numbers


def say(made: Made, line: dict[str, Any], ago: timedelta = timedelta()) -> None:
    """One line in the function's log."""
    logs, group = made.client("logs"), made.physical("TerminationLogGroup")
    now = datetime.now(UTC) - ago
    stream = f"s{now.timestamp()}"
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    event = {"timestamp": int(now.timestamp() * 1000), "message": json.dumps(line)}
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])


@pytest.fixture
def of(good: Made, monkeypatch: pytest.MonkeyPatch) -> Whole:
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": good.cloud.url}.items():
        monkeypatch.setenv(name, value)
    return Whole(good.stack.name, good.stack.region, datetime.now(UTC), good, ([],))


def found_on(of: Deployed, name: str) -> list[Finding]:
    (check,) = [one for one in CHECKS if one.name == name]
    return answer(check, of, CHECKS[check])


def wrong(of: Deployed, check: str) -> str:
    """What the only finding of a check that failed found."""
    (one,) = [one for one in found_on(of, check) if one.status is Status.FAILED]
    assert one.cause
    assert one.cure
    return one.found


def test_a_good_stack_is_ok_and_only_reading_was_done(of: Whole) -> None:
    told = verify(of).findings
    assert [one for one in told if one.status is not Status.OK] == []
    assert {one.check for one in told} == CHECKS.keys()
    (calls,) = of.calls
    assert set(calls) == READS.keys()
    assert all(name.startswith(READING) for name in calls)
    assert TOKEN not in str(told)


def test_a_call_that_does_not_read_is_refused_before_it_is_made(of: Whole) -> None:
    queue = of.physical("FailedRunsQueue")
    of.calls[0].clear()
    with pytest.raises(NotReadingError):
        of.client("sqs").purge_queue(QueueUrl=queue)
    with pytest.raises(NotReadingError):
        of.client("ssm").get_parameter(Name="/spot-cleanup/agent-1/token")
    assert of.calls == ([],)


def test_the_same_by_its_command(
    of: Whole, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.verify.__main__.Deployed", lambda *_: of)
    monkeypatch.setattr("sys.argv", ["verify", ENVIRONMENT])
    assert main() == 0
    shown = capsys.readouterr().out
    assert "1 runs ended, 0 errors" in shown
    assert TOKEN not in shown


@pytest.mark.parametrize("name", ["mars", "default"])
def test_an_unknown_block_lists_the_known_ones(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["verify", name])
    assert main() == 2
    assert "there are eu-west-1" in capsys.readouterr().err


def test_a_stack_that_is_not_there_is_one_finding(of: Whole) -> None:
    (one,) = verify(replace(of, name="none")).findings
    assert (one.check.name, one.status) == ("stack", Status.FAILED)


def test_where_aws_is_not_reached_nothing_can_be_told(
    of: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    (one,) = verify(replace(of, name="another")).findings
    assert (one.check.name, one.status) == ("stack", Status.SKIPPED)


@pytest.mark.parametrize("operation", sorted(READS))
def test_a_missing_permission_is_named_and_is_no_fault_of_the_stack(
    of: Whole, operation: str
) -> None:
    error = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, operation)

    def denied(check: Check, _: Deployed) -> Iterator[Finding]:
        yield ok(check, "so far")
        raise error

    first, second = answer(Check("check", ""), of, denied)
    assert first.status is Status.OK
    assert second.status is Status.SKIPPED
    assert second.cure == f"allow {READS[operation]}:{operation}"


def test_credentials_that_have_expired_are_no_fault_of_the_stack(of: Whole) -> None:
    def expired(*_: object) -> Iterator[Finding]:
        yield from ()
        raise ClientError({"Error": {"Code": "ExpiredToken"}}, "DescribeStacks")

    (one,) = answer(Check("check", ""), of, expired)
    assert one.status is Status.SKIPPED
    assert "credentials" in one.found


def test_a_schedule_that_is_off_or_gone_or_starts_nothing(of: Whole) -> None:
    scheduler = of.made.client("scheduler")
    group = of.physical("ScheduleGroup")
    is_ = scheduler.get_schedule(GroupName=group, Name="termination")
    given = {
        key: is_[key]
        for key in ("Name", "GroupName", "ScheduleExpression", "FlexibleTimeWindow", "Target")
    }
    try:
        scheduler.update_schedule(**given, State="DISABLED")
        assert wrong(of, "schedules") == "termination is disabled"
    finally:
        scheduler.update_schedule(**given, State="ENABLED")
    hours = timedelta(hours=2)
    later = replace(of, now=of.now + hours)
    assert "0 runs in 15 minutes" in wrong(later, "schedules")
    young = replace(of, now=of.now + hours)
    vars(young)["description"] = {**of.description, "CreationTime": of.now + hours}
    assert [one.status for one in found_on(young, "schedules")] == [Status.SKIPPED]
    elsewhere = replace(of)
    vars(elsewhere)["resources"] = {**of.resources, "ScheduleGroup": ("", "none")}
    assert "ResourceNotFound" in wrong(elsewhere, "schedules")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ({"level": "ERROR", "message": "run failed: the token"}, "the last: run failed: the token"),
        ({"type": "platform.report", "record": {"status": "timeout"}}, "the last: timeout"),
        (
            {"message": "run finished", "summary": {}, "version": "0.9"},
            f"version 0.9 runs, {VERSION} is here",
        ),
    ],
)
def test_a_run_that_failed_or_is_of_another_version(
    of: Whole, line: dict[str, Any], found: str
) -> None:
    assert matches(f"{{ {RUNS} }}", json.dumps(line))
    say(of.made, line)
    try:
        assert wrong(of, "runs").endswith(found)
    finally:
        say(of.made, {"message": "run finished", "summary": {}, "version": VERSION})


def test_what_does_not_end_a_run_is_not_asked_for() -> None:
    for line in ({"message": "instance"}, {"record": {"status": "success"}}, {"level": "INFO"}):
        assert not matches(f"{{ {RUNS} }}", json.dumps(line))


def test_without_a_run_it_cannot_be_told_how_they_end(of: Whole) -> None:
    later = replace(of, now=of.now + timedelta(hours=2))
    assert [one.status for one in found_on(later, "runs")] == [Status.SKIPPED]


def test_a_role_that_may_not(of: Whole) -> None:
    told = found_on(replace(of, simulated="implicitDeny"), "roles")
    assert {one.status for one in told} == {Status.FAILED}
    assert told[0].found == "TerminationRole: denied: ec2:DescribeInstances"


def test_an_alarm_that_is_on_or_blind_or_gone(of: Whole) -> None:
    cloudwatch, name = of.made.client("cloudwatch"), f"{of.name}-no-runs"

    def set_to(state: str) -> None:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="-")

    try:
        set_to("ALARM")
        assert wrong(of, "alarms") == f"{name}: ALARM"
        set_to("INSUFFICIENT_DATA")
        assert [one.status for one in found_on(of, "alarms")] == [Status.SKIPPED]
        later = replace(of, now=of.now + timedelta(hours=1))
        assert wrong(later, "alarms") == f"{name}: INSUFFICIENT_DATA"
        cloudwatch.delete_alarms(AlarmNames=[name])
        assert wrong(of, "alarms") == f"{name}: gone"
    finally:
        cloudwatch.put_metric_alarm(**alarm(of.made.stack))
        set_to("OK")


def test_a_dashboard_without_data(of: Whole) -> None:
    later = replace(of, now=of.now + timedelta(days=9))
    assert "not Duration, Errors, Invocations, Throttles" in wrong(later, "dashboards")


def test_a_filter_that_is_gone_or_counts_nothing(of: Whole) -> None:
    line = {"level": "ERROR", "message": "run failed: AccessDenied", "error_code": "AccessDenied"}
    say(of.made, line, ago=timedelta(hours=1))
    assert "IamFailures: " in {one.found[:13] for one in found_on(of, "filters")}
    found = [one.found for one in found_on(of, "filters") if one.status is Status.FAILED]
    assert any(one.startswith("IamFailures") and one.endswith(", 0 counted") for one in found)
    elsewhere = replace(of)
    vars(elsewhere)["resources"] = {**of.resources, "F": ("AWS::Logs::MetricFilter", "other")}
    gone = [one.found for one in found_on(elsewhere, "filters") if one.status is Status.FAILED]
    assert "other is gone" in gone


@pytest.mark.parametrize("queue", ["FailedRunsQueue", "UndeliveredQueue"])
def test_a_dead_letter(of: Whole, queue: str) -> None:
    sqs, url = of.made.client("sqs"), of.physical(queue)
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    try:
        assert wrong(of, "queues") == f"{queue}: 1 messages"
    finally:
        sqs.purge_queue(QueueUrl=url)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda ssm, name: ssm.delete_parameter(Name=name), "not there"),
        (
            lambda ssm, name: (
                ssm.delete_parameter(Name=name),
                ssm.put_parameter(Name=name, Value=TOKEN, Type="String"),
            ),
            "String",
        ),
        (
            lambda ssm, name: ssm.put_parameter(
                Name=name, Value=TOKEN, Type="SecureString", KeyId="alias/other", Overwrite=True
            ),
            "SecureString",
        ),
    ],
)
def test_a_token_that_is_not_there_or_not_secret_or_under_another_key(
    of: Whole, change: Callable[[Any, str], object], found: str
) -> None:
    ssm, name = of.made.client("ssm"), "/spot-cleanup/agent-1/token"
    change(ssm, name)
    try:
        assert wrong(of, "token") == f"{name}: {found}"
    finally:
        boto3.client("ssm", region_name=of.region).delete_parameters(Names=[name])
        ssm.put_parameter(Name=name, Value=TOKEN, Type="SecureString")


def test_a_stack_that_was_rolled_back_or_is_at_work(of: Whole) -> None:
    for stack_status, status in (
        ("UPDATE_ROLLBACK_COMPLETE", Status.FAILED),
        ("UPDATE_IN_PROGRESS", Status.SKIPPED),
    ):
        other = replace(of)
        vars(other)["description"] = {"StackStatus": stack_status}
        assert [one.status for one in found_on(other, "stack")] == [status]
