"""Whatever the inventory and whatever EC2 refuses: nothing goes that something refers to.

The truth is kept apart from what the run is shown: a reference that could not be looked at is in the
truth all the same.
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from handler.aws.errors import AwsError, ErrorKind
from handler.images.choose import choose
from handler.images.model import (
    SOURCE_TAG,
    Image,
    Inventory,
    Kind,
    Policy,
    Reason,
    References,
    Snapshot,
    Unseen,
    Verdict,
    keep,
)
from handler.images.rules import decide

BLOCKS = 10
EACH = (100_000 if os.environ.get("SOAK") else 1_000) // BLOCKS
NOW = datetime(2025, 11, 25, 12, 30, tzinfo=UTC)
DAY = timedelta(days=1)
OURS = {"ManagedBy": "us"}
POLICY = Policy(OURS, "Keep", 30 * DAY, 7 * DAY, 1, 1)
SHUT = AwsError("UnauthorizedOperation", "no", ErrorKind.REFUSED)
LOOK_UPS = ("instances", "launch templates", "configurations", "groups", "fleets", "parameters")
IMAGES = [f"ami-{n}" for n in range(7)]
SNAPSHOTS = [f"snap-{n}" for n in range(9)]


@dataclass
class Account:
    """One random account: its inventory as it is shown, and what must not go whatever is shown."""

    dice: random.Random
    images: list[Image] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    shown: dict[str, str] = field(default_factory=dict)
    unseen: list[Unseen] = field(default_factory=list)
    needed: set[str] = field(default_factory=set)
    asked: dict[str, Reason] = field(default_factory=dict)

    def fill(self) -> Inventory:
        dice = self.dice
        for name in dice.sample(SNAPSHOTS, dice.randint(1, len(SNAPSHOTS))):
            self.snapshots.append(self._snapshot(name))
        names = [one.snapshot_id for one in self.snapshots]
        for name in dice.sample(IMAGES, dice.randint(0, len(IMAGES))):
            self.images.append(self._image(name, names))
        self._refer()
        locked = frozenset(one for one in names if dice.random() < 0.05)
        self.needed |= locked
        volumes = frozenset(one for one in ("vol-a", "vol-b") if dice.random() < 0.5)
        return Inventory(
            tuple(self.images),
            tuple(self.snapshots),
            References(self.shown, tuple(self.unseen)),
            SHUT if dice.random() < 0.05 else locked,
            SHUT if dice.random() < 0.05 else volumes,
        )

    def _tags(self) -> dict[str, str]:
        tags = dict(OURS) if self.dice.random() < 0.85 else {"Team": "else"}
        for key, chance in (("Keep", 0.07), ("aws:dlm:managed", 0.05), ("aws:backup:x", 0.03)):
            if self.dice.random() < chance:
                tags[key] = ""
        if self.dice.random() < 0.3:
            tags[SOURCE_TAG] = self.dice.choice(["i-1", "i-2"])
        return tags

    def _snapshot(self, name: str) -> Snapshot:
        dice = self.dice
        return Snapshot(
            name,
            NOW - dice.choice([1, 6, 8, 20, 40, 90]) * DAY,
            self._tags(),
            dice.choice(["completed"] * 6 + ["pending"]),
            dice.choice(["vol-a", "vol-b", "vol-ffffffff", "vol-gone", "vol-gone"]),
            8.0,
            archived=dice.random() < 0.05,
            named=frozenset(dice.sample([*IMAGES, *SNAPSHOTS], dice.randint(0, 1))),
        )

    def _image(self, name: str, snapshots: Sequence[str]) -> Image:
        dice = self.dice
        return Image(
            name,
            NOW - dice.choice([5, 29, 31, 60, 200]) * DAY,
            self._tags(),
            dice.choice(["available"] * 6 + ["pending", "disabled"]),
            dice.choice([None, None, NOW - 31 * DAY, NOW - 90 * DAY]),
            protected=dice.random() < 0.05,
            public=dice.random() < 0.05,
            snapshots=tuple(dice.sample(snapshots, dice.randint(0, min(3, len(snapshots))))),
            source=dice.choice([None, None, None, *IMAGES]),
        )

    def _refer(self) -> None:
        """References of every kind, some of them where the run cannot look."""
        dice = self.dice
        for what in LOOK_UPS:
            named = {
                one for one in (*IMAGES, *SNAPSHOTS) if dice.random() < dice.choice([0, 0, 0.1])
            }
            self.needed |= named
            if dice.random() < 0.04:
                self.unseen.append(Unseen(what, SHUT))
            else:
                self.shown |= dict.fromkeys(named, what)
        if dice.random() < 0.05:  # an alias that cannot be read stands for some image
            self.needed.add(dice.choice(IMAGES))
            self.unseen.append(Unseen("alias", SHUT, frozenset({Kind.IMAGE})))
        for one in (*IMAGES, *SNAPSHOTS):
            if dice.random() < 0.05:
                self.asked[one] = dice.choice([Reason.SHARED, Reason.IN_USE, Reason.UNPROVEN])
                self.needed.add(one)
        for copy in self.snapshots:
            self.needed |= copy.named if copy.state == "pending" else set()
        for image in self.images:
            self.needed |= {image.source} if image.state == "pending" and image.source else set()

    def ask(self, verdicts: Sequence[Verdict]) -> Mapping[str, Verdict]:
        """What EC2 tells of what is about to go."""
        return {
            one.item_id: keep(one, self.asked[one.item_id], "asked")
            for one in verdicts
            if one.item_id in self.asked
        }


def delete(account: Account, inventory: Inventory) -> tuple[set[str], set[str]]:
    """What a run deregisters and deletes, where EC2 refuses some of it."""
    verdicts = decide(inventory, POLICY, NOW)
    cap, room = account.dice.choice([1, 2, 50]), account.dice.choice([3, 100])
    choice = choose(
        verdicts,
        inventory,
        POLICY,
        NOW,
        cap=cap,
        room=room,
        held_back=lambda _: None,
        ask=account.ask,
    )
    chosen, parts = choice.chosen, choice.parts
    assert len(chosen) <= cap
    images = [one for one in chosen if one.kind is Kind.IMAGE and account.dice.random() < 0.9]
    gone = {one.item_id for one in images}
    held = {part for one in inventory.images if one.image_id not in gone for part in one.snapshots}
    free = {one.item_id for one in chosen if one.kind is Kind.SNAPSHOT}
    assert not free & held
    refused = {one.item_id for one in chosen if one.kind is Kind.IMAGE} - gone
    left = {part for one in inventory.images if one.image_id in refused for part in one.snapshots}
    return gone, free | {one.item_id for one in parts if one.item_id not in left}


@pytest.mark.parametrize("block", range(BLOCKS))
def test_nothing_goes_that_something_refers_to(block: int) -> None:
    went = 0
    for seed in range(block * EACH, (block + 1) * EACH):
        account = Account(random.Random(seed))
        inventory = account.fill()
        images, snapshots = delete(account, inventory)
        went += len(images) + len(snapshots)
        assert not (images | snapshots) & account.needed, seed
        tags = {one.image_id: one.tags for one in inventory.images}
        tags |= {one.snapshot_id: one.tags for one in inventory.snapshots}
        for item_id in images | snapshots:
            assert tags[item_id].get("ManagedBy") == "us", seed
            assert not any(key == "Keep" or key.startswith("aws:") for key in tags[item_id]), seed
        for image in inventory.images:
            kept = image.image_id not in images
            assert not (kept and snapshots & set(image.snapshots)), seed
            if not kept:  # what is part of it and protected or referred to protects it
                assert not account.needed & set(image.snapshots) - account.asked.keys(), seed
                assert image.created is not None
                assert image.created < NOW - 30 * DAY, seed
        for snapshot in inventory.snapshots:
            if snapshot.snapshot_id in snapshots:
                assert snapshot.started is not None
                assert snapshot.started < NOW - 7 * DAY, seed
                assert not snapshot.archived, seed
    assert went > EACH / 5  # the dice are not loaded: something goes
