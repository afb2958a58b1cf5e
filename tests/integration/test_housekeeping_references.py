"""Every kind of reference: by it something stays, and it stays when the reference cannot be looked at."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.house import Estate, House
from tests.integration.world import TABLE
from tools.ec2_emulator import faults
from tools.ec2_emulator.faults import Fault


def test_each_way_to_stay(house: House) -> None:
    estate = Estate(house, images=0, snapshots=0)
    estate.build(going_images=1, going_snapshots=1)
    house.run()
    asked = house.attempted()
    assert {way for way, stays in estate.stays.items() if stays & asked} == set()
    assert asked == estate.goes


FOREIGN = faults.raw(200, "<html><body>Sign in to continue</body></html>")
EMPTY_XML = faults.raw(200, "<Response><requestId>r</requestId></Response>")
LOOK_UPS: dict[str, set[str]] = {
    "DescribeInstances": {"ami", "snap"},
    "DescribeLaunchTemplates": {"ami", "snap"},
    "DescribeLaunchTemplateVersions": {"ami", "snap"},
    "DescribeLaunchConfigurations": {"ami", "snap"},
    "DescribeAutoScalingGroups": {"ami", "snap"},
    "DescribeSpotInstanceRequests": {"ami", "snap"},
    "DescribeFleets": {"ami", "snap"},
    "DescribeSpotFleetRequests": {"ami", "snap"},
    "DescribeFastSnapshotRestores": {"ami", "snap"},
    "DescribeParameters": {"ami", "snap"},
    "GetParameters": {"ami", "snap"},
    "DescribeLockedSnapshots": {"ami", "snap"},
    "DescribeSnapshots": {"ami", "snap"},
    "DescribeImageReferences": {"ami"},
    "DescribeImageAttribute": {"ami"},
    "DescribeSnapshotAttribute": {"snap"},
}
"""What each look-up could have spoken for."""


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        *((one, faults.error("UnauthorizedOperation")) for one in LOOK_UPS),
        *((one, EMPTY_XML) for one in LOOK_UPS if "Parameters" not in one),
        ("DescribeInstances", FOREIGN),
        ("DescribeAutoScalingGroups", FOREIGN),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_look_up_that_fails_keeps_what_it_could_have_spoken_for(
    house: House, operation: str, fault: Fault
) -> None:
    house.library.add_template([{"ImageId": "ami-0123456789abcdef0"}])
    house.library.parameters["/golden"] = ("String", "x")
    images = [house.image() for _ in range(2)]
    snapshot = house.snapshot()
    house.world.aws.faults.add(operation, fault, times=None)
    done = house.run()
    gone = house.attempted()
    if "ami" in LOOK_UPS[operation]:
        assert not gone & set(images)
    if "snap" in LOOK_UPS[operation]:
        assert snapshot not in gone
        assert not {one for one in gone if one.startswith("snap")}
    assert done.returned["kept"]["unproven"] >= 1
    (failed,) = {line["error_code"] for line in done.lines if "look_up" in line}
    assert failed
    assert done.metrics["LookUpFailures"][0] >= 1


NO_IMAGE = """<instancesSet><item><instanceId>i-00000001</instanceId>
<instanceState><name>running</name></instanceState></item></instancesSet>"""
NO_DATA = "<launchTemplateId>lt-00000001</launchTemplateId><versionNumber>1</versionNumber>"
ODD = """<Response><requestId>r</requestId><{0}><item>{1}</item></{0}></Response>"""


@pytest.mark.parametrize(
    ("operation", "field", "item"),
    [
        ("DescribeImageReferences", "imageReferenceSet", "<name>no id</name>"),
        ("DescribeInstances", "reservationSet", "<name>no instances</name>"),
        ("DescribeInstances", "reservationSet", NO_IMAGE),
        ("DescribeLaunchTemplates", "launchTemplates", "<name>no id</name>"),
        ("DescribeLaunchTemplateVersions", "launchTemplateVersionSet", NO_DATA),
        ("DescribeSnapshots", "snapshotSet", "<name>no id</name>"),
        ("DescribeLockedSnapshots", "snapshotSet", "<name>no id</name>"),
    ],
)
def test_an_item_without_what_every_item_has_is_a_failed_look_up(
    house: House, operation: str, field: str, item: str
) -> None:
    image = house.image()
    house.library.add_template([{"ImageId": "ami-0123456789abcdef0"}])
    house.world.aws.faults.add(operation, faults.raw(200, ODD.format(field, item)), times=None)
    done = house.run()
    assert image in house.library.images
    assert {line["error_code"] for line in done.lines if "look_up" in line} == {"NotAnAnswer"}


@pytest.mark.parametrize("body", ["{}", "<html></html>", '{"Parameters": null}'])
@pytest.mark.parametrize("operation", ["DescribeParameters", "GetParameters"])
def test_a_foreign_answer_in_ssms_place_is_no_empty_list(
    house: House, operation: str, body: str
) -> None:
    house.library.parameters["/golden"] = ("String", house.image())
    house.world.aws.faults.add(operation, faults.raw(200, body), times=None)
    house.run()
    assert house.attempted() == set()


@pytest.mark.parametrize("operation", ["DeregisterImage", "DeleteSnapshot"])
def test_a_foreign_answer_to_a_deletion_is_settled_by_a_look(house: House, operation: str) -> None:
    house.image(), house.snapshot()
    before = {*house.library.images, *house.library.snapshots}
    house.world.aws.faults.add(operation, faults.raw(200, "<html></html>"), times=None)
    returned = house.returned()
    left = {*house.library.images, *house.library.snapshots}
    assert {*house.deleted_by_reports()} == before - left
    assert returned["kept"]["deferred"] > 0


def _public(house: House) -> None:
    name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    house.library.add_template([{"ImageId": f"resolve:ssm:{name}"}])


def _public_by_its_arn(house: House) -> None:
    name = "arn:aws:ssm:us-east-1::parameter/aws/service/ecs/optimized-ami/amazon-linux-2023"
    house.library.add_template([{"ImageId": f"resolve:ssm:{name}"}])
    house.library.unreadable.add(name)


def _of_no_parameter(house: House) -> None:
    house.library.add_template([{"ImageId": "resolve:ssm:/nobody/has/this"}])


def _of_a_bad_name(house: House) -> None:
    house.library.add_template([{"ImageId": "resolve:ssm:/a bad name"}])


def _vanished(house: House) -> None:
    template = house.library.add_template([{"ImageId": "ami-0123456789abcdef0"}] * 2)
    house.world.aws.faults.add(
        "DescribeLaunchTemplateVersions",
        faults.meanwhile(lambda: _delete_template(house, template)),
    )


def _delete_template(house: House, template: str) -> None:
    del house.library.templates[template]


@pytest.mark.parametrize(
    "make", [_public, _public_by_its_arn, _of_no_parameter, _of_a_bad_name, _vanished]
)
def test_a_reference_to_nothing_of_ours_keeps_nothing(
    house: House, make: Callable[[House], None]
) -> None:
    goes = {house.image(), house.snapshot()}
    make(house)
    house.run()
    assert goes <= house.attempted()


def test_one_alias_that_cannot_be_read_keeps_images_only_and_is_named_with_its_cure(
    house: House,
) -> None:
    image, snapshot, used = house.image(), house.snapshot(), house.image()
    names = [f"/team/{number}" for number in range(12)]
    for name in names:
        house.library.parameters[name] = ("SecureString", "x")
    template = house.library.add_template([{"ImageId": f"resolve:ssm:{one}"} for one in names])
    house.library.parameters["/team/3"] = ("SecureString", used)  # in the same batch of ten
    house.library.unreadable.add("/team/4")
    plan = {one["id"]: one for one in house.returned(DRY_RUN="true")["plan"]}
    assert plan[used]["reason"] == "in_use"
    assert plan[image]["reason"] == "unproven"
    for word in (template, "/team/4", "ssm:GetParameters"):
        assert word in plan[image]["why"]
    assert plan[snapshot]["goes"] is True
    done = house.run()
    note = house.world.aws.tables[TABLE].items["unseen-references",]["unseen"]["S"]
    for word in (template, "/team/4", "let the function's role read /team/4"):
        assert word in note  # for the doctor
    assert house.attempted() - {image, used} == {snapshot}
    assert done.metrics["LookUpFailures"] == [1]


def test_a_copy_under_way_with_a_description_of_its_own_keeps_what_may_be_its_source(
    house: House,
) -> None:
    source, other = house.snapshot(size=8), house.snapshot(size=20)
    made_up = {"volume_id": "vol-ffffffff", "tags": {}, "description": "encrypted mail"}
    house.snapshot(state="pending", size=8, **made_up)
    returned = house.returned()
    assert house.library.deleted == [other]
    assert source in house.library.snapshots
    assert returned["kept"]["unproven"] == 1


def test_one_parameter_that_cannot_be_read_is_named(house: House) -> None:
    image = house.image()
    house.library.parameters |= {f"/team/{n}": ("String", "x") for n in range(12)}
    house.library.unreadable.add("/team/4")
    plan = {one["id"]: one for one in house.returned(DRY_RUN="true")["plan"]}
    assert plan[image]["reason"] == "unproven"
    assert "/team/4" in plan[image]["why"]
    assert "/team/5" not in plan[image]["why"]
