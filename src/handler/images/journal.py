"""The structured log and the metrics of a housekeeping run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from aws_lambda_powertools.metrics import MetricUnit

from handler.aws.errors import AwsError
from handler.images.cleanup import CleanupReport, Done, Fate
from handler.images.summary import PlanEntry, Tidied
from handler.images.verdict import Reason, Verdict
from handler.images.wire import as_wire
from handler.instances.ports import BackendError
from handler.telemetry import CloudWatchJournal, logger

SHOWN = 100
"""Ids in one line."""
_TOLD = frozenset(
    {
        Reason.PROTECTED,
        Reason.MANAGED,
        Reason.PUBLIC,
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
    ("HousekeepingKeptInUse", (Reason.IN_USE, Reason.LAUNCHED, Reason.PUBLIC)),
    (
        "HousekeepingKeptProtected",
        (Reason.PROTECTED, Reason.MANAGED, Reason.LOCKED, Reason.ARCHIVED),
    ),
    ("HousekeepingKeptUnproven", (Reason.UNPROVEN, Reason.COPIED)),
    ("HousekeepingDeferred", (Reason.DEFERRED,)),
)
"""A custom metric costs by the hour: reasons are sent in families, and logged one by one."""


class HousekeepingCloudWatchJournal(CloudWatchJournal):
    """The port `HousekeepingJournal`: JSON lines, and metrics in CloudWatch's embedded format."""

    def ended(self, done: Done) -> None:
        """One line per attempt: what happened to an image or snapshot is found by its id."""
        say = logger.warning if done.fate is Fate.FAILED or done.failures else logger.info
        say(
            f"{done.verdict.kind} {done.fate.value}",
            extra={
                "resource_id": done.verdict.item_id,
                "outcome": done.fate.value,
                "why": done.why,
                "snapshots_deleted": list(done.snapshots),
                "snapshots_failed": [f"{one.item_id}: {one.error}" for one in done.failures],
                "ec2_request_id": done.request_id,
            },
        )

    def look_up_failed(self, what: str, error: AwsError) -> None:
        """Nothing is deleted on the strength of an answer that was not had."""
        logger.warning(
            "look-up failed: what it could have spoken for stays",
            extra={"look_up": what, "error_code": error.code, "error": str(error)},
        )

    def stayed(self, verdicts: Sequence[Verdict]) -> None:
        """One line per reason, not per item: thousands stay in every run."""
        by_reason: dict[Reason, list[Verdict]] = defaultdict(list)
        for one in verdicts:
            if one.reason in _TOLD:
                by_reason[one.reason].append(one)
        for reason, ones in by_reason.items():
            logger.info(
                f"stays: {reason.key}",
                extra={
                    "reason": reason.key,
                    "count": len(ones),
                    "resources": [f"{one.item_id}: {one.why}" for one in ones[:SHOWN]],
                },
            )

    def planned(self, entry: PlanEntry) -> None:
        """One line per item; a dry run is made to be read."""
        logger.info("plan", extra={"plan": entry.as_returned()})

    def unreported(self, error: BackendError, waiting: int) -> None:
        """The deletions stand; the report is sent with the next run's."""
        logger.warning(
            "cleanup report not acknowledged", extra={"error": str(error), "waiting": waiting}
        )

    def report_in_full(self, report: CleanupReport, why: str) -> None:
        """If the backend does not take it now, this line is the only copy."""
        logger.error(
            "cleanup report could not be kept for a later run; here it is in full",
            extra={"report": as_wire(report), "why": why},
        )

    def tidied(self, tidied: Tidied) -> None:
        """One line with the counts; a metric for each that is not zero."""
        count = MetricUnit.Count
        values = [
            ("ImagesDeregistered", count, float(tidied.images)),
            ("SnapshotsDeleted", count, float(tidied.snapshots + tidied.image_snapshots)),
            ("HousekeepingFailures", count, float(tidied.failures)),
            ("CleanupReportsWaiting", count, float(tidied.waiting)),
        ]
        values += [
            (name, count, float(sum(tidied.kept.get(reason, 0) for reason in reasons)))
            for name, reasons in _FAMILIES
        ]
        if not tidied.dry_run:  # nothing was freed
            values.append(("GigabytesFreed", MetricUnit.Gigabytes, tidied.gigabytes))
            values.append(("EstimatedMonthlyCostFreed", MetricUnit.NoUnit, tidied.dollars))
        self._send([value for value in values if value[2]])
        summary = {key: value for key, value in tidied.as_returned().items() if key != "plan"}
        logger.info("housekeeping finished", extra={"summary": summary})
