"""Who may use an image or a snapshot, and fast snapshot restores.

Shapes: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImageAttribute.html (an
organization or one of its units stands in a permission like an account),
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSnapshotAttribute.html and
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeFastSnapshotRestores.html.
What was deregistered is `Unavailable`, what never was is `NotFound`
(https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html).
"""

from collections.abc import Mapping
from typing import Any

from tools.ec2_emulator import errors
from tools.ec2_emulator.errors import AwsError
from tools.ec2_emulator.world import Handler, World


def describe_image_attribute(world: World, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    image = world.library.images.get(parameters["ImageId"])
    if image is None:
        raise errors.no_such_image(world.library.deregistered, parameters["ImageId"])
    if parameters["Attribute"] != "launchPermission":
        raise AwsError("InvalidParameterValue", "Only launchPermission is served here")
    everybody = [{"Group": "all"}] if image.public else []
    return {"ImageId": image.id, "LaunchPermissions": everybody + image.permissions}


def describe_snapshot_attribute(world: World, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    snapshot = world.library.snapshots.get(parameters["SnapshotId"])
    if snapshot is None:
        raise AwsError("InvalidSnapshot.NotFound", "The snapshot does not exist.")
    if parameters["Attribute"] != "createVolumePermission":
        raise AwsError("InvalidParameterValue", "Only createVolumePermission is served here")
    return {"SnapshotId": snapshot.id, "CreateVolumePermissions": snapshot.permissions}


def describe_fast_snapshot_restores(world: World, _: Mapping[str, Any]) -> Mapping[str, Any]:
    zone = f"{world.region}a"
    return {
        "FastSnapshotRestores": [
            {"SnapshotId": key, "AvailabilityZone": zone, "State": state}
            for key, state in world.library.restores.items()
        ]
    }


OPERATIONS: Mapping[str, Handler] = {
    "DescribeImageAttribute": describe_image_attribute,
    "DescribeSnapshotAttribute": describe_snapshot_attribute,
    "DescribeFastSnapshotRestores": describe_fast_snapshot_restores,
}
