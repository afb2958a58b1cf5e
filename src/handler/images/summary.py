"""What a housekeeping run returns: counts of what went and of what stayed, by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from handler.images.bounds import LONGEST_PLAN, fitting
from handler.images.choose import Choice
from handler.images.delete import Deletion, DeletionStatus
from handler.images.dry_run import PlanEntry
from handler.images.model import Kind, Policy, Reason, Verdict, keep

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
        failures: what EC2 would not delete, in this run or, as this one found out, in an earlier one.
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
    plan: Sequence[PlanEntry]
    reported: bool
    waiting: int
    calls: int

    @property
    def dollars(self) -> float:
        """Estimated dollars a month that are freed: an upper bound, as snapshots are incremental."""
        return self.gigabytes * DOLLARS_PER_GB_MONTH

    def as_returned(self) -> dict[str, object]:
        """The handler's answer: every count, zeros too; in a dry run the plan, as far as Lambda takes it."""
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
            entries = (entry.as_returned() for entry in self.plan)
            answer["plan"] = shown = list(fitting(entries, LONGEST_PLAN))
            if len(shown) < len(self.plan):
                answer["plan_left_out"] = len(self.plan) - len(shown)
        return answer


def settled(verdicts: Sequence[Verdict], choice: Choice, ends: Sequence[Deletion]) -> list[Verdict]:
    """Each item's one verdict, once it is known what was chosen, and what EC2 made of the attempts."""
    parts = {one.item_id: one for one in choice.parts}
    instead = dict(choice.stay)
    for end in ends:
        one, reason = end.verdict, _STAYED.get(end.status)
        if one.item_id in parts:
            instead[one.item_id] = replace(
                one, why=f"goes after its image {end.part_of}: {one.why}"
            )
        if reason is not None:
            instead[one.item_id] = keep(one, reason, end.why)
    return [instead.get(one.item_id, one) for one in verdicts]


def summed_up(
    verdicts: Sequence[Verdict],
    ends: Sequence[Deletion],
    policy: Policy,
    now: datetime,
    *,
    look_ups_failed: int,
    found_failed: int,
    reported: bool,
    waiting: int,
    calls: int,
    plan: Sequence[PlanEntry] | None,
) -> Summary:
    """The counts of a run: of the items that are ours, and of how the attempts ended; a `plan` is a dry run's."""
    at_all = Counter(one.status for one in ends)
    of_kind = Counter((one.status, one.verdict.kind) for one in ends if one.part_of is None)
    parts = Counter(one.status for one in ends if one.part_of is not None)
    freed = {DeletionStatus.DELETED, DeletionStatus.PLANNED}
    return Summary(
        considered=Counter(one.kind for one in verdicts),
        kept=Counter(one.reason for one in verdicts if not one.goes),
        images=of_kind[DeletionStatus.DELETED, Kind.IMAGE],
        snapshots=of_kind[DeletionStatus.DELETED, Kind.SNAPSHOT],
        image_snapshots=parts[DeletionStatus.DELETED],
        planned=sum(of_kind[DeletionStatus.PLANNED, kind] for kind in Kind),
        gone=at_all[DeletionStatus.GONE],
        failures=at_all[DeletionStatus.FAILED] + found_failed,
        gigabytes=sum(one.verdict.gigabytes for one in ends if one.status in freed),
        gigabyte_months=_gigabyte_months(verdicts, ends, policy, now),
        look_ups_failed=look_ups_failed,
        dry_run=plan is not None,
        plan=plan or (),
        reported=reported,
        waiting=waiting,
        calls=calls,
    )


def _gigabyte_months(
    verdicts: Sequence[Verdict], ends: Sequence[Deletion], policy: Policy, now: datetime
) -> float:
    """What the deleted snapshots cost from when they were old enough to go until now.

    An image's own snapshot counts from its image's age on.
    """
    made_at = {one.item_id: one.created for one in verdicts}
    total = timedelta()
    for end in ends:
        one = end.verdict
        if end.status is not DeletionStatus.DELETED or one.kind is not Kind.SNAPSHOT:
            continue
        made, threshold = one.created, policy.snapshots_older_than
        if end.part_of is not None:
            made, threshold = made_at[end.part_of], policy.images_older_than
        if made is not None:
            total += max(now - made - threshold, timedelta()) * one.gigabytes
    return total / MONTH


_STAYED = {
    DeletionStatus.IN_USE: Reason.IN_USE,
    DeletionStatus.DEFERRED: Reason.DEFERRED,
    DeletionStatus.UNKNOWN: Reason.DEFERRED,
}
