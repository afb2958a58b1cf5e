"""The cleanup report as it goes over the wire (contract section 1), and is kept until acknowledged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from handler.images.cleanup import CleanupReport, Failure

LONGEST_ERROR = 300
"""Characters of an error that are reported."""


def as_wire(report: CleanupReport) -> dict[str, Any]:
    """The contract's shape."""
    return {
        "timestamp": timestamp(report.at),
        "snapshots": {
            "type": "snapshots",
            "deleted": list(report.snapshots),
            "failed": _failures(report.snapshot_failures),
            "cutoff_date": timestamp(report.snapshots_cutoff),
        },
        "amis": {
            "type": "amis",
            "deleted_amis": list(report.images),
            "deleted_snapshots": list(report.image_snapshots),
            "failed": _failures(report.image_failures),
            "cutoff_date": timestamp(report.images_cutoff),
        },
    }


def from_wire(raw: Mapping[str, Any]) -> CleanupReport:
    """The same report again."""
    snapshots, amis = raw["snapshots"], raw["amis"]
    return CleanupReport(
        at=_moment(raw["timestamp"]),
        images_cutoff=_moment(amis["cutoff_date"]),
        snapshots_cutoff=_moment(snapshots["cutoff_date"]),
        images=tuple(amis["deleted_amis"]),
        image_snapshots=tuple(amis["deleted_snapshots"]),
        snapshots=tuple(snapshots["deleted"]),
        image_failures=tuple(Failure(one["id"], one["error"]) for one in amis["failed"]),
        snapshot_failures=tuple(Failure(one["id"], one["error"]) for one in snapshots["failed"]),
    )


def timestamp(moment: datetime) -> str:
    """The backend's time format: naive ISO 8601 in UTC, whole seconds (contract, quirk 1)."""
    return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat()


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _failures(failures: Iterable[Failure]) -> list[dict[str, str]]:
    return [{"id": one.item_id, "error": one.error[:LONGEST_ERROR]} for one in failures]
