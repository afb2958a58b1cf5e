"""Examines what starts the runs: the schedule of EventBridge Scheduler."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from handler.aws import error_codes
from handler.aws.errors import AwsError
from handler.doctor.advice import allow, aws_failed
from handler.doctor.dependencies import Dependencies, Schedule, examines
from handler.doctor.findings import Check, Finding, failed, ok, skipped

SCHEDULE = Check("schedule", "Is there a schedule that starts the runs, and is it enabled?")
MINUTE = timedelta(minutes=1)
LEAST_WINDOW = timedelta(minutes=5)
RUNS_DUE = 3
"""Runs that are due in the window: one late run is no illness. The template's alarm is the same."""
_RATE = re.compile(r"rate\((\d{1,6}) (minute|hour|day)s?\)")
_UNITS = {"minute": MINUTE, "hour": timedelta(hours=1), "day": timedelta(days=1)}


@examines(
    SCHEDULE,
    needs_settings=False,
    not_local="`sam local` makes no schedule: a run begins when you invoke one",
)
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
            "it was deleted, or SCHEDULE_NAME was changed by hand: nothing starts the function",
            "revert the stack's drift, since deploying the same template makes nothing again",
        )
    if found.enabled:
        return ok(SCHEDULE, f"{name} is enabled: {found.expression}")
    return failed(
        SCHEDULE,
        f"{name} is disabled ({found.expression})",
        "somebody has switched the schedule off: nothing starts the function",
        "find out why, then enable it where it was disabled: in the console (EventBridge, Schedules) or "
        "on the command line. A deploy of the same template does not",
    )


def window_of(schedule: Schedule | None) -> timedelta | None:
    """How long ago the last good run may have been; None where no rate says it."""
    rate = _RATE.fullmatch(schedule.expression) if schedule else None
    if rate is None:
        return None
    return max(LEAST_WINDOW, RUNS_DUE * int(rate[1]) * _UNITS[rate[2]])
