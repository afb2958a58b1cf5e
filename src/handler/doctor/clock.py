"""Examines the backend's clock, by the date of its answer."""

from __future__ import annotations

from datetime import datetime

from handler.doctor.backend import REACHABLE, TLS
from handler.doctor.dependencies import Dependencies, Unreached, examines
from handler.doctor.findings import Check, Finding, depends, failed, ok, skipped, warning

CLOCK = Check("clock_skew", "Does the backend's clock agree with ours?")
SKEW_TO_WARN = 5.0
"""Seconds: more than a slow network, or a date in whole seconds, explains."""
SKEW_TO_FAIL = 60.0
"""Seconds: the interval of runs; reported times are then visibly wrong."""


@examines(CLOCK)
def examine(it: Dependencies) -> list[Finding]:
    """The backend's clock against ours, by its first answer."""
    answer = next(iter(it.answers.values()), None)
    if answer is None:
        return [depends(CLOCK, REACHABLE)]
    if isinstance(answer, Unreached):
        return [depends(CLOCK, TLS if answer.barrier.of_tls else REACHABLE)]
    if answer.stated is None:
        return [skipped(CLOCK, "the backend's answer bears no date")]
    return [judge_skew(least_skew(answer.stated, answer.sent, answer.received))]


def least_skew(stated: datetime, sent: datetime, received: datetime) -> float:
    """Seconds by which another clock is ahead of ours at least; negative where it is behind.

    The date of an HTTP answer was made at some moment between the request and the answer, and is
    cut to the second. What that alone explains is no skew.
    """
    ahead = (stated - received).total_seconds()
    behind = (stated - sent).total_seconds() + 1  # a later date may be none
    return ahead if ahead > 0 else min(behind, 0.0)


def judge_skew(skew: float) -> Finding:
    """What the skew of the backend's clock means."""
    found = f"the backend's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours"
    if abs(skew) <= SKEW_TO_WARN:
        return ok(CLOCK, "the clocks agree" if abs(skew) < 1 else found)
    judge = failed if abs(skew) > SKEW_TO_FAIL else warning
    return judge(
        CLOCK,
        found,
        "in Lambda AWS keeps our clock: the backend's host does not keep its own",
        "switch on time synchronisation (chrony, ntpd) on the backend's host and its database; "
        "until then waits and reported times are off by as much",
    )
