"""The decision, case by case: one line of the table is one way to go or to stay."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handler.aws.errors import AwsError, ErrorKind
from handler.images.dry_run import RetentionRule
from handler.images.model import (
    Image,
    Inventory,
    Kind,
    Policy,
    Reason,
    References,
    Snapshot,
    Unseen,
    Verdict,
    oldest_first,
)
from handler.images.rules import decide, decide_parts

NOW = datetime(2025, 11, 25, 12, 30, tzinfo=UTC)
OURS = {"ManagedBy": "SpotOptimizer"}
DAY = timedelta(days=1)
SHUT = AwsError("UnauthorizedOperation", "no", ErrorKind.REFUSED)
POLICY = Policy(OURS, "DoNotTerminate", 30 * DAY, 7 * DAY, 1, 1)
IMAGE = Image("ami-1", NOW - 40 * DAY, OURS, snapshots=("snap-own",))
OWN = Snapshot("snap-own", NOW - 40 * DAY, OURS, volume_id="vol-gone")
SNAPSHOT = Snapshot("snap-1", NOW - 8 * DAY, OURS, volume_id="vol-gone")


def facts(**given: Any) -> Inventory:
    return replace(Inventory((), (), volumes=frozenset({"vol-live"})), **given)


def unseen(what: str) -> References:
    return References(unseen=(Unseen(what, SHUT),))


def verdict_on(image: Image, *, policy: Policy = POLICY, **given: Any) -> Verdict:
    more = given.pop("others", ())
    given.setdefault("snapshots", (OWN,))
    return decide(facts(images=(image, *more), **given), policy, NOW)[0]


def verdict_on_snapshot(snapshot: Snapshot, *, policy: Policy = POLICY, **given: Any) -> Verdict:
    more = given.pop("others", ())
    everything = facts(snapshots=(snapshot, *more), **given)
    found = {one.item_id: one for one in decide(everything, policy, NOW)}
    return found[snapshot.snapshot_id]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, Reason.UNUSED),
        ({"tags": {}}, Reason.NOT_OURS),
        ({"tags": {"ManagedBy": "spotoptimizer"}}, Reason.NOT_OURS),
        ({"tags": {**OURS, "DoNotTerminate": ""}}, Reason.PROTECTED),
        ({"tags": {**OURS, "aws:backup:source-resource": "i-1"}}, Reason.MANAGED),
        ({"tags": {**OURS, "aws:dlm:lifecycle-policy-id": "p"}}, Reason.MANAGED),
        ({"owner_alias": "aws-backup-vault"}, Reason.MANAGED),
        ({"state": "pending"}, Reason.NOT_READY),
        ({"state": "disabled"}, Reason.NOT_READY),
        ({"created": NOW - 30 * DAY}, Reason.TOO_YOUNG),
        ({"created": NOW - 30 * DAY - timedelta(seconds=1)}, Reason.UNUSED),
        ({"created": None}, Reason.TOO_YOUNG),
        ({"protected": True}, Reason.PROTECTED),
        ({"public": True}, Reason.PUBLIC),
        ({"last_launched": NOW - 31 * DAY}, Reason.LAUNCHED),
        ({"last_launched": NOW - 32 * DAY}, Reason.LAUNCHED),
        ({"last_launched": NOW - 32 * DAY - timedelta(seconds=1)}, Reason.UNUSED),
        ({"tags": {**OURS, "SourceInstance": "i-1"}}, Reason.LATEST),
    ],
)
def test_an_image_by_what_it_shows(changed: dict[str, Any], reason: Reason) -> None:
    verdict = verdict_on(replace(IMAGE, **changed))
    assert verdict.reason is reason
    assert verdict.why


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"references": References({"ami-1": "instance i-1"})}, Reason.IN_USE),
        ({"references": References({"snap-own": "launch template lt-1 version 1"})}, Reason.IN_USE),
        ({"references": unseen("instances")}, Reason.UNPROVEN),
        ({"references": replace(unseen("fleets"), by_id={"ami-1": "instance i-1"})}, Reason.IN_USE),
        ({"locked": frozenset({"snap-own"})}, Reason.LOCKED),
        ({"locked": frozenset({"snap-else"})}, Reason.UNUSED),
        ({"locked": SHUT}, Reason.UNPROVEN),
        ({"volumes": SHUT}, Reason.UNUSED),
        ({"snapshots": (replace(OWN, tags={**OURS, "DoNotTerminate": "x"}),)}, Reason.PROTECTED),
    ],
)
def test_an_image_by_what_was_looked_up(given: dict[str, Any], reason: Reason) -> None:
    verdict = verdict_on(IMAGE, **given)
    assert verdict.reason is reason
    assert verdict.why


@pytest.mark.parametrize(
    ("changed", "given", "reason"),
    [
        ({}, {}, Reason.UNUSED),
        ({"tags": {}}, {}, Reason.NOT_OURS),
        ({"tags": {**OURS, "DoNotTerminate": "no"}}, {}, Reason.PROTECTED),
        ({"tags": {**OURS, "aws:backup:source-resource": "v"}}, {}, Reason.MANAGED),
        ({"state": "pending"}, {}, Reason.NOT_READY),
        ({"state": "error"}, {}, Reason.NOT_READY),
        ({"started": NOW - 7 * DAY}, {}, Reason.TOO_YOUNG),
        ({"archived": True}, {}, Reason.ARCHIVED),
        ({"volume_id": "vol-ffffffff"}, {}, Reason.COPIED),
        ({"volume_id": "vol-live"}, {}, Reason.LATEST),
        ({"volume_id": "vol-live"}, {"volumes": SHUT}, Reason.UNPROVEN),
        ({}, {"locked": frozenset({"snap-1"})}, Reason.LOCKED),
        ({}, {"locked": SHUT}, Reason.UNPROVEN),
        (
            {},
            {"references": References({"snap-1": "launch template lt-1 version 2"})},
            Reason.IN_USE,
        ),
        ({}, {"references": unseen("launch templates")}, Reason.UNPROVEN),
        ({}, {"images": (Image("ami-x", NOW, {}, snapshots=("snap-1",)),)}, Reason.IN_USE),
        (
            {},
            {"images": (Image("ami-x", NOW, {}, state="disabled", snapshots=("snap-1",)),)},
            Reason.IN_USE,
        ),
    ],
)
def test_a_free_standing_snapshot(
    changed: dict[str, Any], given: dict[str, Any], reason: Reason
) -> None:
    verdict = verdict_on_snapshot(replace(SNAPSHOT, **changed), **given)
    assert verdict.reason is reason
    assert verdict.why


def test_the_newest_images_of_a_source_stay_and_each_source_counts_for_itself() -> None:
    tags = {**OURS, "SourceInstance": "i-1"}
    images = tuple(
        replace(IMAGE, image_id=f"ami-{n}", created=NOW - n * DAY, tags=tags) for n in (40, 50, 60)
    )
    other = replace(IMAGE, image_id="ami-b", tags={**OURS, "SourceInstance": "i-2"})
    policy = replace(POLICY, keep_latest_images=2)
    verdicts = decide(facts(images=(*images, other)), policy, NOW)
    assert [one.reason for one in verdicts] == [
        Reason.LATEST, Reason.LATEST, Reason.UNUSED, Reason.LATEST,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "newer",
    [{"state": "failed"}, {"tags": {"SourceInstance": "i-1"}}],
    ids=["broken", "not ours"],
)
def test_what_is_broken_or_not_ours_does_not_displace_the_last_good_image(
    newer: dict[str, Any],
) -> None:
    good = replace(IMAGE, tags={**OURS, "SourceInstance": "i-1"})
    bad = replace(good, image_id="ami-2", created=NOW - 35 * DAY, **newer)
    assert verdict_on(good, others=(bad,)).reason is Reason.LATEST


def test_a_snapshot_still_being_made_does_not_displace_the_last_good_one() -> None:
    good = replace(SNAPSHOT, volume_id="vol-live")
    pending = replace(good, snapshot_id="snap-2", started=NOW, state="pending")
    held = replace(good, snapshot_id="snap-3", started=NOW)
    holder = Image("ami-x", NOW, OURS, snapshots=("snap-3",))
    verdict = verdict_on_snapshot(good, others=(pending, held), images=(holder,))
    assert verdict.reason is Reason.LATEST


def test_with_keep_latest_at_zero_the_only_ones_go_as_well() -> None:
    policy = replace(POLICY, keep_latest_images=0, keep_latest_snapshots=0)
    image = replace(IMAGE, tags={**OURS, "SourceInstance": "i-1"})
    assert verdict_on(image, policy=policy).goes
    assert verdict_on_snapshot(replace(SNAPSHOT, volume_id="vol-live"), policy=policy).goes


PARTS = replace(IMAGE, snapshots=("snap-own", "snap-2"))
OTHER = replace(IMAGE, image_id="ami-2", snapshots=("snap-2",))


def parts(*going: str, second: Snapshot, images: tuple[Image, ...] = (PARTS, OTHER)) -> set[str]:
    """Which snapshots go after these images."""
    everything = facts(images=images, snapshots=(OWN, replace(second, snapshot_id="snap-2")))
    return {one.item_id for one in decide_parts(everything, going, POLICY, NOW) if one.goes}


def test_what_two_images_share_goes_only_after_both() -> None:
    assert parts("ami-1", second=OWN) == {"snap-own"}
    assert parts("ami-1", "ami-2", second=OWN) == {"snap-own", "snap-2"}


@pytest.mark.parametrize(
    "changed",
    [
        {"tags": {}},
        {"tags": {**OURS, "DoNotTerminate": ""}},
        {"tags": {**OURS, "aws:dlm:lifecycle-policy-id": "p"}},
        {"started": NOW - 6 * DAY},
        {"archived": True},
        {"volume_id": "vol-ffffffff"},
        {"volume_id": "vol-live"},
        {"state": "error"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_an_images_snapshot_is_judged_by_the_snapshots_own_rules(changed: dict[str, Any]) -> None:
    assert parts("ami-1", second=replace(OWN, **changed), images=(PARTS,)) == {"snap-own"}


def test_a_copy_under_way_uses_its_source() -> None:
    copy = Snapshot("snap-9", NOW, state="pending", named=frozenset({"ami-1", "snap-1"}))
    assert verdict_on(IMAGE, snapshots=(OWN, copy)).reason is Reason.IN_USE
    assert verdict_on_snapshot(SNAPSHOT, others=(copy,)).reason is Reason.IN_USE
    done = replace(copy, state="completed")
    assert verdict_on(IMAGE, snapshots=(OWN, done)).goes
    image = Image("ami-9", NOW, state="pending", source="ami-1")
    assert verdict_on(IMAGE, others=(image,)).reason is Reason.IN_USE
    assert verdict_on(IMAGE, others=(replace(image, state="available"),)).goes


@pytest.mark.parametrize(
    ("changed", "goes"),
    [
        ({}, False),
        ({"volume_id": ""}, False),
        ({"volume_gigabytes": None}, False),
        ({"named": frozenset({"snap-of-another-region"})}, False),
        ({"named": frozenset({"snap-own"})}, True),
        ({"volume_gigabytes": 9}, True),
        ({"volume_id": "vol-1"}, True),
        ({"state": "completed"}, True),
    ],
)
def test_a_copy_under_way_that_does_not_name_its_source_keeps_what_may_be_that(
    changed: dict[str, Any], *, goes: bool
) -> None:
    copy = Snapshot("snap-9", NOW, state="pending", volume_id="vol-ffffffff", volume_gigabytes=8)
    source = replace(SNAPSHOT, volume_gigabytes=8)
    verdict = verdict_on_snapshot(source, others=(OWN, replace(copy, **changed)))
    assert verdict.reason is (Reason.UNUSED if goes else Reason.UNPROVEN)
    assert goes or "snap-9" in verdict.why


def test_a_copy_under_way_may_be_of_what_ec2_tells_no_size_of() -> None:
    copy = Snapshot("snap-9", NOW, state="pending", volume_id="vol-ffffffff", volume_gigabytes=8)
    assert verdict_on_snapshot(SNAPSHOT, others=(copy,)).reason is Reason.UNPROVEN


def test_what_could_not_be_read_holds_back_only_what_it_could_name() -> None:
    alias = References(unseen=(Unseen("SSM parameter /a", SHUT, frozenset({Kind.IMAGE}), "x"),))
    image = verdict_on(IMAGE, references=alias)
    assert image.reason is Reason.UNPROVEN
    assert "SSM parameter /a" in image.why
    assert verdict_on_snapshot(SNAPSHOT, references=alias).goes


def test_the_oldest_go_first_whatever_their_kind() -> None:
    verdicts = [
        Verdict("snap-2", Kind.SNAPSHOT, Reason.UNUSED, "", NOW - 9 * DAY),
        Verdict("ami-1", Kind.IMAGE, Reason.UNUSED, "", NOW - 50 * DAY),
        Verdict("ami-2", Kind.IMAGE, Reason.IN_USE, "", NOW - 90 * DAY),
        Verdict("snap-1", Kind.SNAPSHOT, Reason.UNUSED, "", NOW - 60 * DAY),
    ]
    assert [one.item_id for one in oldest_first(verdicts)] == ["snap-1", "ami-1", "snap-2"]


@pytest.mark.parametrize(
    ("rule", "tags", "keeps"),
    [
        (RetentionRule(True, 7), {}, True),
        (RetentionRule(True, 7, excluded=(("ManagedBy", ""),)), OURS, False),
        (RetentionRule(True, 7, tags=(("ManagedBy", "SpotOptimizer"),)), OURS, True),
        (RetentionRule(True, 7, tags=(("ManagedBy", "else"),)), OURS, False),
        (RetentionRule(True, 7, tags=(("ManagedBy", ""),)), OURS, True),
    ],
)
def test_a_rule_of_the_recycle_bin_keeps_by_region_or_by_tag(
    rule: RetentionRule, tags: dict[str, str], *, keeps: bool
) -> None:
    assert rule.keeps(tags) is keeps
