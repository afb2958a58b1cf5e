"""Whatever the estate: nothing in use, protected, untagged, too young or newest ever goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from handler.aws.errors import AwsError, ErrorKind
from handler.images.model import (
    SOURCE_TAG,
    Image,
    Inventory,
    Policy,
    References,
    Snapshot,
    Unseen,
)
from handler.images.rules import decide, decide_parts

NOW = datetime(2025, 11, 25, 12, 30, tzinfo=UTC)
DAY = timedelta(days=1)
SHUT = AwsError("RequestLimitExceeded", "no", ErrorKind.THROTTLED)
POLICY = Policy({"ManagedBy": "us"}, "Keep", 30 * DAY, 7 * DAY, 1, 1)
SNAPSHOT_IDS = [f"snap-{n}" for n in range(6)]

_tags = st.builds(
    lambda ours, kept, managed, source: {
        **({"ManagedBy": "us"} if ours else {}),
        **({"Keep": ""} if kept else {}),
        **({"aws:backup:source-resource": "x"} if managed else {}),
        **({SOURCE_TAG: source} if source else {}),
    },
    st.sampled_from([True, True, True, False]),
    st.sampled_from([False, False, False, True]),
    st.sampled_from([False, False, False, True]),
    st.sampled_from(["", "", "i-1", "i-2"]),
)
_moments = st.one_of(st.none(), st.integers(0, 90).map(lambda days: NOW - days * DAY))


def _images() -> st.SearchStrategy[list[Image]]:
    one = st.builds(
        Image,
        image_id=st.integers(0, 30).map(lambda n: f"ami-{n}"),
        created=_moments,
        tags=_tags,
        state=st.sampled_from(["available", "available", "pending", "disabled"]),
        last_launched=_moments,
        protected=st.sampled_from([False, False, True]),
        public=st.sampled_from([False, False, True]),
        snapshots=st.lists(st.sampled_from(SNAPSHOT_IDS), max_size=2, unique=True).map(tuple),
    )
    return st.lists(one, max_size=8, unique_by=lambda image: image.image_id)


def _snapshots() -> st.SearchStrategy[list[Snapshot]]:
    one = st.builds(
        Snapshot,
        snapshot_id=st.sampled_from([*SNAPSHOT_IDS, *(f"snap-free-{n}" for n in range(9))]),
        started=_moments,
        tags=_tags,
        state=st.sampled_from(["completed", "completed", "pending", "error"]),
        volume_id=st.sampled_from(["vol-a", "vol-b", "vol-ffffffff"]),
        archived=st.sampled_from([False, False, True]),
    )
    return st.lists(one, max_size=12, unique_by=lambda snapshot: snapshot.snapshot_id)


_ids = st.sampled_from([*(f"ami-{n}" for n in range(31)), *SNAPSHOT_IDS, "snap-free-1"])
_facts = st.builds(
    lambda images, snapshots, users, locked, volumes: Inventory(
        tuple(images), tuple(snapshots), References(users), locked, volumes
    ),
    _images(),
    _snapshots(),
    st.dictionaries(_ids, st.just("somebody"), max_size=4),
    st.frozensets(st.sampled_from(SNAPSHOT_IDS), max_size=2),
    st.frozensets(st.sampled_from(["vol-a", "vol-b"])),
)


def _newest(items: Mapping[str, datetime]) -> str:
    return max(items, key=lambda one: (items[one], one))


def _going(facts: Inventory) -> set[str]:
    """All that a run would delete: the items, and the snapshots that go along with images."""
    going = {one.item_id for one in decide(facts, POLICY, NOW) if one.goes}
    images = {one.image_id for one in facts.images} & going
    return going | {one.item_id for one in decide_parts(facts, images, POLICY, NOW) if one.goes}


@given(_facts)
def test_every_item_has_exactly_one_verdict_with_a_reason(facts: Inventory) -> None:
    verdicts = decide(facts, POLICY, NOW)
    ids = [one.image_id for one in facts.images] + [one.snapshot_id for one in facts.snapshots]
    assert [one.item_id for one in verdicts] == ids
    assert all(one.why for one in verdicts)


@given(_facts)
def test_nothing_that_must_stay_ever_goes(facts: Inventory) -> None:
    going = _going(facts)
    tags = {one.image_id: one.tags for one in facts.images}
    tags |= {one.snapshot_id: one.tags for one in facts.snapshots}
    for item_id in going:
        assert tags[item_id].get("ManagedBy") == "us"
        assert "Keep" not in tags[item_id]
        assert item_id not in facts.references.by_id
    for image in facts.images:
        if image.image_id in going:
            assert image.created is not None
            assert image.created < NOW - 30 * DAY
            assert not image.protected
            assert not image.public
            assert "aws:backup:source-resource" not in image.tags
            assert image.last_launched is None or image.last_launched < NOW - 32 * DAY
    for snapshot in facts.snapshots:
        holders = [one for one in facts.images if snapshot.snapshot_id in one.snapshots]
        if snapshot.snapshot_id in going:
            assert all(one.image_id in going for one in holders)
            assert isinstance(facts.locked, frozenset)
            assert snapshot.snapshot_id not in facts.locked
            if not holders:
                assert snapshot.state == "completed"
                assert snapshot.started is not None
                assert snapshot.started < NOW - 7 * DAY


@given(_facts)
def test_the_newest_of_each_source_and_of_each_living_volume_stays(facts: Inventory) -> None:
    going = _going(facts)
    sources: dict[str, dict[str, datetime]] = {}
    for image in facts.images:
        whole = image.state == "available" and image.tags.get("ManagedBy") == "us"
        if whole and SOURCE_TAG in image.tags and image.created is not None:
            sources.setdefault(image.tags[SOURCE_TAG], {})[image.image_id] = image.created
    volumes: dict[str, dict[str, datetime]] = {}
    held = {one for image in facts.images for one in image.snapshots}
    assert isinstance(facts.volumes, frozenset)
    for one in facts.snapshots:
        whole = one.state == "completed" and one.tags.get("ManagedBy") == "us"
        if whole and one.started and one.snapshot_id not in held and one.volume_id in facts.volumes:
            volumes.setdefault(one.volume_id, {})[one.snapshot_id] = one.started
    for group in (*sources.values(), *volumes.values()):
        assert _newest(group) not in going


@given(_facts, st.sampled_from(["uses", "locks", "volumes"]))
def test_a_failed_look_up_only_ever_keeps_more(facts: Inventory, which: str) -> None:
    blind = {
        "uses": replace(
            facts, references=References(facts.references.by_id, (Unseen("instances", SHUT),))
        ),
        "locks": replace(facts, locked=SHUT),
        "volumes": replace(facts, volumes=SHUT),
    }[which]
    assert _going(blind) <= _going(facts)
    if which == "uses":
        assert _going(blind) == set()


@given(_facts, st.randoms(use_true_random=False))
def test_the_order_of_the_estate_does_not_matter(facts: Inventory, random: object) -> None:
    images, snapshots = list(facts.images), list(facts.snapshots)
    random.shuffle(images)  # type: ignore[attr-defined] # hypothesis' random
    random.shuffle(snapshots)  # type: ignore[attr-defined]
    mixed = replace(facts, images=tuple(images), snapshots=tuple(snapshots))
    assert _going(mixed) == _going(facts)
