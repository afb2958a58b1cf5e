"""The function against moto over sockets: the fallbacks for what an endpoint does not have."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends

from backend.client import OperatorClient
from backend.server import run_backend
from handler.housekeeping import lambda_handler
from local.invoke import Invocation, invoke
from local.stack import Stack, new_agent

ACCOUNT = "123456789012"


@pytest.fixture
def stack(moto_url: str) -> Iterator[Stack]:
    """An agent of its own in the session's account, and a tag by which it knows what is its own."""
    with run_backend("sqlite:///:memory:") as url, OperatorClient(url) as operator:
        yield new_agent(moto_url, url, operator)


def _tagged(stack: Stack, kind: str) -> Any:
    return [{"ResourceType": kind, "Tags": [{"Key": "ManagedBy", "Value": stack.agent_id}]}]


def _run(stack: Stack, **variables: str) -> Invocation:
    required = f"ManagedBy={stack.agent_id}"
    return invoke(lambda_handler, stack.environment(REQUIRED_TAGS=required, **variables))


def _image(stack: Stack, name: str, *, age_days: float) -> str:
    (instance,) = stack.launch(tags={})
    image = stack.ec2.create_image(
        InstanceId=instance, Name=name, TagSpecifications=_tagged(stack, "image")
    )["ImageId"]
    moto: Any = ec2_backends[ACCOUNT][stack.region]
    moto.amis[image].creation_date = utcnow() - timedelta(days=age_days)
    return image


def _snapshot(stack: Stack, volume: str, *, age_days: float) -> str:
    snapshot = stack.ec2.create_snapshot(
        VolumeId=volume, TagSpecifications=_tagged(stack, "snapshot")
    )["SnapshotId"]
    moto: Any = ec2_backends[ACCOUNT][stack.region]
    moto.snapshots[snapshot].start_time = utcnow() - timedelta(days=age_days)
    return snapshot


def test_old_and_unused_goes_and_the_rest_stays(stack: Stack) -> None:
    unused, young, used = (
        _image(stack, "unused", age_days=40),
        _image(stack, "young", age_days=3),
        _image(stack, "in-a-template", age_days=40),
    )
    template = stack.ec2.create_launch_template(
        LaunchTemplateName="workers", LaunchTemplateData={"ImageId": used}
    )["LaunchTemplate"]["LaunchTemplateId"]
    stack.ec2.create_launch_template_version(
        LaunchTemplateId=template, LaunchTemplateData={"ImageId": young}
    )
    volume = stack.ec2.create_volume(AvailabilityZone="us-east-1a", Size=8)["VolumeId"]
    old, newest = (_snapshot(stack, volume, age_days=age) for age in (20, 10))
    done = _run(stack)
    assert done.returned["images_deregistered"] == 1
    assert done.returned["kept"]["in_use"] == 1
    there = {one["ImageId"] for one in stack.ec2.describe_images(Owners=["self"])["Images"]}
    assert {unused, young, used} & there == {young, used}
    (log,) = stack.operator.cleanup_logs(stack.agent_id)
    assert log["details"]["amis"]["deleted_amis"] == [unused]
    assert log["details"]["snapshots"]["deleted"] == [old]
    assert stack.ec2.describe_snapshots(SnapshotIds=[newest])["Snapshots"]


def test_a_dry_run_leaves_everything_in_place(stack: Stack) -> None:
    image = _image(stack, "unused", age_days=40)
    done = _run(stack, DRY_RUN="true")
    (entry,) = done.returned["plan"]
    assert (entry["id"], entry["goes"]) == (image, True)
    assert entry["recycle_bin"] == "no rule keeps it: it is gone for good"
    assert stack.ec2.describe_images(ImageIds=[image])["Images"]
