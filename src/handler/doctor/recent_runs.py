"""What starts the runs, and whether the last good one is too long ago: pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from handler.doctor.findings import Check, Finding, failed, ok, skipped, warning


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


MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
LEAST_WINDOW = timedelta(minutes=5)
RUNS_DUE = 3
"""Runs that are due in the window: one late run is no illness. The template's alarm is the same."""
_RATE = re.compile(r"rate\((\d{1,6}) (minute|hour|day)s?\)")
_UNITS = {
    "minute": MINUTE,
    "hour": HOUR,
    "day": timedelta(days=1),
}


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
        return ok(Check.LAST_RUN, found)
    if schedule is not None and not schedule.enabled:
        return skipped(Check.LAST_RUN, f"it depends on {Check.SCHEDULE}; {found}")
    judge = warning if rate is None else failed
    if any(one.invocations for one in runs if now - one.began <= window + MINUTE):
        return judge(
            Check.LAST_RUN,
            found,
            "runs are started and end in an error",
            "mend what failed above; if nothing did, the newest error in the function's log "
            "(stack output LogGroup) names the cause",
        )
    if rate is None:
        return warning(
            Check.LAST_RUN,
            f"{found}; none was started in the last {_span(window)}",
            "nothing has started the function lately; whether anything should have is not known here",
            f"see {Check.SCHEDULE} above, and the function's other triggers, if you gave it some",
        )
    return failed(
        Check.LAST_RUN,
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
