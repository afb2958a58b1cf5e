"""What became of a deletion whose answer was lost: nothing shown is no proof, and nor is what is shown."""

from __future__ import annotations

import time

import pytest

from handler.aws.retry import Retry
from handler.housekeeping import lambda_handler
from local.invoke import Invocation, invoke
from tests.integration.house import House
from tools.ec2_emulator import faults


@pytest.mark.parametrize("code", ["InvalidSnapshot.NotFound", "InvalidAMIID.NotFound"])
def test_what_ec2_calls_gone_after_a_lost_answer_was_deleted_whatever_a_list_shows(
    house: House, code: str
) -> None:
    of_image = code.startswith("InvalidAMIID")
    item = house.image(snapshots=[]) if of_image else house.snapshot()
    operation = "DeregisterImage" if of_image else "DeleteSnapshot"
    house.world.aws.faults.add(operation, faults.dropped(after_effect=False), times=1)
    house.world.aws.faults.add(operation, faults.error(code), times=1)
    returned = house.returned()
    assert returned["images_deregistered"] + returned["snapshots_deleted"] == 1
    assert returned["already_gone"] == returned["failed"] == 0
    assert house.deleted_by_reports() == [item]


def test_what_ec2_calls_unavailable_after_a_lost_answer_may_be_there(house: House) -> None:
    image = house.image()
    house.world.aws.faults.add("DeregisterImage", faults.dropped(after_effect=False), times=1)
    house.world.aws.faults.add("DeregisterImage", faults.error("InvalidAMIID.Unavailable"), times=1)
    returned = house.returned()
    assert image in house.library.images
    assert set(house.library.images[image].snapshots) <= set(house.library.snapshots)
    assert (returned["images_deregistered"], returned["kept"]["deferred"]) == (0, 1)
    assert house.deleted_by_reports() == []


def test_a_deletion_that_shows_only_after_the_run_is_reported_by_the_next(house: House) -> None:
    snapshot = house.snapshot()
    house.world.aws.faults.add("DeleteSnapshot", faults.dropped(after_effect=False), times=3)
    returned = house.returned()
    assert (returned["failed"], returned["kept"]["deferred"]) == (0, 1)
    del house.library.snapshots[snapshot]
    house.run()
    assert house.deleted_by_reports() == [snapshot]


def test_what_the_next_run_finds_still_there_is_reported_as_failed_and_waits(
    house: House,
) -> None:
    image, snapshot = house.image(), house.snapshot()
    for operation in ("DeregisterImage", "DeleteSnapshot"):
        house.world.aws.faults.add(operation, faults.error("InternalError"), times=3)
    said = [house.returned()["failed"] for _ in range(3)]
    assert said == [0, 2, 0]  # counted by the run that finds out
    assert {image, snapshot} <= {*house.library.images, *house.library.snapshots}
    assert house.world.aws.calls.count("DeleteSnapshot") == 3
    because = "EC2 did not answer, and the next run found it still there"
    for kind, item in (("amis", image), ("snapshots", snapshot)):
        failed = [one for report in house.reports() for one in report[kind]["failed"]]
        assert failed == [{"id": item, "error": because}]


def test_what_the_run_had_no_time_for_is_no_refusal_of_ec2s(house: House) -> None:
    snapshot = house.snapshot()
    house.world.aws.faults.add("DeleteSnapshot", faults.silent(20), times=None)
    returned = _run_for(house, 4).returned
    assert (returned["failed"], returned["kept"]["deferred"]) == (0, 1)
    house.world.aws.faults.clear()
    house.run()
    assert snapshot in house.library.deleted
    assert [one["snapshots"]["failed"] for one in house.reports()] == [[]] * len(house.reports())


def test_a_call_that_is_carried_out_after_the_look_is_reported_by_the_next_run(
    house: House,
) -> None:
    snapshot = house.snapshot()
    house.world.aws.faults.add("DeleteSnapshot", faults.meanwhile(lambda: time.sleep(4.5)), times=1)
    _run_for(house, 5)
    _until_deleted(house, snapshot)
    house.run()
    assert house.deleted_by_reports() == [snapshot]


def test_an_answer_that_comes_when_nobody_waits_for_it_settles_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = house.snapshot()
    house.world.aws.faults.add("DeleteSnapshot", faults.meanwhile(lambda: time.sleep(4.0)), times=1)
    real = Retry.__call__

    def slow(*given: object) -> object:
        answer = real(*given)  # type: ignore[arg-type] # passed through
        time.sleep(1.0)
        return answer

    monkeypatch.setattr(Retry, "__call__", slow)
    _run_for(house, 5)
    _until_deleted(house, snapshot)
    house.run()
    assert house.deleted_by_reports() == [snapshot]


def _until_deleted(house: House, snapshot: str) -> None:
    until = time.monotonic() + 30
    while snapshot not in house.library.deleted:
        assert time.monotonic() < until
        time.sleep(0.05)


def _run_for(house: House, seconds: float) -> Invocation:
    return invoke(lambda_handler, house.world.environment(), timeout=seconds)


def test_an_image_of_which_ec2_says_that_it_is_unavailable_may_be_there(house: House) -> None:
    image = house.image()
    house.world.aws.faults.add("DeregisterImage", faults.dropped(after_effect=False), times=3)
    late = faults.meanwhile(lambda: house.library.late.add(image))
    house.world.aws.faults.add("DescribeImages", late, nth=2)
    unavailable = faults.error("InvalidAMIID.Unavailable")
    house.world.aws.faults.add("DescribeImageAttribute", unavailable, nth=2, times=None)
    returned = house.returned()
    assert image in house.library.images
    assert returned["images_deregistered"] == returned["already_gone"] == 0
    house.world.aws.faults.clear()
    house.library.late.clear()
    house.run()
    assert house.deleted_by_reports() == []


def test_what_became_of_a_deletion_is_found_out_by_the_next_run_where_this_one_cannot(
    house: House,
) -> None:
    snapshot = house.snapshot()
    house.world.aws.faults.add("DeleteSnapshot", faults.dropped(after_effect=True), times=3)
    blind = house.world.aws.faults.add(
        "DescribeSnapshots", faults.error("AuthFailure"), nth=2, times=None
    )
    returned = house.returned()
    assert house.library.deleted == [snapshot]
    assert (returned["failed"], returned["snapshots_deleted"]) == (0, 0)
    assert returned["kept"]["deferred"] == 1
    blind.times = blind.fired
    house.run()
    first, *later = house.reports()
    assert first["snapshots"] == {**first["snapshots"], "deleted": [], "failed": []}
    assert [one["snapshots"]["deleted"] for one in later] == [[snapshot], []]


@pytest.mark.parametrize("done", [False, True], ids=["still there", "deleted"])
def test_what_a_look_after_lost_answers_leaves_out_is_not_called_deleted(
    house: House, done: bool
) -> None:
    image, snapshot = house.image(), house.snapshot()
    own = house.library.images[image].snapshots
    house.world.aws.faults.add("DeregisterImage", faults.dropped(after_effect=done), times=3)
    house.world.aws.faults.add("DeleteSnapshot", faults.dropped(after_effect=done), times=3)
    late = faults.meanwhile(lambda: house.library.late.update({image, snapshot}))
    for look in ("DescribeImages", "DescribeSnapshots"):
        house.world.aws.faults.add(look, late, nth=2)
    house.run()
    house.library.late.clear()
    house.run(MAX_DELETIONS_PER_RUN="1")
    assert house.deleted_by_reports() == ([image, snapshot, *own] if done else [])
    assert (image in house.library.images) is not done
