"""EC2's images and snapshots, over boto3."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from handler.aws import error_codes
from handler.aws.errors import AwsError, ErrorKind
from handler.aws.lists import read_all
from handler.aws.retry import Patience
from handler.images.model import Image, Removed, Snapshot

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

PAGE = 1000
"""Items of one page (EC2 API, MaxResults)."""
VOLUMES_PAGE = 500
"""DescribeVolumes and DescribeLockedSnapshots give no more at once."""
FILTER_VALUES = 200
"""Values of one filter (EC2 API, Filter)."""
UNPROTECTED = frozenset({"", "disabled"})
"""`DeregistrationProtection` as long as there is none; after it was switched off with a cool-down it
says "disabled after" some time, and holds until then (EC2 User Guide, deregistration protection)."""
UNREADABLE = datetime.max.replace(tzinfo=UTC)
"""Stands for a last launch at a time that cannot be read: it counts as launched just now."""
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Ec2Estate:
    """The port `Estate`: one item a call when deleting, 1,000 a call when looking.

    Args:
        ec2: the client for the function's own region; it makes each call once.
        patience: makes the calls of a look-up again, page by page.
    """

    ec2: EC2Client
    patience: Patience

    def images(self) -> tuple[Image, ...] | AwsError:
        """DescribeImages of the account's own; deprecated ones are shown to their owner anyway."""
        found = read_all(
            self.patience,
            self.ec2.describe_images,
            "Images",
            Owners=["self"],
            IncludeDisabled=True,
            MaxResults=PAGE,
        )
        return found if isinstance(found, AwsError) else tuple(_image(raw) for raw in found)

    def snapshots(self) -> tuple[Snapshot, ...] | AwsError:
        """DescribeSnapshots of the account's own."""
        found = read_all(
            self.patience,
            self.ec2.describe_snapshots,
            "Snapshots",
            OwnerIds=["self"],
            MaxResults=PAGE,
        )
        return found if isinstance(found, AwsError) else tuple(_snapshot(raw) for raw in found)

    def volumes(self) -> frozenset[str] | AwsError:
        """DescribeVolumes."""
        found = read_all(
            self.patience, self.ec2.describe_volumes, "Volumes", MaxResults=VOLUMES_PAGE
        )
        if isinstance(found, AwsError):
            return found
        return frozenset(raw["VolumeId"] for raw in found)

    def locked(self) -> frozenset[str] | AwsError:
        """DescribeLockedSnapshots; where there is none there are no locks, and EC2 keeps them anyhow."""
        found = read_all(
            self.patience, self.ec2.describe_locked_snapshots, "Snapshots", MaxResults=VOLUMES_PAGE
        )
        if isinstance(found, AwsError):
            return frozenset() if found.kind is ErrorKind.NO_SUCH_CALL else found
        return frozenset(raw["SnapshotId"] for raw in found if raw.get("LockState") != "expired")

    def present(
        self, images: Collection[str], snapshots: Collection[str]
    ) -> frozenset[str] | AwsError:
        """By filter, so that unknown ids are just absent."""
        there: set[str] = set()
        for call, key, name, attribute, ids in (
            (self.ec2.describe_images, "Images", "image-id", "ImageId", sorted(images)),
            (
                self.ec2.describe_snapshots,
                "Snapshots",
                "snapshot-id",
                "SnapshotId",
                sorted(snapshots),
            ),
        ):
            scope = {"IncludeDisabled": True} if key == "Images" else {}
            for start in range(0, len(ids), FILTER_VALUES):
                chunk = ids[start : start + FILTER_VALUES]
                filters = [{"Name": name, "Values": chunk}]
                found = read_all(self.patience, call, key, Filters=filters, **scope)
                if isinstance(found, AwsError):
                    return found
                # A deregistered image is shown for a short while (EC2 API, DescribeImages).
                there |= {raw[attribute] for raw in found if raw.get("State") != "deregistered"}
        return frozenset(there)

    def deregister(
        self, image_id: str, *, with_snapshots: bool, dry_run: bool
    ) -> Removed | AwsError:
        """DeregisterImage, once."""
        try:
            answer = self.ec2.deregister_image(
                ImageId=image_id, DeleteAssociatedSnapshots=with_snapshots, DryRun=dry_run
            )
        except error_codes.SDK_ERRORS as error:
            return _unless_dry_run(error_codes.read(error))
        results = answer.get("DeleteSnapshotResults") or []
        return Removed(
            {one["SnapshotId"]: one.get("ReturnCode", "unknown") for one in results},
            answer["ResponseMetadata"].get("RequestId"),
        )

    def delete_snapshot(self, snapshot_id: str, *, dry_run: bool) -> Removed | AwsError:
        """DeleteSnapshot, once."""
        try:
            answer = self.ec2.delete_snapshot(SnapshotId=snapshot_id, DryRun=dry_run)
        except error_codes.SDK_ERRORS as error:
            return _unless_dry_run(error_codes.read(error))
        return Removed({}, answer["ResponseMetadata"].get("RequestId"))


def _unless_dry_run(error: AwsError) -> Removed | AwsError:
    if error.code == error_codes.DRY_RUN_ALLOWED:
        return Removed({}, error.request_id)
    return error


def _image(raw: Mapping[str, Any]) -> Image:
    launched = raw.get("LastLaunchedTime")
    return Image(
        image_id=raw["ImageId"],
        created=_moment(raw.get("CreationDate")),
        tags=_tags(raw),
        state=raw.get("State", "unknown"),
        last_launched=(_moment(launched) or UNREADABLE) if launched else None,
        protected=raw.get("DeregistrationProtection", "") not in UNPROTECTED,
        public=bool(raw.get("Public", False)),
        owner_alias=raw.get("ImageOwnerAlias"),
        snapshots=tuple(
            one["Ebs"]["SnapshotId"]
            for one in raw.get("BlockDeviceMappings") or []
            if one.get("Ebs", {}).get("SnapshotId")
        ),
    )


def _snapshot(raw: Mapping[str, Any]) -> Snapshot:
    size = raw.get("FullSnapshotSizeInBytes")
    return Snapshot(
        snapshot_id=raw["SnapshotId"],
        started=_moment(raw.get("StartTime")),
        tags=_tags(raw),
        state=raw.get("State", "unknown"),
        volume_id=raw.get("VolumeId") or "",
        gigabytes=size / GIB if size else float(raw.get("VolumeSize") or 0),
        archived=raw.get("StorageTier") == "archive",
    )


def _tags(raw: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in raw.get("Tags") or []}


def _moment(value: object) -> datetime | None:
    """A time with its zone; images' times are text (EC2 API, Image)."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)
