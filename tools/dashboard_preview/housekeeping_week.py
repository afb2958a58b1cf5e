"""The housekeeping function's week: backups that age, and what must not go."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import time_machine

from backend.quirks import Quirks
from handler.housekeeping import lambda_handler
from local.stack import MANAGED, Stack, run_stack
from tools.dashboard_preview.stage import START, Event, Stage, alone
from tools.dashboard_preview.widgets import Recorded

AGENT = "agent-1"
IMAGES, SNAPSHOTS = 40, 20
"""One a day was made before the week begins; images go after 30 days, snapshots after 7."""


def record(interval: timedelta) -> tuple[Recorded, int]:
    """Play the week on a stack of its own; also how many runs it were.

    The clock of the whole process is set: the handler, the backend and AWS live by it.
    """
    with time_machine.travel(START, tick=True) as clock, run_stack(agent_id=AGENT) as stack:
        (instance,) = stack.launch()
        with alone(stack, "amis"), alone(stack, "snapshots"):
            volume = stack.ec2.create_volume(AvailabilityZone="us-east-1a", Size=8)["VolumeId"]
            _past(stack, clock, instance, volume)
            environment = stack.environment(MAX_DELETIONS_PER_RUN="5")
            stage = Stage("HousekeepingFunction", lambda_handler, stack, clock, environment)
            return stage.play(list(_story(volume)), interval), stage.runs


def _past(stack: Stack, clock: time_machine.Traveller, instance: str, volume: str) -> None:
    for days in range(IMAGES, 0, -1):
        clock.move_to(START - timedelta(days=days, hours=-9))
        if days <= SNAPSHOTS:
            _snapshot(stack, volume)
        more = {"DoNotTerminate": "golden"} if days == IMAGES else {}
        image = _image(stack, instance, f"nightly-{days}", **more)
        if days == IMAGES - 1:  # one that a launch template names, and so may be launched again
            stack.ec2.create_launch_template(
                LaunchTemplateName=f"workers-{image}", LaunchTemplateData={"ImageId": image}
            )


def _story(volume: str) -> Iterator[Event]:
    for day in range(7):
        yield Event(timedelta(days=day, hours=9), lambda stage: _snapshot(stage.stack, volume))
    down, up = Quirks(database_down=True), Quirks()
    yield Event(timedelta(days=3, hours=8, minutes=30), lambda s: s.stack.operator.set_quirks(down))
    yield Event(timedelta(days=3, hours=12, minutes=30), lambda s: s.stack.operator.set_quirks(up))


def _image(stack: Stack, instance: str, name: str, **tags: str) -> str:
    image: str = stack.ec2.create_image(
        InstanceId=instance,
        Name=name,
        TagSpecifications=_tags("image", SourceInstance="i-1", **tags),
    )["ImageId"]
    return image


def _snapshot(stack: Stack, volume: str) -> None:
    stack.ec2.create_snapshot(VolumeId=volume, TagSpecifications=_tags("snapshot"))


def _tags(kind: str, **more: str) -> Any:  # noqa: ANN401 - boto3's own type
    tags = {**MANAGED, **more}
    return [{"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}]
