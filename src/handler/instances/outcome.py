"""The ways in which a listed entry's run can end (contract section 2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from handler.instances.model import Marked


class Outcome(Enum):
    """One outcome per listed entry; the key that is returned, and the metric's name."""

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


STILL_WAITING = frozenset(
    {
        Outcome.TERMINATED,
        Outcome.PLANNED,
        Outcome.PENDING,
        Outcome.REFUSED,
        Outcome.FAILED,
        Outcome.UNREPORTED,
        Outcome.DEFERRED,
    }
)
"""Outcomes of entries that were waiting for this function when the run began.

The others were not: they had been reported, were gone by themselves, or are not ours. A backend
lists confirmed replicas for ever with an ever larger wait (contract section 1, quirk 4), which
must not raise the alarm on the oldest wait.
"""


@dataclass(frozen=True, slots=True)
class Settled:
    """How one entry ended, with what the audit trail needs.

    Attributes:
        marked: the entry.
        outcome: its outcome.
        why: the reason, for people; it is also what a failure report says.
        error_code: AWS's code, where AWS said no.
        previous_state: the state that EC2 showed before.
        current_state: the state that EC2 shows now.
        request_id: EC2's request id of the call that settled it.
        ended_at: when it ended (UTC), for a success.
        took: seconds from marking to EC2's acceptance, where both are known.
    """

    marked: Marked
    outcome: Outcome
    why: str = ""
    error_code: str | None = None
    previous_state: str | None = None
    current_state: str | None = None
    request_id: str | None = None
    ended_at: datetime | None = None
    took: float | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run returns: the counts of contract section 2."""

    listed: int
    counts: Counter[Outcome]
    auto_terminate_enabled: bool
    dry_run: bool

    @classmethod
    def of(
        cls,
        settled: Iterable[Settled],
        *,
        invalid: int,
        auto_terminate_enabled: bool,
        dry_run: bool,
    ) -> Summary:
        """Count the outcomes; `listed` is their sum by construction."""
        counts = Counter(one.outcome for one in settled)
        counts[Outcome.INVALID] += invalid
        return cls(counts.total(), counts, auto_terminate_enabled, dry_run)

    def as_returned(self) -> dict[str, int | bool]:
        """The handler's answer: every key of the contract, zeros too."""
        return {
            "listed": self.listed,
            **{outcome.key: self.counts[outcome] for outcome in Outcome},
            "auto_terminate_enabled": self.auto_terminate_enabled,
            "dry_run": self.dry_run,
        }
