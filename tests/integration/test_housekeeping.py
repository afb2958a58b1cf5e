"""The function against the emulator: deletes, keeps, plans; and what EC2 answers to it."""

from __future__ import annotations

import pytest

from handler.backend.errors import BackendError
from handler.images.inventory import HousekeepingError
from handler.settings import SettingsError
from tests.integration.house import House
from tests.integration.world import MANAGED
from tools.ec2_emulator import faults


def test_an_image_goes_with_its_own_snapshots_and_shared_ones_stay(house: House) -> None:
    shared = house.snapshot()
    own = house.snapshot()
    image = house.image(snapshots=[own, shared])
    house.image(age_days=1, snapshots=[shared])
    done = house.run()
    assert house.library.deregistered == [image]
    assert house.library.deleted == [own]
    lines = {one["resource_id"]: one for one in done.lines if "resource_id" in one}
    assert set(lines) == {image, own}
    assert lines[own]["part_of"] == image
    assert all(one["ec2_request_id"] for one in lines.values())
    assert done.metrics["ImagesDeregistered"] == [1]
    assert done.metrics["SnapshotsDeleted"] == [1]
    assert done.metrics["GigabytesFreed"] == [8]
    assert done.metrics["EstimatedMonthlyCostFreed"] == [pytest.approx(0.4)]
    # It was made 60 days ago, and might have gone 30 days ago.
    assert done.metrics["GigabyteMonthsUnused"] == [pytest.approx(8, rel=0.01)]


def test_a_snapshot_that_ec2_does_not_delete_after_its_image_is_reported_as_failed(
    house: House,
) -> None:
    image = house.image()
    (snapshot,) = house.library.images[image].snapshots
    free = house.snapshot()
    house.world.aws.policy.denied_ids |= {snapshot, free}
    done = house.run()
    assert (done.returned["images_deregistered"], done.returned["failed"]) == (1, 2)
    assert done.returned["snapshots_deleted"] == 0
    (line,) = [one for one in done.lines if one.get("resource_id") == snapshot]
    assert line["error_code"] == "UnauthorizedOperation"
    assert not done.metrics.keys() & {"GigabytesFreed", "GigabyteMonthsUnused"}
    (report,) = house.reports()
    assert [one["id"] for one in report["snapshots"]["failed"]] == [free]
    assert report["amis"]["deleted_snapshots"] == []
    (failure,) = report["amis"]["failed"]
    assert failure["id"] == snapshot
    assert failure["error"].startswith("UnauthorizedOperation")


def test_untagged_snapshots_of_an_image_of_ours_stay(house: House) -> None:
    image = house.image(snapshot_tags={})
    returned = house.returned()
    assert house.library.deregistered == [image]
    assert house.library.deleted == []
    assert returned["failed"] == 0


def test_a_snapshot_that_became_an_images_meanwhile_is_no_failure(house: House) -> None:
    snapshot = house.snapshot()
    house.world.aws.faults.add(
        "DeleteSnapshot", faults.meanwhile(lambda: _register(house, snapshot))
    )
    returned = house.returned()
    assert (returned["failed"], returned["kept"]["in_use"]) == (0, 1)
    assert snapshot in house.library.snapshots


def _delete(house: House, snapshot: str) -> None:
    del house.library.snapshots[snapshot]


def _register(house: House, snapshot: str) -> None:
    house.library.add_image(snapshots=[snapshot])


def test_what_somebody_else_deleted_meanwhile_is_not_counted_as_ours(house: House) -> None:
    snapshot = house.snapshot()
    house.world.aws.faults.add("DeleteSnapshot", faults.meanwhile(lambda: _delete(house, snapshot)))
    returned = house.returned()
    assert (returned["already_gone"], returned["snapshots_deleted"]) == (1, 0)
    assert house.reports()[0]["snapshots"]["deleted"] == []


def test_protected_and_backup_images_get_a_line_and_no_call(house: House) -> None:
    protected = house.image(protection="enabled-without-cooldown")
    backup = house.image(
        tags={**MANAGED, "aws:backup:source-resource": "i-1"}, snapshot_tags=MANAGED
    )
    done = house.run()
    assert house.world.aws.calls.count("DeregisterImage") == 0
    told = " ".join(" ".join(line.get("resources", [])) for line in done.lines)
    assert protected in told
    assert backup in told
    assert done.metrics["HousekeepingKeptProtected"] == [2]


def test_no_more_than_the_cap_and_the_oldest_first(house: House) -> None:
    ages = {house.snapshot(age_days=age): age for age in (12, 90, 33, 61)}
    returned = house.returned(MAX_DELETIONS_PER_RUN="3")
    assert {ages[one] for one in house.library.deleted} == {90, 61, 33}
    assert returned["kept"]["deferred"] == 1
    house.run(MAX_DELETIONS_PER_RUN="3")
    assert len(house.library.deleted) == 4


