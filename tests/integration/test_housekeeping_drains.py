"""What EC2 refuses, and what the backend does not hear, holds nothing else up and loses no report."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from handler.images import outbox
from handler.images.outbox_table import LARGEST, Contents, Refusal
from tests.integration.house import House
from tests.integration.world import TABLE
from tools.ec2_emulator import faults


def refused(house: House, count: int, **given: object) -> set[str]:
    """Snapshots that EC2 refuses to delete, whenever it is asked."""
    ids = {house.snapshot(**given) for _ in range(count)}
    house.world.aws.policy.denied_ids |= ids
    return ids


def test_what_is_kept_takes_room() -> None:
    until = datetime(2030, 1, 1, tzinfo=UTC)
    kept = Contents(refusals={f"snap-{n:017x}": Refusal(9, until) for n in range(2_000)})
    room = outbox.room_beside(kept)
    assert 0 < room < outbox.room_beside(Contents())
    assert kept.size + room * outbox.MOST_OF_ONE <= LARGEST


def tries(house: House) -> list[str]:
    return [one.parameters["SnapshotId"] for one in house.world.aws.calls.of("DeleteSnapshot")]


def test_as_many_undeletable_ones_as_the_cap_do_not_starve_the_others(house: House) -> None:
    refused(house, 5, age_days=90)
    others = {house.snapshot(age_days=50) for _ in range(3)}
    house.run(MAX_DELETIONS_PER_RUN="5")
    house.run(MAX_DELETIONS_PER_RUN="5")
    assert set(house.library.deleted) == others


def test_an_estate_of_which_a_fifth_is_refused_for_ever_drains(house: House) -> None:
    stubborn = refused(house, 12, age_days=70)
    others = {house.snapshot(age_days=60 + n % 20) for n in range(48)}
    for _ in range(7):  # the fewest: 60 items, ten a run, and one more
        house.run(MAX_DELETIONS_PER_RUN="10")
    assert set(house.library.deleted) == others
    assert sorted(one for one in tries(house) if one in stubborn) == sorted(stubborn)  # once each


def test_what_was_refused_is_tried_again_later_and_forgotten_once_it_is_gone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = refused(house, 1)
    house.run()
    said = house.returned()
    assert (said["kept"]["deferred"], said["failed"], len(tries(house))) == (1, 0, 1)
    house.world.aws.policy.denied_ids.clear()
    later = datetime.now(UTC) + outbox.FIRST_WAIT
    monkeypatch.setattr("handler.housekeeping.datetime", SimpleNamespace(now=lambda _: later))
    assert house.returned()["snapshots_deleted"] == 1
    assert house.library.deleted == [one]
    assert house.world.aws.tables[TABLE].items == {}


def test_no_deletion_is_tried_whose_report_could_not_be_kept(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "LARGEST", 20_000)
    refused(house, 30, age_days=90)
    for _ in range(10):
        house.image(age_days=80)
    house.lose("cleanup-report")
    for _ in range(4):
        house.run(MAX_DELETIONS_PER_RUN="40")
    puts = [one.parameters["Item"]["outbox"]["S"] for one in house.world.aws.calls.of("PutItem")]
    assert max(len(one.encode()) for one in puts) <= 20_000
    intended = {
        item_id
        for one in map(json.loads, puts)
        if one["intention"]
        for kind in ("images", "image_snapshots", "snapshots")
        for item_id in one["intention"][kind]
    }
    gone = {*house.library.deleted, *house.library.deregistered}
    assert gone | set(tries(house)) <= intended
    house.lose()
    house.run()
    reports = house.reports()
    reported = [one for each in reports for one in each["snapshots"]["deleted"]]
    reported += [one for each in reports for one in each["amis"]["deleted_amis"]]
    reported += [one for each in reports for one in each["amis"]["deleted_snapshots"]]
    gone = {*house.library.deleted, *house.library.deregistered}
    assert sorted(reported) == sorted(gone)
    failed = [one["id"] for each in reports for one in each["snapshots"]["failed"]]
    assert set(failed) == {one for one in tries(house) if one not in gone}


def test_the_largest_outbox_fits_into_an_item(house: House) -> None:
    key = {"id": {"S": f"cleanup-reports#{house.world.agent_id}"}}
    item = {
        **key,
        "revision": {"N": str(10**9)},
        "outbox": {"S": "x" * LARGEST},
        "expiration": {"N": str(10**10)},
    }
    table = house.world.aws.tables
    table.put_item({"TableName": TABLE, "Item": item})
    with pytest.raises(Exception, match="maximum allowed size"):
        table.put_item({"TableName": TABLE, "Item": {**item, "more": {"S": "x" * 20_000}}})


def test_a_call_is_not_made_again_for_what_was_protected_meanwhile(house: House) -> None:
    image, snapshot = house.image(), house.snapshot()

    def protect() -> None:
        house.library.images[image].tags["DoNotTerminate"] = "yes"
        house.library.snapshots[snapshot].tags["DoNotTerminate"] = "yes"

    for operation in ("DeregisterImage", "DeleteSnapshot"):
        house.world.aws.faults.add(operation, faults.throttled())
    house.world.aws.faults.add("DescribeImages", faults.meanwhile(protect), nth=2)
    house.world.aws.faults.add("DescribeSnapshots", faults.meanwhile(protect), nth=2)
    returned = house.returned()
    assert image in house.library.images
    assert snapshot in house.library.snapshots
    assert returned["kept"]["deferred"] == 2


def test_what_came_into_use_while_a_call_waited_stays(house: House) -> None:
    image, snapshot, other = house.image(), house.snapshot(), house.snapshot()

    def use() -> None:
        house.world.launch(image_id=image)
        house.library.snapshots[snapshot].permissions = [{"UserId": "210987654321"}]

    for operation in ("DeregisterImage", "DeleteSnapshot"):
        house.world.aws.faults.add(operation, faults.throttled(), times=2)
    house.world.aws.faults.add("DescribeImages", faults.meanwhile(use), nth=2)
    house.world.aws.faults.add("DescribeSnapshots", faults.meanwhile(use), nth=2)
    returned = house.returned()
    assert image in house.library.images
    assert house.library.deleted == [other]
    assert returned["kept"]["deferred"] == 2


def test_a_decision_that_has_waited_is_made_again_before_the_first_call(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a large account the looks and the pauses between calls take minutes."""
    monkeypatch.setattr("handler.images.delete.FRESH_FOR", timedelta())
    image, snapshot, other = house.image(), house.snapshot(), house.snapshot()

    def protect() -> None:
        house.library.images[image].tags["DoNotTerminate"] = "yes"
        house.library.snapshots[snapshot].tags["DoNotTerminate"] = "yes"

    house.world.aws.faults.add("DescribeSnapshotAttribute", faults.meanwhile(protect), nth=2)
    returned = house.returned()
    assert image in house.library.images
    assert house.library.deleted == [other]
    assert returned["kept"]["deferred"] == 2
    assert returned["reported"] is True


