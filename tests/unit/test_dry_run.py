"""What a dry run's plan says of the Recycle Bin, and how long what a run says may get."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handler.aws.errors import AwsError, ErrorKind
from handler.aws.lists import sound
from handler.images.dry_run import RetentionRule, plan, recycle_bin_rules
from handler.images.journal import Journal
from handler.images.model import Image, Inventory, Kind, Policy, Reason, References, Unseen, Verdict
from handler.images.rules import decide
from handler.images.summary import summed_up
from handler.telemetry import logger

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


DENIAL = "You are not authorized. Encoded authorization failure message: " + "é" * 900


def test_why_something_is_unproven_is_short_however_long_the_errors_are() -> None:
    now = datetime(2025, 11, 25, tzinfo=UTC)
    shut = AwsError("UnauthorizedOperation", DENIAL, ErrorKind.REFUSED)
    policy = Policy({}, "Keep", timedelta(30), timedelta(7), 1, 1)
    names = ("instances", "EC2 Fleets", "Spot Fleets", "Spot requests")
    image = Image("ami-1", now - timedelta(60))
    unseen = tuple(Unseen(one, shut) for one in names)
    (verdict,) = decide(Inventory((image,), (), References({}, unseen)), policy, now)
    assert len(verdict.why.encode()) <= 1_000
    assert all(one in verdict.why for one in names[:3])
    (entry,) = plan([IMAGE], shut)
    assert len(str(entry.recycle_bin)) < 500


def test_a_plan_that_lambda_would_not_take_says_how_much_of_it_is_left_out() -> None:
    many = [replace(STAYS, item_id=f"snap-{n}", why="é" * 400) for n in range(4_000)]
    answer = summed_up(
        [IMAGE, *many],
        [],
        Policy({}, "Keep", timedelta(30), timedelta(7), 1, 1),
        datetime(2025, 11, 25, tzinfo=UTC),
        look_ups_failed=0,
        found_failed=0,
        reported=False,
        waiting=0,
        calls=0,
        plan=plan([*many, IMAGE], ()),
    ).as_returned()
    shown = answer["plan"]
    assert isinstance(shown, list)
    assert shown[0]["id"] == "ami-1"
    assert answer["plan_left_out"] == 4_001 - len(shown)
    assert len(json.dumps(answer)) < 6 * 2**20


def test_a_report_that_no_line_holds_is_logged_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[dict[str, Any]] = []
    monkeypatch.setattr(logger, "error", lambda _, extra: said.append(extra))
    report = {"failed": [{"id": f"snap-{n}", "error": "é" * 150} for n in range(1_000)]}
    Journal(lambda _: None, "1").report_in_full(report, "the table is down")
    assert json.loads("".join(one["report"] for one in said)) == report
    assert max(len(json.dumps(one)) for one in said) < 256 * 1024


def test_a_line_of_what_stays_says_how_many_it_leaves_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[dict[str, Any]] = []
    monkeypatch.setattr(logger, "info", lambda _, extra: said.append(extra))
    Journal(lambda _: None, "1").stayed([replace(STAYS, why="é" * 500)] * 150)
    (line,) = said
    assert line["count"] == 150
    assert len(line["resources"]) + line["left_out"] == 150
    assert 10 < len(line["resources"]) < 100
    assert len(json.dumps(line)) < 256 * 1024
