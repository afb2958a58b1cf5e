"""What the doctor finds, and the judgements that need nothing but numbers and times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Check(StrEnum):
    """What is examined, in the order in which it is told."""

    SETTINGS = "settings"
    TOKEN = "token"  # noqa: S105 - a check's name
    BACKEND = "backend_reachable"
    TLS = "tls"
    TOKEN_ACCEPTED = "token_accepted"  # noqa: S105 - a check's name
    CLIENT_ACTIVE = "client_active"
    AGENT_KNOWN = "agent_known"
    LIST = "list_shape"
    AUTO_TERMINATE_BACKEND = "auto_terminate_backend"
    AUTO_TERMINATE_FUNCTION = "auto_terminate_function"
    DRY_RUN = "dry_run"
    CLOCK = "clock_skew"
    EC2_DESCRIBE = "ec2_describe"
    EC2_TERMINATE = "ec2_terminate"
    SPOT = "ec2_spot_requests"
    MARKED = "marked_instances"
    TABLE = "idempotency_table"
    SCHEDULE = "schedule"
    LAST_RUN = "last_run"


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """It works, though perhaps not as somebody meant it to."""
    FAILED = "failed"
    """This keeps instances from being terminated, or their end from being known."""
    SKIPPED = "skipped"
    """Not examined, or not to be judged; what was found says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result; a failed one, and a warning, names the cause and the cure."""

    check: Check
    status: Status
    found: str
    cause: str = ""
    cure: str = ""

    def as_returned(self) -> dict[str, str]:
        """For the doctor's answer: every key, empty ones too."""
        return {
            "check": self.check.value,
            "status": self.status.value,
            "found": self.found,
            "cause": self.cause,
            "cure": self.cure,
        }


def ok(check: Check, found: str) -> Finding:
    """The check holds."""
    return Finding(check, Status.OK, found)


def warning(check: Check, found: str, cause: str, cure: str) -> Finding:
    """Something to know about."""
    return Finding(check, Status.WARNING, found, cause, cure)


def failed(check: Check, found: str, cause: str, cure: str) -> Finding:
    """Something to mend."""
    return Finding(check, Status.FAILED, found, cause, cure)


def skipped(check: Check, why: str, cure: str = "") -> Finding:
    """Not examined, or not to be judged."""
    return Finding(check, Status.SKIPPED, why, "", cure)


def depends(check: Check, *on: Check) -> Finding:
    """Not examined, since it depends on checks that did not hold."""
    return skipped(check, f"it depends on {' and '.join(on)}")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings on one function."""

    patient: str
    findings: tuple[Finding, ...]

    @property
    def failures(self) -> tuple[str, ...]:
        """The checks that failed."""
        return self._with(Status.FAILED)

    @property
    def healthy(self) -> bool:
        """Whether no check failed; a warning, or a check that was skipped, is not an illness."""
        return not self.failures

    def as_returned(self) -> dict[str, object]:
        """The doctor's answer."""
        return {
            "healthy": self.healthy,
            "checks": [one.as_returned() for one in self.findings],
            "text": self.as_text(),
        }

    def as_text(self) -> str:
        """The same as lines for a person."""
        verdict = "healthy" if self.healthy else f"NOT healthy: {', '.join(self.failures)}"
        warned = self._with(Status.WARNING)
        see = f"; see also {', '.join(warned)}" if warned else ""
        lines = [f"{self.patient}: {verdict}{see}"]
        for one in self.findings:
            lines.append(f"{one.status.value:<8} {one.check.value:<24} {one.found}")
            lines += [
                f"{'':<9}{what}: {text}"
                for what, text in (("cause", one.cause), ("cure", one.cure))
                if text
            ]
        return "\n".join(lines)

    def _with(self, status: Status) -> tuple[str, ...]:
        return tuple(one.check.value for one in self.findings if one.status is status)


SKEW_TO_WARN = 5.0
"""Seconds: more than a slow network, or a date in whole seconds, explains."""
SKEW_TO_FAIL = 60.0
"""Seconds: the interval of runs; reported times are then visibly wrong."""


def least_skew(stated: datetime, sent: datetime, received: datetime) -> float:
    """Seconds by which another clock is ahead of ours at least; negative where it is behind.

    The date of an HTTP answer was made at some moment between the request and the answer, and is
    cut to the second. What that alone explains is no skew.
    """
    ahead = (stated - received).total_seconds()
    behind = (stated + timedelta(seconds=1) - sent).total_seconds()
    return ahead if ahead > 0 else min(behind, 0.0)


def judge_skew(skew: float) -> Finding:
    """What the skew of the backend's clock means."""
    found = f"the backend's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours"
    if abs(skew) <= SKEW_TO_WARN:
        return ok(Check.CLOCK, "the clocks agree" if abs(skew) < 1 else found)
    judge = failed if abs(skew) > SKEW_TO_FAIL else warning
    return judge(
        Check.CLOCK,
        found,
        "in Lambda AWS keeps our clock: the backend's host does not keep its own",
        "switch on time synchronisation (chrony, ntpd) on the backend's host and its database; "
        "until then waits and reported times are off by as much",
    )
