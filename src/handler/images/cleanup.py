"""What a run deleted, as it is reported, and what still waits to be reported."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Protocol

from handler.aws.errors import AwsError
from handler.images.verdict import Verdict

MOST_WAITING = 5_000
"""Ids in reports that wait for the backend; with them a DynamoDB item stays well under its 400 KB."""


class HousekeepingError(Exception):
    """The run could do nothing at all; says why."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What could not be deleted, and why."""

    item_id: str
    error: str


@dataclass(frozen=True, slots=True)
class CleanupReport:
    """One cleanup report (contract section 1).

    Attributes:
        at: when it was made (UTC).
        images_cutoff: what is younger was not touched.
        snapshots_cutoff: the same for free-standing snapshots.
        images: deregistered images.
        image_snapshots: their own snapshots, deleted with them.
        snapshots: deleted free-standing snapshots.
        image_failures: images, or snapshots of theirs, that EC2 would not delete.
        snapshot_failures: free-standing snapshots that EC2 would not delete.
    """

    at: datetime
    images_cutoff: datetime
    snapshots_cutoff: datetime
    images: tuple[str, ...] = ()
    image_snapshots: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()
    image_failures: tuple[Failure, ...] = ()
    snapshot_failures: tuple[Failure, ...] = ()

    @property
    def size(self) -> int:
        """How many ids it holds."""
        return sum(
            map(
                len,
                (
                    self.images,
                    self.image_snapshots,
                    self.snapshots,
                    self.image_failures,
                    self.snapshot_failures,
                ),
            )
        )

    def without(self, present: Collection[str]) -> CleanupReport:
        """What is left of an intention once it is known what is still there."""
        return replace(
            self,
            images=tuple(one for one in self.images if one not in present),
            image_snapshots=tuple(one for one in self.image_snapshots if one not in present),
            snapshots=tuple(one for one in self.snapshots if one not in present),
        )


@dataclass(frozen=True, slots=True)
class Backlog:
    """What one agent's runs leave for the next.

    Attributes:
        waiting: reports that the backend has not acknowledged, the oldest first.
        intended: what a run set out to delete and has not accounted for: as a report of success.
        busy_until: until when (UTC) that run may still be at it.
        revision: counts the changes, so that two runs cannot overwrite each other's.
    """

    waiting: tuple[CleanupReport, ...] = ()
    intended: CleanupReport | None = None
    busy_until: datetime | None = None
    revision: int = 0

    @property
    def full(self) -> bool:
        """Whether so much waits that no more may be added to it."""
        return sum(report.size for report in self.waiting) > MOST_WAITING


class Backlogs(Protocol):
    """Keeps the agent's backlog between runs."""

    def load(self) -> Backlog | AwsError:
        """The backlog; empty where there is none."""
        ...

    def save(self, backlog: Backlog) -> Backlog | AwsError:
        """Replace the revision that was loaded; IN_USE when somebody else has done so meanwhile."""
        ...


class CleanupBackend(Protocol):
    """The product's backend, as housekeeping sees it. Both raise BackendError."""

    def authorize(self) -> None:
        """Make sure that there is a client token, before anything is deleted."""
        ...

    def report_cleanup(self, report: CleanupReport) -> None:
        """Deliver one report; acknowledged is only what the backend says it has recorded."""
        ...


class Fate(Enum):
    """How the attempt to delete one item ended."""

    DELETED = "deleted"
    PLANNED = "planned"
    FAILED = "failed"
    IN_USE = "in_use"
    GONE = "gone"
    DEFERRED = "deferred"


@dataclass(frozen=True, slots=True)
class Done:
    """One attempt's end; `snapshots` and `failures` are of an image's own snapshots."""

    verdict: Verdict
    fate: Fate
    why: str = ""
    snapshots: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = field(default=())
    request_id: str | None = None