def test_a_dry_run_tells_what_goes_and_stays_and_does_nothing(house: House) -> None:
    goes, stays, loose = house.image(), house.image(age_days=3), house.snapshot()
    house.image(tags={})  # not ours: not even told
    done = house.run(DRY_RUN="true")
    plan = {entry["id"]: entry for entry in done.returned["plan"]}
    assert house.library.deregistered == house.library.deleted == []
    assert house.reports() == []
    assert plan[goes]["goes"] is plan[loose]["goes"] is True
    assert "could not be looked up" in plan[goes]["recycle_bin"]
    assert (plan[stays]["goes"], plan[stays]["reason"]) == (False, "too_young")
    assert all(entry["why"] for entry in plan.values())
    assert {goes, stays} <= set(plan)
    assert [line["plan"]["id"] for line in done.lines if "plan" in line] == list(plan)
    assert done.returned["planned"] == 2
    assert "ImagesDeregistered" not in done.metrics


def test_a_dry_run_shows_what_the_role_may_not_do(house: House) -> None:
    image = house.image()
    house.world.aws.policy.denied_ids.add(image)
    assert house.returned(DRY_RUN="true")["failed"] == 1


def test_with_nothing_old_nobody_is_asked_who_uses_what(house: House) -> None:
    house.image(age_days=1)
    house.run()
    assert house.world.aws.calls.count("DescribeInstances") == 0
    assert house.world.aws.calls.count("DescribeParameters") == 0


def test_without_the_call_for_references_the_own_look_ups_decide(house: House) -> None:
    unused, used = house.image(), house.image()
    house.world.launch(image_id=used)
    house.world.aws.faults.add("DescribeImageReferences", faults.error("InvalidAction"), times=None)
    house.run()
    assert house.library.deregistered == [unused]
    assert house.world.aws.calls.count("DescribeImageReferences") == 1


def test_an_answer_that_never_comes_is_settled_by_looks(house: House) -> None:
    image, snapshot = house.image(), house.snapshot()
    own = house.library.images[image].snapshots
    for operation in ("DeregisterImage", "DeleteSnapshot"):
        house.world.aws.faults.add(operation, faults.dropped(after_effect=True), times=3)
    returned = house.returned()
    # EC2 calls a deregistered image unavailable, which it may say of others: the next run settles it.
    assert (returned["images_deregistered"], returned["snapshots_deleted"]) == (0, 1)
    house.run()
    assert house.deleted_by_reports() == [image, snapshot, *own]


def test_without_the_list_of_images_the_run_fails(house: House) -> None:
    snapshot = house.snapshot()
    house.world.aws.faults.add("DescribeImages", faults.error("AuthFailure"), times=None)
    with pytest.raises(HousekeepingError, match="AuthFailure"):
        house.run()
    assert snapshot in house.library.snapshots


def test_without_a_token_nothing_is_deleted(house: House) -> None:
    image = house.image()
    del house.world.aws.parameters["/spot-optimizer/client-token"]
    with pytest.raises(BackendError, match="client token"):
        house.run(POWERTOOLS_SERVICE_NAME="no-token-yet")
    assert image in house.library.images


def test_bad_settings_are_named(house: House) -> None:
    with pytest.raises(SettingsError, match="MAX_DELETIONS_PER_RUN"):
        house.run(MAX_DELETIONS_PER_RUN="0", CLEANUP_AMIS_OLDER_THAN_DAYS="-1")


def test_a_dry_run_does_not_speak_of_reports_that_wait(house: House) -> None:
    shared = house.snapshot()
    images = {house.image(snapshots=[shared]) for _ in range(3)}
    plan = {one["id"]: one for one in house.returned(DRY_RUN="true")["plan"]}
    assert {one for one in images if plan[one]["goes"]} == images


def test_a_dry_run_believes_ec2_where_it_knows_of_a_use_that_we_do_not(house: House) -> None:
    free, image = house.snapshot(), house.image()
    fault = faults.error("InvalidSnapshot.InUse")
    house.world.aws.faults.add("DeleteSnapshot", fault, times=None)
    plan = {one["id"]: one for one in house.returned(DRY_RUN="true")["plan"]}
    (own,) = house.library.images[image].snapshots
    assert (plan[free]["goes"], plan[free]["reason"]) == (False, "in_use")
    assert plan[own]["goes"] is True  # its image would be gone by then


@pytest.mark.parametrize(
    ("look_up", "reason"), [(None, "latest"), (faults.error("InternalError"), "unproven")]
)
def test_the_newest_of_a_volume_that_a_list_leaves_out_stays(
    house: House, look_up: faults.Fault | None, reason: str
) -> None:
    newest = house.snapshot(volume_id="vol-late")
    part = house.snapshot(volume_id="vol-late", age_days=90)
    house.image(snapshots=[part])
    house.library.volumes.add("vol-late")
    house.library.late.add("vol-late")
    if look_up is not None:
        house.world.aws.faults.add("DescribeVolumes", look_up, nth=2, times=None)
    returned = house.returned()
    assert newest in house.library.snapshots
    assert house.library.deleted == [part]  # an older one
    assert returned["kept"][reason] == 1
