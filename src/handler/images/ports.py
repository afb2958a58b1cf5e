"""What a housekeeping run needs of the outside, in one place; the parts are beside their values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from handler.aws.errors import AwsError
from handler.images.cleanup import Backlogs, CleanupBackend, CleanupReport, Done
from handler.images.model import Estate, RecycleBin, Users
from handler.images.summary import PlanEntry, Tidied
from handler.images.verdict import Verdict
from handler.instances.ports import BackendError


class ReportJournal(Protocol):
    """Where the story of reports goes."""

    def unreported(self, error: BackendError, waiting: int) -> None:
        """The backend did not acknowledge; so many reports wait for the next run."""
        ...

    def report_in_full(self, report: CleanupReport, why: str) -> None:
        """The report could not be kept: the log is its only copy."""
        ...


class HousekeepingJournal(ReportJournal, Protocol):
    """Where a run's story goes: the structured log and the metrics."""

    def ended(self, done: Done) -> None:
        """One attempt's end, at once: the audit trail."""
        ...

    def look_up_failed(self, what: str, error: AwsError) -> None:
        """A look-up failed, so what it could have spoken for stays."""
        ...

    def stayed(self, verdicts: Sequence[Verdict]) -> None:
        """Old items that stay for a reason that somebody may want to know: one line a reason."""
        ...

    def planned(self, entry: PlanEntry) -> None:
        """One line of a dry run's plan."""
        ...

    def tidied(self, tidied: Tidied) -> None:
        """Write the run's counts and send its metrics."""
        ...


class HousekeepingOutside(Protocol):
    """All that a run may need; what it does not ask for is never made."""

    @property
    def backend(self) -> CleanupBackend: ...

    @property
    def backlogs(self) -> Backlogs: ...

    @property
    def estate(self) -> Estate: ...

    @property
    def users(self) -> Users: ...

    @property
    def recycle_bin(self) -> RecycleBin: ...

    @property
    def journal(self) -> HousekeepingJournal: ...
