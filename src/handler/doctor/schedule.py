"""Examines what starts the runs, and whether the last good one is too long ago."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from handler.aws import error_codes
from handler.aws.errors import AwsError
from handler.doctor.advice import allow, aws_failed
from handler.doctor.dependencies import Dependencies, examines
from handler.doctor.findings import Check, Finding, failed, ok, skipped, warning

SCHEDULE = Check("schedule", "Is there a schedule that starts the runs, and is it enabled?")
LAST_RUN = Check("last_run", "Did a run end well lately?")
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
LEAST_WINDOW = timedelta(minutes=5)
RUNS_DUE = 3
"""Runs that are due in the window: one late run is no illness. The template's alarm is the same."""
_RATE = re.compile(r"rate\((\d{1,6}) (minute|hour|day)s?\)")
_UNITS = {"minute": MINUTE, "hour": HOUR, "day": timedelta(days=1)}


@dataclass(frozen=True, slots=True)
class Schedule:
    """What starts the runs."""

    enabled: bool
    expression: str


@dataclass(frozen=True, slots=True)
class Minute:
    """The runs that began in one minute, as Lambda counted them."""

    began: datetime
    invocations: int
    errors: int


@examines(SCHEDULE, needs_settings=False)
def examine(it: Dependencies) -> list[Finding]:
    """The original guide's cause 1."""
    name = it.schedule_name
    if name is None:
        why = "SCHEDULE_NAME does not say which it is: the template sets it to group/name"
        return [skipped(SCHEDULE, why)]
    found = it.look(lambda: _find(it.client("scheduler"), name))
    if not isinstance(found, AwsError):
        it.schedule = found or Schedule(enabled=False, expression="")
    return [judge_schedule(found, name)]


@examines(LAST_RUN, needs_settings=False)
def last_run(it: Dependencies) -> list[Finding]:
    """When the last run succeeded; invocations of the doctor count as well."""
    now = it.clock()
    began = now - look_back(it.schedule)
    runs = it.look(lambda: _runs(it.client("cloudwatch"), it.function_name, began, now))
    if not isinstance(runs, AwsError):
        return [judge_runs(runs, now, it.schedule)]
    if runs.denied:
        cure = allow("cloudwatch:GetMetricData")
        return [skipped(LAST_RUN, f"{runs.code}: the metrics may not be read", cure)]
    return [aws_failed(LAST_RUN, runs, "cloudwatch:GetMetricData")]


def _find(scheduler: Any, name: str) -> Schedule | AwsError | None:  # noqa: ANN401 - boto3's class
    """GetSchedule by `group/name`; None where there is none."""
    group, _, own_name = name.partition("/")
    try:
        answer = scheduler.get_schedule(GroupName=group, Name=own_name)
    except error_codes.SDK_ERRORS as error:
        found = error_codes.read(error)
        return None if found.code == "ResourceNotFoundException" else found
    if error_codes.lacks(answer, "State"):
        return error_codes.NOT_AWS
    return Schedule(answer["State"] == "ENABLED", answer["ScheduleExpression"])


def _runs(
    cloudwatch: Any,  # noqa: ANN401 - boto3's class
    function_name: str,
    began: datetime,
    now: datetime,
) -> tuple[Minute, ...] | AwsError:
    """Invocations and errors by the minute: GetMetricData, in one call."""
    metric = {
        "Namespace": "AWS/Lambda",
        "Dimensions": [{"Name": "FunctionName", "Value": function_name}],
    }
    queries = [
        {
            "Id": name.lower(),
            "MetricStat": {"Metric": {**metric, "MetricName": name}, "Period": 60, "Stat": "Sum"},
        }
        for name in ("Invocations", "Errors")
    ]
    try:
        answer = cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=began, EndTime=now)
    except error_codes.SDK_ERRORS as error:
        return error_codes.read(error)
    if error_codes.lacks(answer, "MetricDataResults"):
        return error_codes.NOT_AWS
    counts: dict[str, dict[datetime, int]] = defaultdict(dict)
    for result in answer["MetricDataResults"]:
        pairs = zip(result["Timestamps"], result["Values"], strict=True)
        counts[result["Id"]].update({at: round(value) for at, value in pairs})
    errors = counts["errors"]
    started = counts["invocations"].items()
    return tuple(Minute(at, count, errors.get(at, 0)) for at, count in started if count)


