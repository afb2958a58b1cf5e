"""Tells the backend what became of each machine: while EC2 is still asked, and a success once per window."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from queue import Empty, PriorityQueue, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from handler.backend.api import LONGEST_ERROR, BackendApi
from handler.backend.errors import BackendError
from handler.instances.outcome import Denied, Ended, Left, Outcome, Result, Settled
from handler.instances.ports import Backend, Claim, Report, Table

if TYPE_CHECKING:
    from handler.deadline import Deadline
    from handler.instances.model import Agent

LATE = "the run's time was up; the next run reports it"
LEAST_FOR_ONE = 1.0
"""Seconds that a report is given at least: one is not begun whose answer would not be heard."""
ROUNDS = 3
"""How often a report is made, each time after all others had their turn. The original backend commits
row and event separately: one that it answered with 500 may never be listed again (quirk 8)."""
HEARD_OUT = 0.6
"""Seconds after the time to report for which answers are listened to: the last try's own limit."""
KEPT_TOGETHER = 25
"""Acknowledgements that are written to the table at once, while reports go on."""


@dataclass(frozen=True, slots=True)
class TerminationReports:
    """The port `Backend`: POST termination-report, as one agent."""

    api: BackendApi
    deadline: Deadline

    def report(self, report: Report) -> None:
        """Deliver it. Raises BackendError unless the backend acknowledged it."""
        sent = {
            "instance_id": report.instance_id,
            "success": report.error is None,
            "error": report.error and report.error[:LONGEST_ERROR],
            "terminated_at": wire_time(report.ended_at) if report.ended_at else None,
        }
        self.api.post("termination-report", sent, self.deadline.to_report)


def wire_time(moment: datetime) -> str:
    """The backend's time format: naive ISO 8601 in UTC, whole seconds (contract, quirk 1)."""
    return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat()


@dataclass(order=True, slots=True)
class _Job:
    """One report to make; the first rounds go first, and successes before failures.

    What a lost failure report would say is found again by the next run.
    """

    round: int
    failure: bool
    number: int
    result: Ended | Denied = field(compare=False)


