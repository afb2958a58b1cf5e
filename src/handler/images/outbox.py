"""Sees to it that every deletion is reported once, also when a run dies or the backend is away.

What a run sets out to delete is written down before the first deletion, and what became of it before
the report is attempted. A run that dies in between leaves its intention behind: the next one looks
at what is still there, and reports the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from handler.aws.errors import AwsError, ErrorKind
from handler.images.cleanup import Backlog, Backlogs, CleanupBackend, CleanupReport
from handler.images.model import Estate
from handler.images.ports import ReportJournal
from handler.instances.ports import BackendError

SLACK = timedelta(seconds=60)
"""Added to a run's time before it counts as dead: clocks differ a little."""


@dataclass(slots=True)
class Reports:
    """The reporting part of one run.

    `_backlog` is None once the table has failed: then the run goes on without it, and its report
    is logged in full.
    """

    backend: CleanupBackend
    backlogs: Backlogs
    estate: Estate
    journal: ReportJournal
    clock: Callable[[], datetime]
    _backlog: Backlog | None = field(default=None, init=False)
    _down: str = field(default="", init=False)
    _intends: bool = field(default=False, init=False)

    @property
    def waiting(self) -> int:
        """Reports that wait for the backend."""
        return 0 if self._backlog is None else len(self._backlog.waiting)

    def catch_up(self) -> str | None:
        """Account for earlier runs, and report what waits. Returns why this run may delete nothing."""
        loaded = self.backlogs.load()
        if isinstance(loaded, AwsError):
            self._note_down(loaded)
            return None
        self._backlog = loaded
        if loaded.intended is not None:
            if loaded.busy_until is not None and loaded.busy_until > self.clock():
                return "another run is at work"
            if (error := self._settle_intention(loaded, loaded.intended)) is not None:
                return f"what an earlier run deleted could not be looked up: {error}"
        if self.waiting:
            self._deliver()
        if self._full:
            return "too many reports wait for the backend"
        return None

    @property
    def _full(self) -> bool:
        return self._backlog is not None and self._backlog.full

    def intend(self, report: CleanupReport, seconds: float) -> str | None:
        """Write down what is about to be deleted. Returns why nothing may be after all."""
        if self._backlog is None:
            return None
        until = self.clock() + timedelta(seconds=seconds) + SLACK
        saved = self.backlogs.save(replace(self._backlog, intended=report, busy_until=until))
        if isinstance(saved, AwsError):
            if saved.kind is ErrorKind.IN_USE:
                return "another run is at work"
            self._note_down(saved)
            return None
        self._backlog, self._intends = saved, True
        return None

    def close(self, report: CleanupReport) -> bool:
        """Keep the report, and deliver it. Returns whether the backend has acknowledged it."""
        if self._backlog is not None and self._backlog.intended and not self._intends:
            return False  # another run's, or not to be settled yet: nothing was deleted beside it
        if self._backlog is not None and self._intends:
            kept = (report,) if report.size else ()
            waiting = self._backlog.waiting + kept
            self._save(replace(self._backlog, waiting=waiting, intended=None, busy_until=None))
            if report.size and self._backlog is not None:
                return self._deliver()
        if self.waiting:
            return False  # an empty report says nothing that could not wait
        if report.size:
            self.journal.report_in_full(report, self._down)
        return self._send(report)

    def _settle_intention(self, backlog: Backlog, intended: CleanupReport) -> AwsError | None:
        snapshots = (*intended.snapshots, *intended.image_snapshots)
        present = self.estate.present(intended.images, snapshots)
        if isinstance(present, AwsError):
            return present
        gone = intended.without(present)
        waiting = (*backlog.waiting, gone) if gone.size else backlog.waiting
        self._save(replace(backlog, waiting=waiting, intended=None, busy_until=None))
        return None

    def _deliver(self) -> bool:
        """Send what waits, in order, up to the first that is not acknowledged."""
        backlog = Backlog() if self._backlog is None else self._backlog
        left = list(backlog.waiting)
        while left and self._send(left[0], waiting=len(left)):
            left.pop(0)
        if len(left) < len(backlog.waiting):
            self._save(replace(backlog, waiting=tuple(left)))
        return not left

    def _send(self, report: CleanupReport, waiting: int = 0) -> bool:
        try:
            self.backend.report_cleanup(report)
        except BackendError as error:
            self.journal.unreported(error, waiting)
            return False
        return True

    def _save(self, backlog: Backlog) -> None:
        saved = self.backlogs.save(backlog)
        if isinstance(saved, AwsError):
            self._note_down(saved)
            for report in backlog.waiting:
                self.journal.report_in_full(report, self._down)
        else:
            self._backlog = saved

    def _note_down(self, error: AwsError) -> None:
        self._backlog = None
        self._down = f"the idempotency table could not be used: {error}"
