"""A dry run's plan: every item with its rule, its gigabytes, and whether what goes could be had back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handler.aws.errors import AwsError
from handler.aws.lists import ask, read_all
from handler.images.bounds import LONGEST_ERROR, cut
from handler.images.model import Kind, Verdict

NO_RULE = "no rule keeps it: it is gone for good"


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """One rule of the Recycle Bin: whole region, or what bears one of its tags."""

    for_images: bool
    days: int
    tags: tuple[tuple[str, str], ...] = ()
    excluded: tuple[tuple[str, str], ...] = ()

    def keeps(self, tags: Mapping[str, str]) -> bool:
        """Whether what bears these tags is kept by it; a rule tag without a value is any value."""
        if any(_bears(tags, pair) for pair in self.excluded):
            return False
        return not self.tags or any(_bears(tags, pair) for pair in self.tags)


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """One item of a dry run's plan, with what the Recycle Bin would do for it where it goes."""

    verdict: Verdict
    recycle_bin: str | None = None

    def as_returned(self) -> dict[str, str | bool | float]:
        """For the handler's answer and the log."""
        entry: dict[str, str | bool | float] = {
            "id": self.verdict.item_id,
            "kind": self.verdict.kind.value,
            "goes": self.verdict.goes,
            "reason": self.verdict.reason.key,
            "why": self.verdict.why,
            "gigabytes": round(self.verdict.gigabytes, 3),
        }
        if self.recycle_bin is not None:
            entry["recycle_bin"] = self.recycle_bin
        return entry


def plan(verdicts: Sequence[Verdict], rules: Sequence[RetentionRule] | AwsError) -> list[PlanEntry]:
    """The plan, what goes first."""
    going = {one.item_id: one for one in verdicts if one.goes}
    return [
        PlanEntry(one, _recycled(one, going, rules) if one.goes else None)
        for one in sorted(verdicts, key=lambda one: not one.goes)
    ]


def recycle_bin_rules(
    rbin: Any,  # noqa: ANN401 - boto3 makes the class at run time
    time_left: Callable[[], float],
) -> list[RetentionRule] | AwsError:
    """The Recycle Bin's rules for images and for snapshots: ListRules, and GetRule for each one's tags."""
    rules: list[RetentionRule] = []
    for kind in ("EC2_IMAGE", "EBS_SNAPSHOT"):
        listed = read_all(rbin, "list_rules", "Rules", time_left, ResourceType=kind)
        if isinstance(listed, AwsError):
            return listed
        for one in listed:
            rule = ask(rbin, "get_rule", "RetentionPeriod", time_left, Identifier=one["Identifier"])
            if isinstance(rule, AwsError):
                return rule
            if rule.get("Status") == "available":
                rules.append(
                    RetentionRule(
                        kind == "EC2_IMAGE",
                        rule["RetentionPeriod"]["RetentionPeriodValue"],
                        _pairs(rule.get("ResourceTags")),
                        _pairs(rule.get("ExcludeResourceTags")),
                    )
                )
    return rules


def _recycled(
    verdict: Verdict, going: Mapping[str, Verdict], rules: Sequence[RetentionRule] | AwsError
) -> str:
    """What the bin does for it. An AMI cannot be restored once a snapshot of it is gone.

    (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/recycle-bin-factors.html)
    """
    if isinstance(rules, AwsError):
        return f"the rules could not be looked up: {cut(str(rules), LONGEST_ERROR)}"
    days = _days(verdict, rules)
    for part in verdict.parts:
        if days and part in going and (of_part := _days(going[part], rules)) < days:
            return f"{_kept(days)}, but of no use without its snapshot {part}: {_kept(of_part)}"
    return _kept(days)


def _days(verdict: Verdict, rules: Sequence[RetentionRule]) -> int:
    """How long the bin keeps it; 0: not at all."""
    is_image = verdict.kind is Kind.IMAGE
    fitting = (r for r in rules if r.for_images is is_image and r.keeps(verdict.tags))
    return max((rule.days for rule in fitting), default=0)


def _kept(days: int) -> str:
    return f"kept for {days} days" if days else NO_RULE


def _bears(tags: Mapping[str, str], pair: tuple[str, str]) -> bool:
    key, value = pair
    return key in tags and value in {"", tags[key]}


def _pairs(tags: Sequence[Mapping[str, Any]] | None) -> tuple[tuple[str, str], ...]:
    return tuple((tag["ResourceTagKey"], tag.get("ResourceTagValue", "")) for tag in tags or [])
