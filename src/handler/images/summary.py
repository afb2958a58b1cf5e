"""What a housekeeping run returns: counts of what went and of what stayed, by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from handler.images.cleanup import Done, Fate
from handler.images.verdict import Kind, Reason, Verdict

DOLLARS_PER_GB_MONTH = 0.05
"""The list price of EBS snapshots in the standard tier, us-east-1 (EBS pricing): an assumption."""


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """One item of a dry run's plan, with what the Recycle Bin would do for it where it goes."""

    verdict: Verdict
    recycle_bin: str | None = None

    def as_returned(self) -> dict[str, str | bool]:
        """For the handler's answer and the log."""
        entry: dict[str, str | bool] = {
            "id": self.verdict.item_id,
            "kind": self.verdict.kind.value,
            "goes": self.verdict.goes,
            "reason": self.verdict.reason.key,
            "why": self.verdict.why,
        }
        if self.recycle_bin is not None:
            entry["recycle_bin"] = self.recycle_bin
        return entry


@dataclass(frozen=True, slots=True)
class Tidied:
    """One run's counts.

    Attributes:
        considered: images and snapshots that bear the required tags, by kind.
        kept: those that stay, by reason.
        images: deregistered.
        snapshots: deleted free-standing ones.
        image_snapshots: deleted with their images.
        planned: a dry run's would-be deletions.
        gone: what somebody else deleted meanwhile.
        failures: what EC2 would not delete.
        gigabytes: full size of what was (or, in a dry run, would be) deleted: an upper bound.
        reported: whether the backend acknowledged this run's report.
        waiting: reports that wait for the next run.
        calls: calls made to AWS's EC2, Auto Scaling, SSM and Recycle Bin.
        dry_run: nothing was deleted, and nothing reported.
        plan: every item with its reason, in a dry run.
    """

    considered: Mapping[Kind, int]
    kept: Mapping[Reason, int]
    images: int = 0
    snapshots: int = 0
    image_snapshots: int = 0
    planned: int = 0
    gone: int = 0
    failures: int = 0
    gigabytes: float = 0.0
    reported: bool = False
    waiting: int = 0
    calls: int = 0
    dry_run: bool = False
    plan: Sequence[PlanEntry] = field(default=())

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


def final_verdicts(verdicts: Sequence[Verdict], done: Sequence[Done]) -> list[Verdict]:
    """The verdicts, but for what EC2 made of the attempts: each item still has exactly one."""
    corrected = {
        one.verdict.item_id: (_STAYED[one.fate], one.why) for one in done if one.fate in _STAYED
    }
    return [
        Verdict(
            one.item_id,
            one.kind,
            *corrected[one.item_id],
            one.created,
            one.snapshots,
            one.tags,
        )
        if one.item_id in corrected
        else one
        for one in verdicts
    ]


_STAYED = {Fate.IN_USE: Reason.IN_USE, Fate.DEFERRED: Reason.DEFERRED}


def kept(verdicts: Sequence[Verdict]) -> Counter[Reason]:
    """Counts of what stays; what is not ours is nobody's business here."""
    return Counter(
        one.reason for one in verdicts if not one.goes and one.reason is not Reason.NOT_OURS
    )
