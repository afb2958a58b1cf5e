"""The structured log and the metrics of a housekeeping run."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handler.aws.errors import AwsError
from handler.backend.errors import BackendError
from handler.images.bounds import LONGEST_LINE, fitting, pieces
from handler.images.delete import Deletion, DeletionStatus
from handler.images.model import Reason, Verdict
from handler.images.summary import Summary
from handler.telemetry import COUNT, GIGABYTES, NO_UNIT, Metric, logger

SHOWN = 100
"""Ids in one line."""
_WORRYING = frozenset({DeletionStatus.FAILED, DeletionStatus.UNKNOWN})
_TOLD = frozenset(
    {
        Reason.PROTECTED,
        Reason.MANAGED,
        Reason.PUBLIC,
        Reason.SHARED,
        Reason.IN_USE,
        Reason.ARCHIVED,
        Reason.COPIED,
        Reason.LOCKED,
        Reason.UNPROVEN,
        Reason.DEFERRED,
    }
)
"""Reasons of items that somebody may wonder about; the young and the latest are just counted."""
_FAMILIES = (
    ("HousekeepingKeptInUse", (Reason.IN_USE, Reason.LAUNCHED, Reason.PUBLIC, Reason.SHARED)),
    (
        "HousekeepingKeptProtected",
        (Reason.PROTECTED, Reason.MANAGED, Reason.LOCKED, Reason.ARCHIVED),
    ),
    ("HousekeepingKeptUnproven", (Reason.UNPROVEN, Reason.COPIED)),
    ("HousekeepingDeferred", (Reason.DEFERRED,)),
)
"""A custom metric costs by the hour: reasons are sent in families, and logged one by one."""


@dataclass(frozen=True, slots=True)
class Journal:
    """JSON lines, and metrics in CloudWatch's embedded format.

    Args:
        send: sends metrics.
        version: the product's.
    """

    send: Callable[[Sequence[Metric]], None]
    version: str

    def ended(self, end: Deletion) -> None:
        """One line per attempt: what happened to an image or snapshot is found by its id."""
        say = logger.warning if end.status in _WORRYING else logger.info
        fields = {
            "resource_id": end.verdict.item_id,
            "outcome": end.status.value,
            "why": end.why,
            "error_code": end.code,
            "part_of": end.part_of,
            "ec2_request_id": end.request_id,
        }
        shown = {key: value for key, value in fields.items() if value is not None}
        say(f"{end.verdict.kind} {end.status.value}", extra=shown)

    def look_up_failed(self, what: str, error: AwsError) -> None:
        """Nothing is deleted on the strength of an answer that was not had."""
        logger.warning(
            "look-up failed: what it could have spoken for stays",
            extra={"look_up": what, "error_code": error.code, "error": str(error)},
        )

    def not_noted(self, error: AwsError) -> None:
        """The doctor will not know; this run's lines do."""
        logger.info("what could not be looked at could not be noted", extra={"error": str(error)})

    def not_accepted(self, error: BackendError) -> None:
        """The backend does not know for whom this run acts: it deletes nothing."""
        logger.warning(
            "the backend did not accept the agent: nothing is deleted in this run",
            extra={"error": str(error)},
        )

    def outbox_unreadable(self, item: str) -> None:
        """Reports may be lost with it: these lines are the only copy."""
        for start, piece in pieces(item, LONGEST_LINE):
            logger.error(
                "what earlier runs left cannot be read, and is removed; here it is",
                extra={"item": piece, "from": start},
            )

    def stayed(self, verdicts: Sequence[Verdict]) -> None:
        """One line per reason, not per item: thousands stay in every run."""
        by_reason: dict[Reason, list[Verdict]] = defaultdict(list)
        for one in verdicts:
            if one.reason in _TOLD:
                by_reason[one.reason].append(one)
        for reason, ones in by_reason.items():
            told = (f"{one.item_id}: {one.why}" for one in ones[:SHOWN])
            fields = {
                "reason": reason.key,
                "count": len(ones),
                "resources": (shown := list(fitting(told, LONGEST_LINE))),
                "left_out": len(ones) - len(shown),
            }
            logger.info(f"stays: {reason.key}", extra=fields)

    def unreported(self, error: BackendError, waiting: int) -> None:
        """The deletions stand; the report is sent with the next run's."""
        logger.warning(
            "cleanup report not acknowledged", extra={"error": str(error), "waiting": waiting}
        )

    def report_in_full(self, report: Mapping[str, Any], why: str) -> None:
        """If the backend does not take it now, these lines are the only copy."""
        for start, piece in pieces(json.dumps(report), LONGEST_LINE):
            logger.error(
                "cleanup report could not be kept for a later run; here it is in full",
                extra={"report": piece, "from": start, "why": why},
            )

    def summary(self, summary: Summary) -> None:
        """One line with the counts, one per item of a plan; a metric for each that is not zero."""
        for entry in summary.plan:
            logger.info("plan", extra={"plan": entry.as_returned()})
        values: list[Metric] = [
            ("ImagesDeregistered", COUNT, summary.images),
            ("SnapshotsDeleted", COUNT, summary.snapshots + summary.image_snapshots),
            ("HousekeepingFailures", COUNT, summary.failures),
            ("CleanupReportsWaiting", COUNT, summary.waiting),
            ("LookUpFailures", COUNT, summary.look_ups_failed),
        ]
        values += [
            (name, COUNT, sum(summary.kept.get(reason, 0) for reason in reasons))
            for name, reasons in _FAMILIES
        ]
        if not summary.dry_run:  # nothing was freed
            values.append(("GigabytesFreed", GIGABYTES, summary.gigabytes))
            values.append(("EstimatedMonthlyCostFreed", NO_UNIT, summary.dollars))
            values.append(("GigabyteMonthsUnused", NO_UNIT, summary.gigabyte_months))
        self.send([value for value in values if value[2]])
        counts = {key: value for key, value in summary.as_returned().items() if key != "plan"}
        logger.info("housekeeping finished", extra={"summary": counts, "version": self.version})
