"""A realistic estate: exactly the right ones go, whatever goes wrong on the way."""

from __future__ import annotations

import random
import time
from collections import Counter
from datetime import timedelta

import pytest

from tests.integration.house import Estate, House
from tools.ec2_emulator import faults
from tools.ec2_emulator.faults import Fault

TROUBLE: tuple[Fault, ...] = (
    faults.throttled(),
    faults.server_error(),
    faults.server_error(after_effect=True),
    faults.dropped(after_effect=False),
    faults.dropped(after_effect=True),
    faults.truncated(),
    faults.cut(),
)


def test_a_large_estate_in_few_calls(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handler.images.delete.FRESH_FOR", timedelta(hours=1))  # on any machine
    estate = Estate(house, images=2_000, snapshots=10_000)
    estate.build(going_images=30, going_snapshots=20)
    assert len(house.library.images) == 2_000
    assert len(house.library.snapshots) == 10_000
    # The clock stands still: half a bucket stands for what is refilled within two and a half seconds.
    house.world.aws.buckets.enable("ec2", scale=1.5)
    house.world.aws.calls.clear()
    began = time.monotonic()
    returned = house.returned()
    seconds = time.monotonic() - began
    assert estate.gone() == estate.goes
    assert house.attempted() <= estate.goes
    assert returned["images_deregistered"] == 30
    assert returned["snapshots_deleted"] == 20
    assert returned["failed"] == 0
    calls = Counter(call.operation for call in house.world.aws.calls)
    looks = calls.total() - calls["DeregisterImage"] - calls["DeleteSnapshot"]
    with capsys.disabled():
        print(  # noqa: T201 - the measurement is asked for
            f"\n2,000 images, 10,000 snapshots: {calls.total()} calls ({looks} without the 50 "
            f"deletions) in {seconds:.1f} s: {dict(sorted(calls.items()))}"
        )
    assert calls.total() < 250


@pytest.mark.parametrize("seed", range(4))
def test_faults_in_any_order_change_nothing_but_the_time(house: House, seed: int) -> None:
    """Each trouble happens once or twice to a call: patience makes up for it."""
    estate = Estate(house, images=130, snapshots=400, seed=seed)
    estate.build(going_images=8, going_snapshots=8)
    dice = random.Random(seed)
    for _ in range(12):
        house.world.aws.faults.add("ec2:*", dice.choice(TROUBLE), nth=dice.randint(1, 40))
    reported: list[str] = []
    for _ in range(3):
        house.run()
    for report in house.reports():
        reported += report["snapshots"]["deleted"] + report["amis"]["deleted_amis"]
        reported += report["amis"]["deleted_snapshots"]
    assert estate.gone() == estate.goes
    assert house.attempted() <= estate.goes
    assert sorted(reported) == sorted(estate.goes)  # each once, whatever was lost on the way
