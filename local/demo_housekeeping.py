"""The demo's sixth scene: old images and snapshots, of which some may go."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends
from rich.table import Table

from handler.housekeeping import lambda_handler
from local.invoke import Invocation, invoke

if TYPE_CHECKING:
    from local.scene import Scene

ACCOUNT = "123456789012"
"""Moto's own."""


def old_images_and_snapshots(scene: Scene) -> None:
    """Scenario 6: what is old and proven unused goes, after a dry run that says so."""
    (instance,) = scene.stack.launch(tags={})
    images = {
        "unused": _image(scene, instance, "unused", age_days=60, source="i-1"),
        "in a launch template": _image(scene, instance, "in-a-template", age_days=50, source="i-1"),
        "newest of its instance": _image(scene, instance, "newest", age_days=40, source="i-1"),
        "too young": _image(scene, instance, "young", age_days=3, source="i-2"),
    }
    template = _template(scene, images["in a launch template"])
    volume = scene.stack.ec2.create_volume(AvailabilityZone="us-east-1a", Size=8)["VolumeId"]
    snapshots = {
        "older snapshot": _snapshot(scene, volume, age_days=20),
        "newest snapshot": _snapshot(scene, volume, age_days=10),
    }
    items = {**images, **snapshots}
    scene.say(f"an older version of the launch template {template} names one of the images")
    scene.say("the operator turns housekeeping on with DryRun")
    plan = {entry["id"]: entry for entry in _run(scene, DRY_RUN="true").returned["plan"]}
    shown = Table("what", "id", "goes", "because")
    for name, item in items.items():
        entry = plan[item]
        shown.add_row(name, item, "[red]yes[/]" if entry["goes"] else "no", entry["why"])
    scene.console.print(shown)
    scene.check(
        "the plan has a reason for every item", all(plan[item]["why"] for item in items.values())
    )
    scene.check("nothing is deleted by a dry run", _there(scene, items) == set(items))
    scene.say("DryRun off")
    returned = _run(scene).returned
    left = _there(scene, items)
    scene.check("the old, unused image is deregistered", "unused" not in left)
    scene.check("the older snapshot is deleted", "older snapshot" not in left)
    scene.check("everything else stays", left == set(items) - {"unused", "older snapshot"})
    (log,) = scene.stack.operator.cleanup_logs(scene.stack.agent_id)
    scene.check(
        "the database counts one image and one snapshot",
        (log["amis_deleted"], log["snapshots_deleted"]) == (1, 1),
    )
    scene.check(
        "the run says what it frees",
        returned["gigabytes_freed"] == 8,
    )


def _run(scene: Scene, **variables: str) -> Invocation:
    """Invoke the real handler; each scene's images bear a tag of its own."""
    required = f"ManagedBy={scene.stack.agent_id}"
    return invoke(lambda_handler, scene.stack.environment(REQUIRED_TAGS=required, **variables))


def _tags(scene: Scene, kind: str, **more: str) -> Any:  # noqa: ANN401 - boto3's own type
    tags = {"ManagedBy": scene.stack.agent_id, **more}
    return [
        {
            "ResourceType": kind,
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        }
    ]


def _image(scene: Scene, instance: str, name: str, *, age_days: float, source: str) -> str:
    image = scene.stack.ec2.create_image(
        InstanceId=instance,
        Name=f"{scene.stack.agent_id}-{name}",
        TagSpecifications=_tags(scene, "image", SourceInstance=source),
    )["ImageId"]
    moto: Any = ec2_backends[ACCOUNT][scene.stack.region]
    moto.amis[image].creation_date = utcnow() - timedelta(days=age_days)
    return image


def _snapshot(scene: Scene, volume: str, *, age_days: float) -> str:
    snapshot = scene.stack.ec2.create_snapshot(
        VolumeId=volume, TagSpecifications=_tags(scene, "snapshot")
    )["SnapshotId"]
    moto: Any = ec2_backends[ACCOUNT][scene.stack.region]
    moto.snapshots[snapshot].start_time = utcnow() - timedelta(days=age_days)
    return snapshot


def _template(scene: Scene, image: str) -> str:
    """A launch template whose first version names the image, and whose second one does not."""
    template = scene.stack.ec2.create_launch_template(
        LaunchTemplateName=f"workers-{scene.stack.agent_id}", LaunchTemplateData={"ImageId": image}
    )["LaunchTemplate"]["LaunchTemplateId"]
    scene.stack.ec2.create_launch_template_version(
        LaunchTemplateId=template, LaunchTemplateData={"InstanceType": "c5.large"}
    )
    return template


def _there(scene: Scene, items: dict[str, str]) -> set[str]:
    """Which of them are still there."""
    moto: Any = ec2_backends[ACCOUNT][scene.stack.region]
    return {name for name, item in items.items() if item in moto.amis or item in moto.snapshots}
