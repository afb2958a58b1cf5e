"""What a run set out to delete, and what it deleted: the first is kept, the second is reported.

The report's shape is the contract's (section 1).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from handler.backend.wire import wire_time
from handler.images.bounds import LONGEST_ERROR, cut
from handler.images.choose import Choice
from handler.images.delete import Deletion, DeletionStatus
from handler.images.model import Kind, Policy

STILL_THERE = "EC2 did not answer, and the next run found it still there"


@dataclass(frozen=True, slots=True)
class Failure:
    """What could not be deleted, and why."""

    item_id: str
    error: str


@dataclass(frozen=True, slots=True)
class CleanupReport:
    """One cleanup report: what happened.

    Attributes:
        at: when it was made (UTC).
        images_cutoff: what is younger was not touched.
        snapshots_cutoff: the same for free-standing snapshots.
        images: deregistered images.
        image_snapshots: their own snapshots, deleted after them.
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
    def empty(self) -> bool:
        """Whether it says only that a run took place."""
        deleted = self.images or self.image_snapshots or self.snapshots
        return not (deleted or self.image_failures or self.snapshot_failures)


@dataclass(frozen=True, slots=True)
class Intention:
    """What a run is about to delete; whether it did is for the run, or for the next one, to find out."""

    at: datetime
    images_cutoff: datetime
    snapshots_cutoff: datetime
    images: tuple[str, ...]
    image_snapshots: tuple[str, ...]
    snapshots: tuple[str, ...]

    def only(self, ids: Collection[str]) -> Intention | None:
        """What it says of these; None if it says nothing of them."""
        images, parts, snapshots = (
            tuple(one for one in some if one in ids)
            for some in (self.images, self.image_snapshots, self.snapshots)
        )
        left = replace(self, images=images, image_snapshots=parts, snapshots=snapshots)
        return left if images or parts or snapshots else None

    def carried_out(self, present: Collection[str], refused: Collection[str]) -> CleanupReport:
        """The report of it, once it is known what of it is still there, and what EC2 would not answer."""
        parts = (*self.images, *self.image_snapshots)
        return CleanupReport(
            self.at,
            self.images_cutoff,
            self.snapshots_cutoff,
            tuple(one for one in self.images if one not in present),
            tuple(one for one in self.image_snapshots if one not in present),
            tuple(one for one in self.snapshots if one not in present),
            tuple(Failure(one, STILL_THERE) for one in parts if one in refused),
            tuple(Failure(one, STILL_THERE) for one in self.snapshots if one in refused),
        )


def intention(choice: Choice, policy: Policy, now: datetime) -> Intention:
    """What deleting these would do."""
    return Intention(
        now,
        now - policy.images_older_than,
        now - policy.snapshots_older_than,
        tuple(one.item_id for one in choice.chosen if one.kind is Kind.IMAGE),
        tuple(one.item_id for one in choice.parts),
        tuple(one.item_id for one in choice.chosen if one.kind is Kind.SNAPSHOT),
    )


def report(ends: Sequence[Deletion], policy: Policy, now: datetime) -> CleanupReport:
    """What these deletions came to."""
    deleted = [one for one in ends if one.status is DeletionStatus.DELETED]
    failed = [one for one in ends if one.status is DeletionStatus.FAILED]
    free = [one for one in deleted if one.verdict.kind is Kind.SNAPSHOT and not one.part_of]
    return CleanupReport(
        now,
        now - policy.images_older_than,
        now - policy.snapshots_older_than,
        tuple(one.verdict.item_id for one in deleted if one.verdict.kind is Kind.IMAGE),
        tuple(one.verdict.item_id for one in deleted if one.part_of),
        tuple(one.verdict.item_id for one in free),
        tuple(_failure(one) for one in failed if one.verdict.kind is Kind.IMAGE or one.part_of),
        tuple(
            _failure(one) for one in failed if one.verdict.kind is Kind.SNAPSHOT and not one.part_of
        ),
    )


def as_body(report: CleanupReport) -> dict[str, Any]:
    """The contract's shape."""
    return {
        "timestamp": wire_time(report.at),
        "snapshots": {
            "type": "snapshots",
            "deleted": list(report.snapshots),
            "failed": _failures(report.snapshot_failures),
            "cutoff_date": wire_time(report.snapshots_cutoff),
        },
        "amis": {
            "type": "amis",
            "deleted_amis": list(report.images),
            "deleted_snapshots": list(report.image_snapshots),
            "failed": _failures(report.image_failures),
            "cutoff_date": wire_time(report.images_cutoff),
        },
    }


def from_body(raw: Mapping[str, Any]) -> CleanupReport:
    """The same report again. Raises KeyError, TypeError or ValueError where it is none."""
    snapshots, amis = raw["snapshots"], raw["amis"]
    return CleanupReport(
        _moment(raw["timestamp"]),
        _moment(amis["cutoff_date"]),
        _moment(snapshots["cutoff_date"]),
        _texts(amis["deleted_amis"]),
        _texts(amis["deleted_snapshots"]),
        _texts(snapshots["deleted"]),
        tuple(Failure(*_texts([one["id"], one["error"]])) for one in amis["failed"]),
        tuple(Failure(*_texts([one["id"], one["error"]])) for one in snapshots["failed"]),
    )


def intention_as_json(intention: Intention) -> dict[str, Any]:
    """As it is kept in the table."""
    return {
        "at": wire_time(intention.at),
        "images_cutoff": wire_time(intention.images_cutoff),
        "snapshots_cutoff": wire_time(intention.snapshots_cutoff),
        "images": list(intention.images),
        "image_snapshots": list(intention.image_snapshots),
        "snapshots": list(intention.snapshots),
    }


def intention_from_json(raw: Mapping[str, Any]) -> Intention:
    """The same intention again. Raises KeyError, TypeError or ValueError where it is none."""
    return Intention(
        _moment(raw["at"]),
        _moment(raw["images_cutoff"]),
        _moment(raw["snapshots_cutoff"]),
        _texts(raw["images"]),
        _texts(raw["image_snapshots"]),
        _texts(raw["snapshots"]),
    )


def _texts(raw: object) -> tuple[str, ...]:
    if not isinstance(raw, list):
        raise TypeError(raw)
    texts = tuple(one for one in raw if isinstance(one, str))
    if len(texts) < len(raw):
        raise TypeError(raw)
    return texts


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _failure(end: Deletion) -> Failure:
    return Failure(end.verdict.item_id, cut(end.why, LONGEST_ERROR))


def _failures(failures: Iterable[Failure]) -> list[dict[str, str]]:
    return [{"id": one.item_id, "error": one.error} for one in failures]
