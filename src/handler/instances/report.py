"""Tells the backend what became of each instance: side by side, and a success once per window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from queue import SimpleQueue

from handler.deadline import Deadline
from handler.instances.outcome import Outcome, Settled
from handler.instances.ports import BackendError, Delivery, Outside, Report
from handler.timely import side_by_side

SUCCESSES = frozenset({Outcome.TERMINATED, Outcome.ALREADY_GONE})
FAILURES = frozenset({Outcome.REFUSED, Outcome.FAILED})
REMEMBERED_AT_ONCE = 100
"""Successes at the ledger at once: what waits there goes out in one request."""
LATE = "the run's time was up; the next run reports it"


@dataclass(slots=True)
class Reporting:
    """The reporting part of one run.

    Args:
        outside: for the backend and the ledger.
        deadline: reports stop being started when its time to report is over.
        at_once: reports under way at once (`BACKEND_CONCURRENCY`).
        done: called with each entry once its outcome is final.
    """

    outside: Outside
    deadline: Deadline
    at_once: int
    done: Callable[[Settled], None]
    # One for each report that may be under way: a semaphore, but for the price of Python's own.
    _lines: SimpleQueue[None] = field(default_factory=SimpleQueue, init=False)

    def __post_init__(self) -> None:
        for _ in range(self.at_once):
            self._lines.put(None)

    def deliver(self, settled: Sequence[Settled], *, dry_run: bool) -> list[Settled]:
        """Report what is to be reported; return every entry with its final outcome."""
        to_report = frozenset() if dry_run else SUCCESSES | FAILURES
        quiet = [self._finish(one) for one in settled if one.outcome not in to_report]
        loud = [one for one in settled if one.outcome in to_report]
        if not loud:
            return quiet
        # Successes first: what a lost failure report would say is found again by the next run.
        loud.sort(key=lambda one: one.outcome in FAILURES)
        workers = self.at_once
        if loud[0].outcome in SUCCESSES:
            _ = self.outside.ledger  # made here: boto3's sessions are not for several threads
            workers = max(workers, REMEMBERED_AT_ONCE)
        reported: dict[str, Settled] = {}
        for one, outcome in side_by_side(
            self._report, loud, at_once=workers, left=self.deadline.to_report
        ):
            reported[one.marked.instance_id] = self._finish(outcome)
        late = [one for one in loud if one.marked.instance_id not in reported]
        return [*quiet, *reported.values(), *(self._finish(_unreported(one, LATE)) for one in late)]

    def _report(self, settled: Settled) -> Settled:
        return self._failure(settled) if settled.outcome in FAILURES else self._success(settled)

    def _success(self, settled: Settled) -> Settled:
        if self.deadline.to_report() <= 0:
            return _unreported(settled, LATE)  # no record for what is not sent any more
        instance_id = settled.marked.instance_id
        report = Report(instance_id, None, settled.ended_at)
        try:
            delivery = self.outside.ledger.once(instance_id, lambda: self._send(report))
        except BackendError as error:
            return _unreported(settled, str(error))
        if delivery is Delivery.REPLAYED:
            why = f"{settled.why}; success was reported before"
            return replace(settled, outcome=Outcome.REPLAYED, why=why)
        if delivery is Delivery.UNDER_WAY:
            why = f"{settled.why}; another run is reporting it"
            return replace(settled, outcome=Outcome.DEFERRED, why=why)
        return settled

    def _failure(self, settled: Settled) -> Settled:
        try:
            self._send(Report(settled.marked.instance_id, settled.why, None))
        except BackendError as error:
            return _unreported(settled, str(error))
        return settled

    def _send(self, report: Report) -> None:
        self._lines.get()
        try:
            if self.deadline.to_report() <= 0:
                raise BackendError(LATE)
            self.outside.backend.report(report)
        finally:
            self._lines.put(None)

    def _finish(self, settled: Settled) -> Settled:
        self.done(settled)
        return settled


def _unreported(settled: Settled, error: str) -> Settled:
    """A lost failure report leaves the outcome as it was: the next run tries again."""
    why = f"{settled.why}; its report did not get through: {error}"
    outcome = settled.outcome if settled.outcome in FAILURES else Outcome.UNREPORTED
    return replace(settled, outcome=outcome, why=why)
