"""What is looked at, check by check."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from handler import VERSION
from handler.doctor.dependencies import Schedule
from handler.doctor.findings import Check, Finding, failed, ok, skipped
from handler.doctor.schedule import window_of
from tools.verify.permissions import FUNCTIONS, roles, token_parameters
from tools.verify.reading import Deployed, Examine

Json = Any

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
QUARTER = 15 * MINUTE
FINISHED = ("run finished", "housekeeping finished")
BROKEN = ("error", "timeout")
RUNS = " || ".join(
    (
        *(f'($.message = "{one}")' for one in FINISHED),
        *(f'($.record.status = "{one}")' for one in BROKEN),
        '($.level = "ERROR")',
    )
)
DOCTOR = "ask the doctor: the stack's output DoctorCommand, with .venv/bin/ before it"
DRIFT = "revert the stack's drift"
ALARMS = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
DEFAULT_KEY = "alias/aws/ssm"


def stack(check: Check, of: Deployed) -> Iterator[Finding]:
    """Is the stack complete?"""
    status = of.description["StackStatus"]
    found = f"{of.name} in {of.region}: {status}"
    if status.endswith("_IN_PROGRESS"):
        yield skipped(check, f"{found}: CloudFormation is at work", "try again when it is done")
    elif status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        yield ok(check, found)
    else:
        why = "the last deploy failed, or was taken back"
        yield failed(
            check, found, why, "read the stack's events in CloudFormation, then make deploy"
        )


def of_each(of: Deployed) -> Iterator[tuple[str, str, Schedule, timedelta]]:
    """The stack's functions: logical id, schedule's name, schedule, and a time in which several runs are due."""
    group = of.physical("ScheduleGroup")
    for function in (one for one in FUNCTIONS.values() if one in of.resources):
        name = function.removesuffix("Function").lower()
        answer = of.client("scheduler").get_schedule(GroupName=group, Name=name)
        schedule = Schedule(answer["State"] == "ENABLED", answer["ScheduleExpression"])
        yield function, name, schedule, max(QUARTER, window_of(schedule) or QUARTER)


def schedules(check: Check, of: Deployed) -> Iterator[Finding]:
    """Are they enabled, and do they start the functions?"""
    for function, name, schedule, span in of_each(of):
        dimension = {"Name": "FunctionName", "Value": of.physical(function)}
        metric = {"Namespace": "AWS/Lambda", "MetricName": "Invocations", "Dimensions": [dimension]}
        runs = of.sums([metric], span).get("Invocations", 0)
        found = f"{name}: {schedule.expression}, {runs:.0f} runs in {span // MINUTE} minutes"
        if not schedule.enabled:
            cure = "find out why, then enable it where it was disabled; a deploy does not"
            yield failed(check, f"{name} is disabled", "somebody switched it off", cure)
        elif runs:
            yield ok(check, found)
        elif of.now - of.description["CreationTime"] < span:
            yield skipped(check, f"{found}; the stack is younger than that", "try again later")
        else:
            yield failed(
                check,
                found,
                "the schedule may not start the function, or Lambda throttles it",
                "read a message of the queue of the stack's output Undelivered; look at the "
                "ScheduleRole's trust, and at the function's reserved concurrency",
            )


def runs(check: Check, of: Deployed) -> Iterator[Finding]:
    """How did the last runs end, and is their version that of this checkout?"""
    for function, name, _, span in of_each(of):
        group = of.physical(function.replace("Function", "LogGroup"))
        told = [json.loads(one["message"]) for one in of.events(group, f"{{ {RUNS} }}", span)]
        ends = [one for one in told if one.get("message") in FINISHED]
        last = told[-1] if told else {}
        count = f"{name}: {len(ends)} runs ended, {len(told) - len(ends)} errors in {span // MINUTE} minutes"
        if not told:
            yield skipped(check, f"{count}; see the schedules", DOCTOR)
        elif last not in ends:
            said = last.get("message") or last.get("record", {}).get("status")
            yield failed(check, f"{count}; the last: {said}", "the log's line says it", DOCTOR)
        else:
            yield ok(check, f"{count}; the last: {json.dumps(last['summary'])}")
        version = ends[-1].get("version", VERSION) if ends else VERSION
        if version != VERSION:
            cause = "what is deployed is not of this checkout"
            cure = "make deploy, or check that version out"
            yield failed(check, f"version {version} runs, {VERSION} is here", cause, cure)
        elif ends and "version" in ends[-1]:
            yield ok(check, f"version {version} runs, as here")


def alarms(check: Check, of: Deployed) -> Iterator[Finding]:
    """Is any alarm on, or blind?"""
    if not (names := of.of_type(*ALARMS)):
        yield skipped(check, "the stack has no alarms (MonitoringEnabled=false)")
        return
    kinds = ["MetricAlarm", "CompositeAlarm"]
    found = of.client("cloudwatch").describe_alarms(AlarmNames=names, AlarmTypes=kinds)
    there = {one["AlarmName"]: one for kind in kinds for one in found.get(f"{kind}s", [])}
    for name in names:
        one = there.get(name, {"StateValue": "gone"})
        told = f"{name}: {one['StateValue']}"
        match one["StateValue"]:
            case "ALARM":
                why = one["AlarmDescription"].partition(". ")[0]
                yield failed(check, told, why, "docs/runbook.md has a section for each alarm")
            case "INSUFFICIENT_DATA" if of.now - one["StateUpdatedTimestamp"] < QUARTER:
                yield skipped(check, f"{told}; it is new", "try again in a quarter of an hour")
            case "INSUFFICIENT_DATA":
                yield failed(check, told, "its metric does not come", "see schedules and runs")
            case "gone":
                yield failed(check, told, "somebody deleted it", DRIFT)
    good = [one for one in there.values() if one["StateValue"] == "OK"]
    if good:
        yield ok(check, f"{len(good)} of {len(names)} alarms are OK")


def metrics_of(body: Json) -> Iterator[Json]:
    """The metrics of a dashboard; in a row, `.` and `...` repeat the row before."""
    for widget in body["widgets"]:
        before: list[str] = []
        for row in widget["properties"].get("metrics", []):
            words = [word for word in row if isinstance(word, str)]
            if not words:
                continue  # an expression
            if words[0] == "...":
                words = before[: len(before) - len(words) + 1] + words[1:]
            before = [before[i] if word == "." else word for i, word in enumerate(words)]
            space, name, *rest = before
            pairs = zip(rest[::2], rest[1::2], strict=True)
            dimensions = [{"Name": key, "Value": value} for key, value in pairs]
            yield {"Namespace": space, "MetricName": name, "Dimensions": dimensions}


def dashboards(check: Check, of: Deployed) -> Iterator[Finding]:
    """Have the metrics of the widgets data? Lambda sends its own with each run."""
    for name in of.of_type("AWS::CloudWatch::Dashboard"):
        answer = of.client("cloudwatch").get_dashboard(DashboardName=name)
        metrics = list(metrics_of(json.loads(answer["DashboardBody"])))
        have = of.sums(metrics, 7 * DAY).keys()
        all_of_them = {one["MetricName"] for one in metrics}
        due = {one["MetricName"] for one in metrics if one["Namespace"] == "AWS/Lambda"}
        found = f"{name}: {len(have)} of {len(all_of_them)} metrics have data in 7 days"
        if missing := ", ".join(sorted(due - have)):
            yield failed(
                check, f"{found}; not {missing}", "the function did not run", "see schedules"
            )
        else:
            yield ok(check, f"{found}; the others are sent only where they are not zero")


def filters(check: Check, of: Deployed) -> Iterator[Finding]:
    """Do the metric filters count what they match in the log?"""
    group = of.physical("TerminationLogGroup")
    part = "logs", "describe_metric_filters", "metricFilters"
    there = {one["filterName"]: one for one in of.pages(*part, logGroupName=group)}
    latest = (of.now - 5 * MINUTE).timestamp() * 1000  # until then a metric may be on its way
    for name in of.of_type("AWS::Logs::MetricFilter"):
        if name not in there:
            yield failed(check, f"{name} is gone", "somebody deleted it", DRIFT)
            continue
        (to,) = there[name]["metricTransformations"]
        metric = {"Namespace": to["metricNamespace"], "MetricName": to["metricName"]}
        counted = of.sums([metric], DAY).get(to["metricName"], 0)
        lines = of.events(group, there[name]["filterPattern"], DAY)
        held = sum(line["timestamp"] < latest for line in lines)
        found = f"{to['metricName']}: {held} lines of the log in 24 hours, {counted:.0f} counted"
        if held and not counted:
            yield failed(check, found, "the filter was changed, or is younger", DRIFT)
        else:
            yield ok(check, found)


def queues(check: Check, of: Deployed) -> Iterator[Finding]:
    """Are the dead-letter queues empty?"""
    name = "ApproximateNumberOfMessages"
    for queue in ("FailedRunsQueue", "UndeliveredQueue"):
        given = {"QueueUrl": of.physical(queue), "AttributeNames": [name]}
        count = int(of.client("sqs").get_queue_attributes(**given)["Attributes"][name])
        if count:
            cause = "runs failed, or could not be started, in the last 14 days"
            cure = "read a message, which has the reason; purge the queue when the cause is gone"
            yield failed(check, f"{queue}: {count} messages", cause, cure)
        else:
            yield ok(check, f"{queue} is empty")


def token(check: Check, of: Deployed) -> Iterator[Finding]:
    """Are there the parameters with the tokens? Asked for what they are, never for their values."""
    given = {p["ParameterKey"]: p.get("ParameterValue", "") for p in of.description["Parameters"]}
    key = given.get("TokenKmsKeyArn") or DEFAULT_KEY
    for name in token_parameters(of.environment("TerminationFunction")):
        wanted = [{"Key": "Name", "Option": "Equals", "Values": [name]}]
        found = of.pages("ssm", "describe_parameters", "Parameters", ParameterFilters=wanted)
        one = found[0] if found else {}
        told = f"{name}: {one.get('Type', 'not there')}"
        if one.get("Type") != "SecureString":
            cause = "the token was not put, or by other means"
            yield failed(
                check, told, cause, "make token; a parameter of another type must go before"
            )
        elif one.get("KeyId", key) not in {key, key.rpartition("/")[2]}:
            cause = f"it is encrypted with {one['KeyId']}: the role may not decrypt with that"
            yield failed(check, told, cause, "make token, with TokenKmsKeyArn as it is meant")
        else:
            yield ok(check, f"{told}, version {one['Version']}")


CHECKS: dict[Check, Examine] = {
    Check(one.__name__, one.__doc__ or ""): one
    for one in (stack, schedules, runs, roles, alarms, dashboards, filters, queues, token)
}