@dataclass(slots=True)
class Reporter:
    """The reporting part of one run; everything that is submitted comes back settled, once.

    Args:
        backend_of: the backend as an agent reports to it.
        table: the idempotency table; not asked for where nothing succeeded.
        deadline: reports stop being begun when their answer would not be heard any more.
        at_once: reports under way at once (`BACKEND_CONCURRENCY`).
        done: called with each machine once its outcome is final.
        dry_run: nothing is reported.
    """

    backend_of: Callable[[Agent], Backend]
    table: Callable[[], Table]
    deadline: Deadline
    at_once: int
    done: Callable[[Settled], None]
    dry_run: bool
    _settled: list[Settled] = field(default_factory=list, init=False)
    _waiting: PriorityQueue[_Job] = field(default_factory=PriorityQueue, init=False)
    _answers: SimpleQueue[tuple[_Job, Exception | None]] = field(
        default_factory=SimpleQueue, init=False
    )
    _open: dict[str, _Job] = field(default_factory=dict, init=False)
    _posters: int = field(default=0, init=False)
    _numbers: int = field(default=0, init=False)
    _acknowledged: list[str] = field(default_factory=list, init=False)
    _released: list[str] = field(default_factory=list, init=False)
    _over: bool = field(default=False, init=False)

    def submit(self, results: Iterable[Result]) -> None:
        """Begin to report these; may be called as often as there are results."""
        ended: dict[str, Ended] = {}
        for one in results:
            if isinstance(one, Left):
                self._finish(one, one.outcome, one.why, untagged=one.untagged)
            elif self.dry_run:
                outcome = one.outcome if isinstance(one, Denied) else Outcome.DEFERRED
                self._finish(one, outcome, one.why)
            elif isinstance(one, Denied):
                self._post(one)
            else:
                ended[one.marked.instance_id] = one
        if ended:
            self._claim(ended)
        self._hear(wait=False)

    def finish(self) -> list[Settled]:
        """Wait for the answers within the run's time; all that was submitted, each with its outcome."""
        while self._open and self._seconds_left() > 0:
            self._hear(wait=True)
        self._over = True
        for job in list(self._open.values()):
            self._lost(job, LATE)
        self._keep()
        if self._released and self.deadline.to_report() > 0:  # else the claims end with the run
            self.table().release(self._released)
        return self._settled

    def _seconds_left(self) -> float:
        return self.deadline.to_report() + HEARD_OUT

    def _claim(self, ended: dict[str, Ended]) -> None:
        for instance_id, claim in self.table().claim(list(ended)).items():
            one = ended[instance_id]
            if claim is Claim.REPORTED:
                self._finish(one, Outcome.REPLAYED, f"{one.why}; success was reported before")
            elif claim is Claim.UNDER_WAY:
                self._finish(one, Outcome.DEFERRED, f"{one.why}; another run is reporting it")
            else:
                self._post(one)

    def _post(self, result: Ended | Denied) -> None:
        self._numbers += 1
        job = _Job(0, isinstance(result, Denied), self._numbers, result)
        self._open[result.marked.instance_id] = job
        self._waiting.put(job)
        if self._posters < min(self.at_once, len(self._open)):
            self._posters += 1
            Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        """One poster: makes reports, one after the other, until the run's reporting is over."""
        while not self._over:
            try:
                job = self._waiting.get(timeout=0.5)
            except Empty:
                continue
            self._answers.put((job, self._make(job)))

    def _make(self, job: _Job) -> Exception | None:
        if self.deadline.to_report() < LEAST_FOR_ONE:
            return BackendError(LATE)
        one = job.result
        error, at = (one.why, None) if isinstance(one, Denied) else (None, one.at)
        try:
            self.backend_of(one.marked.agent).report(Report(one.marked.instance_id, error, at))
        except Exception as trouble:  # noqa: BLE001 - whatever it is, it is this report's trouble alone
            return trouble
        return None

    def _hear(self, *, wait: bool) -> None:
        """Take the answers that are there; with `wait` at least one, or what the time allows."""
        while self._open:
            try:
                if wait:
                    job, trouble = self._answers.get(timeout=max(self._seconds_left(), 0.001))
                else:
                    job, trouble = self._answers.get_nowait()
            except Empty:
                return
            wait = False
            if trouble is None:
                self._made(job)
            elif job.round + 1 < ROUNDS and worth_another_round(trouble):
                self._waiting.put(replace(job, round=job.round + 1))
            else:
                self._lost(job, str(trouble))

    def _made(self, job: _Job) -> None:
        one = job.result
        del self._open[one.marked.instance_id]
        if isinstance(one, Denied):
            self._finish(one, one.outcome, one.why)
            return
        self._finish(one, one.acknowledged, one.why, took=one.took)
        self._acknowledged.append(one.marked.instance_id)
        if len(self._acknowledged) >= KEPT_TOGETHER:
            self._keep()

    def _keep(self) -> None:
        if self._acknowledged:
            kept, self._acknowledged = self._acknowledged, []
            self.table().acknowledged(kept)

    def _lost(self, job: _Job, why: str) -> None:
        """A lost failure report leaves the outcome as it was: the next run tries again."""
        one = job.result
        del self._open[one.marked.instance_id]
        outcome = one.outcome if isinstance(one, Denied) else Outcome.UNREPORTED
        self._finish(one, outcome, f"{one.why}; its report did not get through: {why}")
        if isinstance(one, Ended):
            self._released.append(one.marked.instance_id)

    def _finish(
        self,
        result: Result,
        outcome: Outcome,
        why: str,
        *,
        took: float | None = None,
        untagged: bool = False,
    ) -> None:
        settled = Settled(result.marked, outcome, why, result.trace, took, untagged)
        self._settled.append(settled)
        self.done(settled)


def worth_another_round(trouble: Exception) -> bool:
    """Whether a report that was not acknowledged may be by a later try of the same run."""
    status = getattr(trouble, "status", None)
    return isinstance(trouble, BackendError) and (
        status is None or status in {408, 425, 429} or status >= 500
    )