def test_a_fresh_decision_costs_no_further_look(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handler.images.delete.FRESH_FOR", timedelta(hours=1))  # on any machine
    house.image()
    house.snapshot()
    house.run()
    assert house.world.aws.calls.count("DescribeImages") == 1
    assert house.world.aws.calls.count("DescribeSnapshots") == 1


def test_what_was_disabled_while_a_call_waited_is_left_alone_and_not_called_gone(
    house: House,
) -> None:
    image = house.image()

    def disable() -> None:
        house.library.images[image].state = "disabled"

    house.world.aws.faults.add("DeregisterImage", faults.throttled())
    house.world.aws.faults.add("DescribeImages", faults.meanwhile(disable), nth=2)
    returned = house.returned()
    assert image in house.library.images
    assert (returned["already_gone"], returned["kept"]["deferred"]) == (0, 1)


def test_what_was_changed_meanwhile_is_not_waited_for(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    image = house.image()
    house.world.aws.faults.add("DeregisterImage", faults.throttled())
    house.world.aws.faults.add(
        "DescribeImages",
        faults.meanwhile(house.library.images[image].tags.clear),
        nth=2,
    )
    house.run()
    assert image in house.library.images
    assert len(pauses) == 1


ODD_IMAGES = """<R><requestId>r</requestId><imagesSet><item><imageId>{0}</imageId>
<tagSet><item><name>no key</name></item></tagSet></item></imagesSet></R>"""


@pytest.mark.parametrize("fault", [faults.raw(200, ODD_IMAGES), faults.error("InternalError")])
def test_a_look_before_another_try_that_fails_is_that_items_trouble(
    house: House, fault: faults.Fault
) -> None:
    image, snapshot = house.image(age_days=90), house.snapshot()
    house.world.aws.faults.add("DeregisterImage", faults.throttled())
    house.world.aws.faults.add("DescribeImages", fault, nth=2, times=None)
    returned = house.returned()
    assert image in house.library.images
    assert house.library.deleted == [snapshot]
    assert returned["failed"] == 0
    assert returned["kept"]["deferred"] == 1
    assert returned["reported"] is True


def test_what_a_look_before_another_try_leaves_out_is_not_called_gone(house: House) -> None:
    image, snapshot = house.image(), house.snapshot()
    own = house.library.images[image].snapshots
    for look in ("DescribeImages", "DescribeSnapshots"):
        late = faults.meanwhile(lambda: house.library.late.update({image, snapshot}))
        house.world.aws.faults.add(look, late, nth=2)
    for operation in ("DeregisterImage", "DeleteSnapshot"):
        house.world.aws.faults.add(operation, faults.throttled())
    returned = house.returned()
    assert (returned["already_gone"], returned["kept"]["deferred"]) == (0, 2)
    assert {image} <= set(house.library.images)
    assert {snapshot, *own} <= set(house.library.snapshots)
