"""What a housekeeping run returns: counts of what went and of what stayed, by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from handler.images.delete import Deletion, DeletionStatus
from handler.images.model import Kind, Policy, Reason, Verdict, keep
from handler.images.plan import PlanEntry

DOLLARS_PER_GB_MONTH = 0.05
"""The list price of EBS snapshots in the standard tier, us-east-1 (https://aws.amazon.com/ebs/pricing/):
an assumption."""
MONTH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Summary:
    """One run's counts.

    Attributes:
        considered: images and snapshots that bear the required tags, by kind.
        kept: those that stay, by reason.
        images: deregistered.
        snapshots: deleted free-standing ones.
        image_snapshots: deleted after their images.
        planned: a dry run's would-be deletions, but for images' own snapshots.
        gone: what somebody else deleted meanwhile.
        failures: what EC2 would not delete.
        gigabytes: full size of what was (or, in a dry run, would be) deleted: an upper bound.
        gigabyte_months: the same times the months in which it stood though it was old enough to go.
        look_ups_failed: what AWS refused or did not answer.
        dry_run: nothing was deleted, and nothing reported.
        plan: every item with its reason, in a dry run.
        reported: whether the backend acknowledged this run's report.
        waiting: reports that wait for the next run.
        calls: calls made to AWS's EC2, Auto Scaling, SSM and Recycle Bin.
    """

    considered: Mapping[Kind, int]
    kept: Mapping[Reason, int]
    images: int
    snapshots: int
    image_snapshots: int
    planned: int
    gone: int
    failures: int
    gigabytes: float
    gigabyte_months: float
    look_ups_failed: int
    dry_run: bool
    plan: Sequence[PlanEntry] = ()
    reported: bool = False
    waiting: int = 0
    calls: int = 0

    @property
    def dollars(self) -> float:
        """Estimated dollars a month that are freed: an upper bound, as snapshots are incremental."""
        return self.gigabytes * DOLLARS_PER_GB_MONTH

    def as_returned(self) -> dict[str, object]:
        """The handler's answer: every count, zeros too; the plan only in a dry run."""
        answer: dict[str, object] = {
            "images_considered": self.considered.get(Kind.IMAGE, 0),
            "snapshots_considered": self.considered.get(Kind.SNAPSHOT, 0),
            "images_deregistered": self.images,
            "snapshots_deleted": self.snapshots,
            "image_snapshots_deleted": self.image_snapshots,
            "planned": self.planned,
            "already_gone": self.gone,
            "failed": self.failures,
            "kept": {
                reason.key: self.kept.get(reason, 0)
                for reason in Reason
                if reason not in {Reason.UNUSED, Reason.NOT_OURS}
            },
            "gigabytes_freed": round(self.gigabytes, 3),
            "estimated_monthly_cost_freed": round(self.dollars, 2),
            "reported": self.reported,
            "reports_waiting": self.waiting,
            "aws_calls": self.calls,
            "dry_run": self.dry_run,
        }
        if self.dry_run:
            answer["plan"] = [entry.as_returned() for entry in self.plan]
        return answer


def after(verdicts: Sequence[Verdict], ends: Sequence[Deletion]) -> list[Verdict]:
    """The verdicts, but for what EC2 made of the attempts: each item still has exactly one."""
    stayed = {one.verdict.item_id: one for one in ends if one.status in _STAYED}
    return [
        keep(one, _STAYED[stayed[one.item_id].status], stayed[one.item_id].why)
        if one.item_id in stayed
        else one
        for one in verdicts
    ]


def gigabyte_months(
    ends: Sequence[Deletion], images: Mapping[str, Verdict], policy: Policy, now: datetime
) -> float:
    """What the deleted snapshots cost from when they were old enough to go until now.

    An image's own snapshot counts from its image's age on.
    """
    total = timedelta()
    for end in ends:
        one = end.verdict
        if end.status is not DeletionStatus.DELETED or one.kind is not Kind.SNAPSHOT:
            continue
        made, threshold = one.created, policy.snapshots_older_than
        if end.part_of is not None:
            made, threshold = images[end.part_of].created, policy.images_older_than
        if made is not None:
            total += max(now - made - threshold, timedelta()) * one.gigabytes
    return total / MONTH


def counted(
    verdicts: Sequence[Verdict], ends: Sequence[Deletion]
) -> tuple[Counter[Kind], Counter[Reason], Counter[tuple[DeletionStatus, Kind, bool]]]:
    """What was considered, what stays by reason, and how the attempts ended (third: a part)."""
    considered = Counter(one.kind for one in verdicts)
    kept = Counter(one.reason for one in verdicts if not one.goes)
    statuses = Counter((one.status, one.verdict.kind, one.part_of is not None) for one in ends)
    return considered, kept, statuses


_STAYED = {
    DeletionStatus.IN_USE: Reason.IN_USE,
    DeletionStatus.DEFERRED: Reason.DEFERRED,
    DeletionStatus.UNKNOWN: Reason.DEFERRED,
}