def judge_schedule(found: Schedule | AwsError | None, name: str) -> Finding:
    """Whether something starts the runs."""
    if isinstance(found, AwsError):
        if found.denied:
            cure = allow("scheduler:GetSchedule on the schedule")
            return skipped(SCHEDULE, f"{name}: {found.code}: it may not be looked at", cure)
        return aws_failed(SCHEDULE, found, "scheduler:GetSchedule", f"{name}: ")
    if found is None:
        return failed(
            SCHEDULE,
            f"there is no schedule {name}",
            "it was deleted, or the stack does not serve this agent: nothing starts the function for it",
            "see whether the stack's parameters name the agent; if they do, somebody deleted the schedule: "
            "revert the stack's drift, since deploying the same template makes nothing again",
        )
    if found.enabled:
        return ok(SCHEDULE, f"{name} is enabled: {found.expression}")
    return failed(
        SCHEDULE,
        f"{name} is disabled ({found.expression})",
        "somebody has switched the schedule off: nothing starts the function for this agent",
        "find out why, then enable it where it was disabled: in the console (EventBridge, Schedules) or "
        "on the command line. A deploy of the same template does not",
    )


def window_of(schedule: Schedule | None) -> timedelta | None:
    """How long ago the last good run may have been; None where no rate says it."""
    rate = _RATE.fullmatch(schedule.expression) if schedule else None
    if rate is None:
        return None
    return max(LEAST_WINDOW, RUNS_DUE * int(rate[1]) * _UNITS[rate[2]])


def look_back(schedule: Schedule | None) -> timedelta:
    """How far back to look for runs: over the window, whose first minute may be cut."""
    return max(HOUR, (window_of(schedule) or LEAST_WINDOW) + MINUTE)


def judge_runs(runs: Sequence[Minute], now: datetime, schedule: Schedule | None) -> Finding:
    """When the last run succeeded, and whether that is long ago under this schedule.

    Args:
        runs: those of `look_back`, in any order; of a function that serves several agents, all.
        now: the time now.
        schedule: None where it is not known; one that does not exist is not enabled either.
    """
    rate = window_of(schedule)
    window = rate or LEAST_WINDOW
    # A run's time within its minute is not known: the latest counts, in doubt for the function.
    good = [min(one.began + MINUTE, now) for one in runs if one.invocations > one.errors]
    count = sum(one.invocations for one in runs)
    wrong = sum(one.errors for one in runs)
    looked_back = _span(look_back(schedule))
    found = f"no run of the function in the last {looked_back}"
    if count:
        last = f"{_span(now - max(good))} ago" if good else f"over {looked_back} ago"
        found = (
            f"last good run {last} ({count} runs of the function in the last {looked_back}, "
            f"{wrong} with an error)"
        )
    if good and now - max(good) <= window:
        return ok(LAST_RUN, found)
    if schedule is not None and not schedule.enabled:
        return skipped(LAST_RUN, f"it depends on {SCHEDULE}; {found}")
    judge = warning if rate is None else failed
    if any(one.invocations for one in runs if now - one.began <= window + MINUTE):
        return judge(
            LAST_RUN,
            found,
            "runs are started and end in an error",
            "mend what failed above; if nothing did, the newest error in the function's log "
            "(stack output LogGroup) names the cause",
        )
    if rate is None:
        return warning(
            LAST_RUN,
            f"{found}; none was started in the last {_span(window)}",
            "nothing has started the function lately; whether anything should have is not known here",
            f"see {SCHEDULE} above, and the function's other triggers, if you gave it some",
        )
    return failed(
        LAST_RUN,
        f"{found}; none was started in the last {_span(window)}",
        "the schedule does not get through to the function: its role may not invoke it, or Lambda "
        "throttled it. A stack that is younger than this has none yet",
        "read a message in the queue of the stack's output Undelivered: it names the reason; then see "
        "whether the function's reserved concurrency is 0",
    )


def _span(time: timedelta) -> str:
    minutes = max(int(time.total_seconds() // 60), 0)
    if minutes <= 1:
        return "a minute"
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"
