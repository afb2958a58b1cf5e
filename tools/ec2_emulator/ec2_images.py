"""EC2's operations on images, snapshots, volumes and launch templates."""

from collections.abc import Mapping
from typing import Any

from tools.ec2_emulator import errors, life_size_images
from tools.ec2_emulator.clock import as_datetime
from tools.ec2_emulator.errors import AwsError
from tools.ec2_emulator.library import Image, Snapshot, Template
from tools.ec2_emulator.listing import Values, page, select, tag_list
from tools.ec2_emulator.world import Handler, World

REFERENCES_AT_ONCE = 10
_LOCKED = frozenset({"governance", "compliance", "compliance-cooloff"})
_IMAGE_FILTERS: Mapping[str, Values[Image]] = {"image-id": lambda image: [image.id]}
_SNAPSHOT_FILTERS: Mapping[str, Values[Snapshot]] = {
    "snapshot-id": lambda snapshot: [snapshot.id],
    "volume-id": lambda snapshot: [snapshot.volume_id],
}


def describe_images(world: World, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Disabled images are shown only on request.

    Answers are eventually consistent: one may leave out what exists
    (https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html).
    """
    hidden = set() if parameters.get("IncludeDisabled") else {"disabled"}
    shown = [
        one
        for one in world.library.images.values()
        if one.state not in hidden and one.id not in world.library.late
    ]
    found = select(shown, parameters.get("Filters", []), _IMAGE_FILTERS, lambda one: one.tags)
    some, token = page(found, lambda one: one.sequence, parameters)
    return {"Images": [_image(world, one) for one in some], "NextToken": token}


def describe_snapshots(world: World, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    found = select(
        [one for one in world.library.snapshots.values() if one.id not in world.library.late],
        parameters.get("Filters", []),
        _SNAPSHOT_FILTERS,
        lambda one: one.tags,
    )
    some, token = page(found, lambda one: one.sequence, parameters)
    return {"Snapshots": [_snapshot(world, one) for one in some], "NextToken": token}


def describe_volumes(world: World, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """By their ids, hidden ones as well
    (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html, InvalidVolume.NotFound)."""
    if wanted := parameters.get("VolumeIds"):
        if unknown := [one for one in wanted if one not in world.library.volumes]:
            text = f"The volume '{', '.join(unknown)}' does not exist."
            raise AwsError("InvalidVolume.NotFound", text)
        return {"Volumes": [{"VolumeId": one} for one in wanted]}
    ids = sorted(world.library.volumes - _hidden(world, parameters) - world.library.late)
    some, token = page(list(enumerate(ids)), lambda pair: pair[0], parameters, largest=500)
    return {"Volumes": [{"VolumeId": one} for _, one in some], "NextToken": token}


def describe_locked_snapshots(world: World, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Expired locks are shown, too."""
    locks = [{"SnapshotId": key, "LockState": state} for key, state in world.library.locks.items()]
    return {"Snapshots": locks}


def deregister_image(world: World, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    library, image_id = world.library, parameters["ImageId"]
    image = library.images.get(image_id)
    if image is None:
        raise errors.no_such_image(library.deregistered, image_id)
    _check_tags(world, "ec2:DeregisterImage", image_id, image.tags)
    if any(key.startswith("aws:backup:") for key in image.tags):
        raise AwsError("AuthFailure", "This image is managed by AWS Backup", status=403)
    if parameters.get("DryRun"):
        raise errors.dry_run()
    if image.protection != "disabled":
        raise AwsError("OperationNotPermitted", f"{image_id} is protected from deregistration")
    del library.images[image_id]
    library.deregistered.append(image_id)
    if parameters.get("DeleteAssociatedSnapshots"):
        raise AwsError("EmulatorError", "DeleteAssociatedSnapshots is not implemented")
    return {"Return": True}


def delete_snapshot(world: World, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    library, snapshot_id = world.library, parameters["SnapshotId"]
    snapshot = library.snapshots.get(snapshot_id)
    if snapshot is None:
        raise AwsError("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")
    _check_tags(world, "ec2:DeleteSnapshot", snapshot_id, snapshot.tags)
    if parameters.get("DryRun"):
        raise errors.dry_run()
    if holders := library.holders(snapshot_id):
        raise AwsError(
            "InvalidSnapshot.InUse", f"The snapshot {snapshot_id} is in use by {holders[0]}"
        )
    if library.locks.get(snapshot_id) in _LOCKED:
        raise AwsError("SnapshotLocked", f"The snapshot {snapshot_id} is locked")
    del library.snapshots[snapshot_id]
    library.deleted.append(snapshot_id)
    return {}


def describe_image_references(world: World, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Instances, launch templates, parameters and recipes; no launch configurations."""
    wanted = parameters["ImageIds"]
    if len(wanted) > REFERENCES_AT_ONCE:
        raise AwsError("InvalidParameterValue", "Too many images")
    users = [
        ("ec2:Instance", f"instance/{one.id}", one.image_id)
        for one in world.fleet.instances.values()
        if one.live
    ]
    users += [
        ("ec2:LaunchTemplate", f"launch-template/{one.id}", str(version.get("ImageId")))
        for one in world.library.templates.values()
        for version in one.versions
    ]
    users += [
        ("ssm:Parameter", f"parameter/{name}", value)
        for name, (_, value) in world.library.parameters.items()
    ]
    users += [("imagebuilder:ImageRecipe", arn, one) for arn, one in world.library.recipes.items()]
    return {
        "ImageReferences": [
            {"ImageId": image, "ResourceType": kind, "Arn": f"arn:aws:{arn}"}
            for kind, arn, image in users
            if image in wanted
        ]
    }


def describe_launch_templates(world: World, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    hidden = _hidden(world, parameters)
    shown = [one for one in world.library.templates.values() if one.id not in hidden]
    some, token = _templates(shown, parameters)
    return {
        "LaunchTemplates": [
            {
                "LaunchTemplateId": one.id,
                "LaunchTemplateName": one.id,
                "LatestVersionNumber": len(one.versions),
            }
            for one in some
        ],
        "NextToken": token,
    }


def describe_launch_template_versions(
    world: World, parameters: Mapping[str, Any]
) -> Mapping[str, Any]:
    """All versions of one template, or the latest version of each."""
    if "LaunchTemplateId" in parameters:
        asked = parameters["LaunchTemplateId"]
        if asked not in world.library.templates:
            raise AwsError(
                "InvalidLaunchTemplateId.NotFound",
                f"The specified launch template, with template ID {asked}, does not exist.",
            )
        one = world.library.templates[asked]
        numbered = [(number, one, number) for number in range(1, len(one.versions) + 1)]
    elif parameters.get("Versions") == ["$Latest"]:
        hidden = _hidden(world, parameters)
        every = [one for one in world.library.templates.values() if one.id not in hidden]
        numbered = [(one.sequence, one, len(one.versions)) for one in every]
    else:
        raise AwsError("MissingParameter", "Name a template, or ask for $Latest")
    some, token = page(numbered, lambda each: each[0], parameters, smallest=1, largest=200)
    return {
        "LaunchTemplateVersions": [
            {
                "LaunchTemplateId": one.id,
                "VersionNumber": number,
                "LaunchTemplateData": dict(one.versions[number - 1]),
            }
            for _, one, number in some
        ],
        "NextToken": token,
    }


def _hidden(world: World, parameters: Mapping[str, Any]) -> set[str]:
    """What a service manages is left out of lists unless it is asked for
    (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/amazon-ec2-managed-instances.html)."""
    return set() if parameters.get("IncludeManagedResources") else world.library.hidden


def _templates(
    templates: list[Template], parameters: Mapping[str, Any]
) -> tuple[list[Template], str | None]:
    return page(templates, lambda one: one.sequence, parameters, smallest=1, largest=200)


def _check_tags(world: World, action: str, item_id: str, tags: Mapping[str, str]) -> None:
    policy = world.policy
    allowed = all(tags.get(key) == value for key, value in policy.required_tags.items())
    if item_id in policy.denied_ids or not allowed:
        raise AwsError("UnauthorizedOperation", f"You are not authorized: {action} on {item_id}")


def _image(world: World, image: Image) -> dict[str, Any]:
    return {
        **life_size_images.image(image, world.region),
        "ImageId": image.id,
        "OwnerId": world.account,
        "CreationDate": _text(image.created_at),
        "State": image.state,
        "Public": image.public,
        "LastLaunchedTime": None if image.launched_at is None else _text(image.launched_at),
        "DeregistrationProtection": image.protection,
        "SourceImageId": image.source,
        "BlockDeviceMappings": [
            {
                "DeviceName": f"/dev/sd{chr(97 + number)}",
                "Ebs": {**life_size_images.DISK, "SnapshotId": one},
            }
            for number, one in enumerate(image.snapshots)
        ],
        "Tags": tag_list(image.tags) or None,
    }


def _snapshot(world: World, snapshot: Snapshot) -> dict[str, Any]:
    until = snapshot.restored_until
    return {
        **life_size_images.SNAPSHOT,
        "SnapshotId": snapshot.id,
        "OwnerId": world.account,
        "Description": snapshot.description or f"Created by CreateImage for {snapshot.volume_id}",
        "StartTime": as_datetime(snapshot.started_at),
        "CompletionTime": as_datetime(snapshot.started_at + 600),
        "State": snapshot.state,
        "VolumeId": snapshot.volume_id,
        "VolumeSize": snapshot.size,
        "StorageTier": snapshot.tier,
        "RestoreExpiryTime": None if until is None else as_datetime(until),
        "Tags": tag_list(snapshot.tags) or None,
    }


def _text(at: float) -> str:
    return as_datetime(at).strftime("%Y-%m-%dT%H:%M:%S.000Z")


OPERATIONS: Mapping[str, Handler] = {
    "DescribeImages": describe_images,
    "DescribeSnapshots": describe_snapshots,
    "DescribeVolumes": describe_volumes,
    "DescribeLockedSnapshots": describe_locked_snapshots,
    "DeregisterImage": deregister_image,
    "DeleteSnapshot": delete_snapshot,
    "DescribeImageReferences": describe_image_references,
    "DescribeLaunchTemplates": describe_launch_templates,
    "DescribeLaunchTemplateVersions": describe_launch_template_versions,
}
