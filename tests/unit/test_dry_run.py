"""What a dry run's plan says of the Recycle Bin, and how long it may get."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handler.aws.errors import AwsError, ErrorKind
from handler.aws.lists import sound
from handler.images.dry_run import RetentionRule, plan, recycle_bin_rules
from handler.images.model import Image, Inventory, Kind, Policy, Reason, References, Unseen, Verdict
from handler.images.rules import decide

IMAGE = Verdict("ami-1", Kind.IMAGE, Reason.UNUSED, "old", parts=("snap-1", "snap-2"))
PART = Verdict("snap-1", Kind.SNAPSHOT, Reason.UNUSED, "old")
STAYS = Verdict("snap-2", Kind.SNAPSHOT, Reason.LOCKED, "locked")
FOR_IMAGES, FOR_SNAPSHOTS = RetentionRule(for_images=True, days=14), RetentionRule(False, 7)


def said(*rules: RetentionRule) -> dict[str, Any]:
    return {one.verdict.item_id: one.recycle_bin for one in plan([IMAGE, PART, STAYS], rules)}


def test_an_image_is_no_longer_to_be_had_back_than_its_snapshots() -> None:
    assert said(FOR_IMAGES)["ami-1"] == (
        "kept for 14 days, but of no use without its snapshot snap-1: no rule keeps it: it is gone for good"
    )
    assert said(FOR_IMAGES, FOR_SNAPSHOTS)["ami-1"] == (
        "kept for 14 days, but of no use without its snapshot snap-1: kept for 7 days"
    )


def test_an_image_whose_snapshots_are_kept_as_long_is_kept() -> None:
    assert said(FOR_IMAGES, RetentionRule(False, 14)) == {
        "ami-1": "kept for 14 days",
        "snap-1": "kept for 14 days",
        "snap-2": None,
    }


class Bin:
    """A Recycle Bin's client that answers what it is given."""

    def __init__(self, rules: object) -> None:
        self.rules = rules

    def can_paginate(self, _: str) -> bool:
        return False

    def list_rules(self, **_: object) -> dict[str, object]:
        return {"Rules": self.rules}

    def get_rule(self, **_: object) -> dict[str, object]:
        return {"RetentionPeriod": {}, "Status": "available"}


@pytest.mark.parametrize("rules", [[{}], [{"Identifier": "r"}], ["none"]])
def test_a_foreign_answer_in_its_place_is_a_failed_look_up(rules: object) -> None:
    found = sound(lambda: recycle_bin_rules(Bin(rules), lambda: 9.0))
    assert isinstance(found, AwsError)


def test_why_something_is_unproven_is_short_however_many_look_ups_failed() -> None:
    now = datetime(2025, 11, 25, tzinfo=UTC)
    shut = AwsError("AccessDeniedException", "no", ErrorKind.REFUSED)
    policy = Policy({}, "Keep", timedelta(30), timedelta(7), 1, 1)
    unseen = tuple(Unseen(f"SSM parameter /{n} of a template", shut) for n in range(500))
    image = Image("ami-1", now - timedelta(60))
    (verdict,) = decide(Inventory((image,), (), References({}, unseen)), policy, now)
    assert verdict.reason is Reason.UNPROVEN
    assert len(verdict.why) < 500
    assert "/0 of" in verdict.why
    assert "497 more" in verdict.why
