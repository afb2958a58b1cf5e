"""What became of a machine, phase by phase: each phase has a type of its own.

A decision says what is to be done (`rules.Decision`). Acting makes it a *result*: `Ended`, `Denied`
or `Left`. Reporting makes that a `Settled`, which alone bears one of the contract's outcomes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Literal, TypeAlias

from handler.instances.model import Marked


class Outcome(Enum):
    """One outcome per listed machine (contract section 2): the returned key, the metric's name."""

    TERMINATED = ("terminated", "InstancesTerminated")
    ALREADY_GONE = ("already_gone", "InstancesAlreadyGone")
    PLANNED = ("planned", "TerminationsPlanned")
    PENDING = ("pending", "TerminationsPending")
    REPLAYED = ("replayed", "ReportsReplayed")
    REFUSED = ("refused", "TerminationsRefused")
    FAILED = ("failed", "TerminationFailures")
    UNREPORTED = ("unreported", "ReportFailures")
    IGNORED = ("ignored", "InstancesIgnored")
    DEFERRED = ("deferred", "InstancesDeferred")
    INVALID = ("invalid", "InvalidEntries")

    def __init__(self, key: str, metric: str) -> None:
        self.key = key
        self.metric = metric


@dataclass(frozen=True, slots=True)
class Trace:
    """What the audit trail keeps of a call to EC2: codes, states and request id, where there are."""

    error_code: str | None = None
    previous_state: str | None = None
    current_state: str | None = None
    request_id: str | None = None


NO_TRACE = Trace()


@dataclass(frozen=True, slots=True)
class Ended:
    """It has ended, or EC2 has accepted to end it: a success report is due, as `marked.agent`.

    Attributes:
        marked: the owner's entry.
        by_api: terminated through the API; else it is gone for another cause.
        at: when it ended (UTC).
        why: the reason, for people.
        took: seconds from marking to EC2's acceptance, where both are known.
    """

    marked: Marked
    by_api: bool
    at: datetime
    why: str
    trace: Trace = NO_TRACE
    took: float | None = None

    @property
    def acknowledged(self) -> Literal[Outcome.TERMINATED, Outcome.ALREADY_GONE]:
        """Its outcome once the report is acknowledged, for the first time in the window."""
        return Outcome.TERMINATED if self.by_api else Outcome.ALREADY_GONE


@dataclass(frozen=True, slots=True)
class Denied:
    """It is ours, and a guard or EC2 said no: a failure report is due, as `marked.agent`."""

    marked: Marked
    outcome: Literal[Outcome.REFUSED, Outcome.FAILED]
    why: str
    trace: Trace = NO_TRACE


@dataclass(frozen=True, slots=True)
class Left:
    """Nothing was done that is to be reported; `untagged`: it lives, and nobody can end it."""

    marked: Marked
    outcome: Literal[Outcome.PLANNED, Outcome.PENDING, Outcome.IGNORED, Outcome.DEFERRED]
    why: str
    trace: Trace = NO_TRACE
    untagged: bool = False


Result: TypeAlias = Ended | Denied | Left


@dataclass(frozen=True, slots=True)
class Settled:
    """How one machine's run ended: what is logged and counted."""

    marked: Marked
    outcome: Outcome
    why: str
    trace: Trace = NO_TRACE
    took: float | None = None
    untagged: bool = False


def settled_as(result: Result, outcome: Outcome, why: str) -> Settled:
    """How a result ended; what it took counts only with a report that was acknowledged now."""
    acknowledged = isinstance(result, Ended) and outcome is result.acknowledged
    took = result.took if isinstance(result, Ended) and acknowledged else None
    untagged = isinstance(result, Left) and result.untagged
    return Settled(result.marked, outcome, why, result.trace, took, untagged)


def unreported(result: Ended | Denied, why: str) -> Settled:
    """A lost failure report leaves the outcome as it was: the next run tries again."""
    outcome = result.outcome if isinstance(result, Denied) else Outcome.UNREPORTED
    return settled_as(result, outcome, f"{result.why}; its report did not get through: {why}")


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run returns: the counts of contract section 2."""

    counts: Counter[Outcome]
    auto_terminate_enabled: bool
    dry_run: bool
    agents_failed: int = 0
    untagged: int = 0
    placeholders: int = 0

    @property
    def listed(self) -> int:
        """Machines, each once, and entries that are invalid."""
        return self.counts.total()

    def as_returned(self) -> dict[str, int | bool]:
        """The handler's answer: every key of the contract, zeros too, but for the last two."""
        answer: dict[str, int | bool] = {
            "listed": self.listed,
            **{outcome.key: self.counts[outcome] for outcome in Outcome},
            "auto_terminate_enabled": self.auto_terminate_enabled,
            "dry_run": self.dry_run,
        }
        answer |= {
            key: count
            for key, count in (("agents_failed", self.agents_failed), ("untagged", self.untagged))
            if count
        }
        return answer
