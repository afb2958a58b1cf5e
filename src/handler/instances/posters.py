"""Makes reports side by side, the most urgent first, as long as their answers can be heard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from queue import PriorityQueue
from threading import Thread
from typing import TYPE_CHECKING

from handler.backend.errors import BackendError
from handler.instances.outcome import Denied, Ended
from handler.instances.ports import Backend, Report

if TYPE_CHECKING:
    from handler.deadline import Deadline
    from handler.instances.model import Agent

LATE = "the run's time was up; the next run reports it"
LEAST = 1.0
"""Seconds that an answer is given at least; a report that cannot have them is not begun."""
LAST = 1_000
"""The turn after all others."""


@dataclass(slots=True, eq=False)
class Job:
    """A report to make, and how often it was made again."""

    result: Ended | Denied
    again: int = 0

    @property
    def instance_id(self) -> str:
        """Whose report it is."""
        return self.result.marked.instance_id


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a report: acknowledged where there is no trouble."""

    job: Job
    trouble: Exception | None
    begun: bool = True


class Posters:
    """Up to so many threads, started when there is work for them.

    Args:
        backend_of: the backend as an agent reports to it.
        deadline: a report is not begun when its answer would come after the time to report.
        at_once: threads at most (`BACKEND_CONCURRENCY`).
        tell: called by them with each answer.
    """

    def __init__(
        self,
        backend_of: Callable[[Agent], Backend],
        deadline: Deadline,
        at_once: int,
        tell: Callable[[Answer], None],
    ) -> None:
        self._backend_of, self._deadline, self._at_once = backend_of, deadline, at_once
        self._tell = tell
        self._jobs: PriorityQueue[tuple[int, int, Job | None]] = PriorityQueue()
        self._handed = self._threads = 0
        self._usual = LEAST

    def hand(self, job: Job, turn: int) -> None:
        """Have it made; those with a lower turn go first."""
        self._handed += 1
        self._jobs.put((turn, self._handed, job))
        if self._threads < min(self._handed, self._at_once):
            self._threads += 1
            Thread(target=self._work, daemon=True).start()

    def late(self) -> bool:
        """Whether an answer would come too late to be heard, by how long answers usually take."""
        return self._deadline.to_report() < self._usual

    def end(self) -> None:
        """No more will be handed."""
        for _ in range(self._threads):
            self._jobs.put((LAST, 0, None))

    def _work(self) -> None:
        while (job := self._jobs.get()[-1]) is not None:
            if self.late():
                self._tell(Answer(job, BackendError(LATE), begun=False))
                continue
            before = self._deadline.to_report()
            trouble = self._post(job.result)
            took = before - self._deadline.to_report()
            # Twice the moving average; that two threads may write at once costs a sample, no more.
            self._usual += (max(LEAST, 2 * took) - self._usual) / 8
            self._tell(Answer(job, trouble))

    def _post(self, one: Ended | Denied) -> Exception | None:
        error, at = (one.why, None) if isinstance(one, Denied) else (None, one.at)
        try:
            self._backend_of(one.marked.agent).report(Report(one.marked.instance_id, error, at))
        except Exception as trouble:  # noqa: BLE001 - whatever it is, it is this report's trouble alone
            return trouble
        return None
