"""Writes `src/handler/aws/models`: as much of AWS's service models as the functions use.

Lambda's runtime brings a boto3 of its own choice, and reads the whole model of a service to make a
client: EC2's has 700 operations, and each answer is searched for each of its members. The functions
bring the part of the models that they use. So they make their calls with the parameters that they
were tested with, whichever boto3 there is, and start faster (docs/performance.md).

The models are botocore's (Apache-2.0), by the version in requirements-dev.txt; `make models` writes
them after `make lock`, and a test holds them to that version.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from botocore.loaders import Loader

from handler.aws.service_models import MODELS

OPERATIONS = {
    "autoscaling": (
        "DescribeAutoScalingGroups",
        "DescribeAutoScalingInstances",
        "DescribeLaunchConfigurations",
        "TerminateInstanceInAutoScalingGroup",
    ),
    "dynamodb": (
        "DeleteItem",
        "GetItem",
        "PutItem",
        "TransactWriteItems",
        "UpdateItem",
    ),
    "ec2": (
        "CancelSpotInstanceRequests",
        "DeleteSnapshot",
        "DeregisterImage",
        "DescribeFastSnapshotRestores",
        "DescribeFleets",
        "DescribeImageAttribute",
        "DescribeImageReferences",
        "DescribeImages",
        "DescribeInstanceAttribute",
        "DescribeInstances",
        "DescribeLaunchTemplateVersions",
        "DescribeLaunchTemplates",
        "DescribeLockedSnapshots",
        "DescribeSnapshotAttribute",
        "DescribeSnapshots",
        "DescribeSpotFleetRequests",
        "DescribeSpotInstanceRequests",
        "DescribeVolumes",
        "TerminateInstances",
    ),
    "ssm": ("DescribeParameters", "GetParameter", "GetParameters"),
}
"""The services that every run, or every run that acts, makes clients of; the others' models are boto3's own."""
MEMBERS = {
    "ec2": {
        "Instance": (
            "ImageId",
            "InstanceId",
            "Operator",
            "Placement",
            "SpotInstanceRequestId",
            "State",
            "StateReason",
            "StateTransitionReason",
            "Tags",
        ),
        "Placement": ("AvailabilityZone",),
        "Image": (
            "BlockDeviceMappings",
            "CreationDate",
            "DeregistrationProtection",
            "ImageId",
            "ImageOwnerAlias",
            "LastLaunchedTime",
            "Public",
            "SourceImageId",
            "State",
            "Tags",
        ),
        "Snapshot": (
            "Description",
            "FullSnapshotSizeInBytes",
            "RestoreExpiryTime",
            "SnapshotId",
            "StartTime",
            "State",
            "StorageTier",
            "Tags",
            "VolumeId",
            "VolumeSize",
        ),
        "Volume": ("VolumeId",),
    }
}
"""What is read of the things of which there are thousands; of all others everything is."""
UNUSED = frozenset(
    {
        *("deprecatedMessage", "documentation", "documentationUrl", "examples"),
        # What finds tables' ARNs in each request, for an endpoint of their account: ours are names.
        "operationContextParams",
    }
)


def main() -> None:
    """Write every model."""
    for service in OPERATIONS:
        path = place(service)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(service))
        print(f"{path.relative_to(MODELS)}: {path.stat().st_size:,} bytes")


def place(service: str) -> Path:
    """Where botocore looks for it, below a `data_path`."""
    version = _botocore().determine_latest_version(service, "service-2")
    return MODELS / service / version / "service-2.json"


def text(service: str) -> str:
    """The model as it stands in its file: a line for each operation and shape."""
    model = _used(_botocore().load_service_model(service, "service-2"), service)
    parts = (
        f"{json.dumps(key)}:" + _lines(value) if isinstance(value, dict) else _pair(key, value)
        for key, value in sorted(model.items())
    )
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _used(full: Mapping[str, Any], service: str) -> dict[str, Any]:
    operations = {name: _plain(full["operations"][name]) for name in OPERATIONS[service]}
    shapes = {name: _plain(shape) for name, shape in full["shapes"].items()}
    for name, members in MEMBERS.get(service, {}).items():
        shapes[name]["members"] = {one: shapes[name]["members"][one] for one in members}
    reached: dict[str, Any] = {}
    waiting = list(_named(operations))
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached[name] = shapes[name]
            waiting += _named(shapes[name])
    return {**_plain(dict(full)), "operations": operations, "shapes": reached}


def _named(part: Any) -> Iterator[str]:  # noqa: ANN401 - any part of a model
    """Every shape that it refers to."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "shape" and isinstance(value, str):
                yield value
            else:
                yield from _named(value)
    elif isinstance(part, list):
        for one in part:
            yield from _named(one)


def _plain(part: Any) -> Any:  # noqa: ANN401 - as above
    """Without what is of no use here. A member may bear such a name: its value is an object."""
    if isinstance(part, dict):
        return {
            key: _plain(value)
            for key, value in part.items()
            if key not in UNUSED or (isinstance(value, dict) and "shape" in value)
        }
    return [_plain(one) for one in part] if isinstance(part, list) else part


def _lines(value: Mapping[str, Any]) -> str:
    return "{\n" + ",\n".join(_pair(*pair) for pair in sorted(value.items())) + "\n}"


def _pair(key: str, value: Any) -> str:  # noqa: ANN401 - as above
    return f"{json.dumps(key)}:{json.dumps(value, separators=(',', ':'), sort_keys=True)}"


def _botocore() -> Loader:
    """The models that botocore brings, whatever else is on its path."""
    return Loader([Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)


if __name__ == "__main__":
    main()
