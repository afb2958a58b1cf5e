"""Images and snapshots: who may use them, what is hidden, and parameters that may not be read."""

import pytest
from botocore.exceptions import ClientError

from tools.ec2_emulator import Emulator
from tools.ec2_emulator.tests.sides import Clients


def test_permissions_name_accounts_organizations_and_everybody(
    emulator: Emulator, aws: Clients
) -> None:
    image = emulator.library.add_image(public=True)
    emulator.library.images[image].permissions = [{"UserId": "210987654321"}]
    answer = aws.ec2.describe_image_attribute(ImageId=image, Attribute="launchPermission")
    assert answer["LaunchPermissions"] == [{"Group": "all"}, {"UserId": "210987654321"}]
    (part,) = emulator.library.images[image].snapshots
    said = aws.ec2.describe_snapshot_attribute(SnapshotId=part, Attribute="createVolumePermission")
    assert said["CreateVolumePermissions"] == []


def test_what_a_service_manages_is_left_out_unless_asked_for(
    emulator: Emulator, aws: Clients
) -> None:
    template = emulator.library.add_template([{"ImageId": "ami-0123456789abcdef0"}])
    emulator.library.volumes.add("vol-1")
    emulator.library.hidden |= {template, "vol-1"}
    assert aws.ec2.describe_launch_templates()["LaunchTemplates"] == []
    assert aws.ec2.describe_volumes()["Volumes"] == []
    shown = aws.ec2.describe_launch_templates(IncludeManagedResources=True)["LaunchTemplates"]
    assert [one["LaunchTemplateId"] for one in shown] == [template]
    assert len(aws.ec2.describe_volumes(IncludeManagedResources=True)["Volumes"]) == 1


def test_what_a_listing_leaves_out_is_known_by_its_permissions(
    emulator: Emulator, aws: Clients
) -> None:
    late, gone = emulator.library.add_image(), emulator.library.add_image()
    (part,) = emulator.library.images[late].snapshots
    emulator.library.late |= {late, part}
    aws.ec2.deregister_image(ImageId=gone)
    assert aws.ec2.describe_images(Owners=["self"])["Images"] == []
    listed = [
        one["SnapshotId"] for one in aws.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    ]
    assert part not in listed
    aws.ec2.describe_snapshot_attribute(SnapshotId=part, Attribute="createVolumePermission")
    aws.ec2.describe_image_attribute(ImageId=late, Attribute="launchPermission")
    with pytest.raises(ClientError, match=r"InvalidAMIID\.Unavailable"):
        aws.ec2.describe_image_attribute(ImageId=gone, Attribute="launchPermission")
    with pytest.raises(ClientError, match=r"InvalidAMIID\.NotFound"):
        aws.ec2.describe_image_attribute(ImageId="ami-01234567", Attribute="launchPermission")


def test_a_template_that_is_gone_is_named_as_unknown(aws: Clients) -> None:
    with pytest.raises(ClientError) as caught:
        aws.ec2.describe_launch_template_versions(LaunchTemplateId="lt-0123456789abcdef0")
    assert caught.value.response["Error"]["Code"] == "InvalidLaunchTemplateId.NotFound"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("/aws/service/ami-amazon-linux-latest/al2023", "AccessDeniedException"),
        ("/team/secret", "AccessDeniedException"),
        ("/a bad name", "ValidationException"),
    ],
)
def test_one_bad_name_costs_the_whole_call(
    emulator: Emulator, aws: Clients, name: str, code: str
) -> None:
    emulator.library.parameters["/team/open:2"] = ("String", "x")
    emulator.library.unreadable.add("/team/secret")
    (one,) = aws.ssm.get_parameters(Names=["/team/open:2"])["Parameters"]
    assert (one["Name"], one["Selector"]) == ("/team/open", ":2")
    with pytest.raises(ClientError) as caught:
        aws.ssm.get_parameters(Names=["/team/open:2", name])
    assert caught.value.response["Error"]["Code"] == code


def test_a_restore_from_the_archive_ends(emulator: Emulator, aws: Clients) -> None:
    emulator.library.add_snapshot(restored_until=emulator.world.clock() + 60)
    (one,) = aws.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert one["StorageTier"] == "standard"
    assert "RestoreExpiryTime" in one
