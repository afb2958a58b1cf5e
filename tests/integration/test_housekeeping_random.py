"""Random estates over the wire: nothing is even tried that must stay, and in the end all goes that may."""

from __future__ import annotations

import os
import random

import pytest

from handler.housekeeping import lambda_handler
from local.invoke import invoke
from tests.integration.house import TIMEOUT, WAYS, House
from tests.integration.world import MANAGED, World
from tools.ec2_emulator import faults
from tools.ec2_emulator.library import Library

BLOCKS = 5
RUNS = 1_000 if os.environ.get("SOAK") else 10
LOOK_UPS = (
    "DescribeImages", "DescribeSnapshots", "DescribeVolumes", "DescribeLockedSnapshots",
    "DescribeInstances", "DescribeLaunchTemplates", "DescribeLaunchTemplateVersions",
    "DescribeLaunchConfigurations", "DescribeAutoScalingGroups", "DescribeSpotInstanceRequests",
    "DescribeFleets", "DescribeSpotFleetRequests", "DescribeFastSnapshotRestores",
    "DescribeParameters", "GetParameters", "DescribeImageReferences", "DescribeImageAttribute",
    "DescribeSnapshotAttribute",
)  # fmt: skip
TROUBLE = (
    faults.raw(200, "<html><body>Sign in</body></html>"),
    faults.raw(200, "{}"),
    faults.raw(200, "<Response><requestId>r</requestId></Response>"),
    faults.error("UnauthorizedOperation"),
    faults.error("InternalError", status=500),
    faults.truncated(),
)


class RandomEstate:
    """What must stay, by every way there is to stay; and what may go, parts shared among images."""

    def __init__(self, house: House, dice: random.Random) -> None:
        self.house, self.dice = house, dice
        self.goes: set[str] = set()
        self.stays: set[str] = set()
        for way in dice.sample(sorted(WAYS), 6):
            self.stays |= set(WAYS[way](house))
        self.goes |= {house.snapshot() for _ in range(dice.randint(0, 3))}
        parts = [house.snapshot() for _ in range(dice.randint(1, 4))]
        for _ in range(dice.randint(1, 3)):
            some = dice.sample(parts, dice.randint(1, len(parts)))
            self.goes |= {house.image(age_days=dice.randint(31, 99), snapshots=some), *some}
        self.goes |= set(parts)
        self._share_with_what_stays(parts)

    def _share_with_what_stays(self, parts: list[str]) -> None:
        if self.dice.random() < 0.5:
            held = self.dice.choice(parts)
            keeper = self.house.image(age_days=self.dice.choice([1, 90]), tags={}, snapshots=[held])
            self.stays |= {held, keeper}
            self.goes.discard(held)

    def tried(self) -> set[str]:
        calls = self.house.world.aws.calls
        return {
            *(call.parameters["ImageId"] for call in calls.of("DeregisterImage")),
            *(call.parameters["SnapshotId"] for call in calls.of("DeleteSnapshot")),
        }


@pytest.mark.parametrize("block", range(BLOCKS))
def test_nothing_is_tried_that_must_stay_whatever_aws_answers(world: World, block: int) -> None:
    house = House(world)
    for seed in range(block, RUNS, BLOCKS):
        dice = random.Random(seed)
        _empty(world.aws.library)
        world.aws.policy.required_tags = MANAGED
        estate = RandomEstate(house, dice)
        for operation in dice.sample(LOOK_UPS, dice.choice([0, 1, 3])):
            when = {"times": None} if dice.random() < 0.5 else {"times": 1, "nth": 2}
            world.aws.faults.add(operation, dice.choice(TROUBLE), **when)
        world.aws.calls.clear()
        _run(house)
        assert not estate.tried() & estate.stays, seed
        world.aws.faults.clear()
        for _ in range(2):  # what a part keeps of an image may go in the run after it
            _run(house)
        assert not estate.tried() & estate.stays, seed
        assert estate.tried() == estate.goes, seed


def _empty(library: Library) -> None:
    """Nothing of the last estate is left; ids go on, so what its instances use is unknown now."""
    for shelf in (library.images, library.snapshots, library.templates, library.parameters):
        shelf.clear()
    for users in (library.configurations, library.groups, library.recipes, library.fleet_images):
        users.clear()
    for marks in (library.locks, library.restores):
        marks.clear()


def _run(house: House) -> None:
    try:
        invoke(lambda_handler, house.world.environment(), timeout=TIMEOUT)
    except Exception as error:  # the list of images may be what fails
        if "could not be listed" not in str(error):
            raise
