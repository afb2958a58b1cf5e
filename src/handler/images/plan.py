"""A dry run's plan: every item with its reason, and whether what goes could be had back."""

from __future__ import annotations

from collections.abc import Sequence

from handler.aws.errors import AwsError
from handler.images.model import RetentionRule
from handler.images.ports import HousekeepingOutside
from handler.images.summary import PlanEntry
from handler.images.verdict import Kind, Verdict

NO_RULE = "no rule keeps it: it is gone for good"


def plan(verdicts: Sequence[Verdict], outside: HousekeepingOutside) -> list[PlanEntry]:
    """The plan, what goes first; written to the journal as well."""
    rules = outside.recycle_bin.rules()
    entries = [
        PlanEntry(one, _recycled(one, rules) if one.goes else None)
        for one in sorted(verdicts, key=lambda one: not one.goes)
    ]
    for entry in entries:
        outside.journal.planned(entry)
    return entries


def _recycled(verdict: Verdict, rules: tuple[RetentionRule, ...] | AwsError) -> str:
    if isinstance(rules, AwsError):
        return f"the rules could not be looked up: {rules}"
    days = [
        rule.days
        for rule in rules
        if rule.for_images is (verdict.kind is Kind.IMAGE) and rule.keeps(verdict.tags or {})
    ]
    return f"kept for {max(days)} days" if days else NO_RULE
