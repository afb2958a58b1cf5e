"""EC2's images and snapshots, read over boto3."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from handler.aws.errors import AwsError, ErrorKind
from handler.aws.lists import managed_too, read_all, sound
from handler.images.model import Image, Kind, Snapshot
from handler.images.references import ids_in

PAGE = 1000
"""Items of one page (EC2 API, MaxResults)."""
VOLUMES_PAGE = 500
"""DescribeVolumes and DescribeLockedSnapshots give no more at once."""
FILTER_VALUES = 200
"""Values of one filter (EC2 API, Filter)."""
UNPROTECTED = frozenset({"", "disabled"})
"""`DeregistrationProtection` as long as there is none; after it was switched off with a cool-down it
says "disabled after" some time, and holds until then (EC2 User Guide, deregistration protection)."""
DEREGISTERED = "deregistered"
"""Such an image is shown for a short while (EC2 API, DescribeImages)."""
UNREADABLE = datetime.max.replace(tzinfo=UTC)
"""Stands for a last launch at a time that cannot be read: it counts as launched just now."""
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Ec2Inventory:
    """The account's own images, snapshots and volumes in the function's region.

    Args:
        ec2: the client.
        time_left: seconds in which EC2 may still be asked.
    """

    ec2: Any
    time_left: Callable[[], float]

    def images(self) -> tuple[Image, ...] | AwsError:
        """Every image, disabled ones too: each holds its snapshots. Deprecated ones are shown anyway."""
        found = read_all(
            self.ec2,
            "describe_images",
            "Images",
            self.time_left,
            Owners=["self"],
            IncludeDisabled=True,
            MaxResults=PAGE,
        )
        return found if isinstance(found, AwsError) else tuple(_image(raw) for raw in found)

    def snapshots(self) -> tuple[Snapshot, ...] | AwsError:
        """Every snapshot."""
        found = read_all(
            self.ec2,
            "describe_snapshots",
            "Snapshots",
            self.time_left,
            OwnerIds=["self"],
            MaxResults=PAGE,
        )
        return found if isinstance(found, AwsError) else tuple(_snapshot(raw) for raw in found)

    def volumes(self) -> frozenset[str] | AwsError:
        """Every volume's id."""
        found = read_all(
            self.ec2,
            "describe_volumes",
            "Volumes",
            self.time_left,
            MaxResults=VOLUMES_PAGE,
            **managed_too(self.ec2, "describe_volumes"),
        )
        if isinstance(found, AwsError):
            return found
        return frozenset(raw["VolumeId"] for raw in found)

    def locked(self) -> frozenset[str] | AwsError:
        """The snapshots locked against deletion; where EC2 has no such call it has no locks."""
        found = read_all(
            self.ec2,
            "describe_locked_snapshots",
            "Snapshots",
            self.time_left,
            MaxResults=VOLUMES_PAGE,
        )
        if isinstance(found, AwsError):
            return frozenset() if found.kind is ErrorKind.NO_SUCH_CALL else found
        return frozenset(raw["SnapshotId"] for raw in found if raw.get("LockState") != "expired")

    def now(self, kind: Kind, item_id: str) -> Image | Snapshot | AwsError | None:
        """One item as it is at this moment; None when it is gone."""
        return sound(lambda: self._now(kind, item_id))

    def _now(self, kind: Kind, item_id: str) -> Image | Snapshot | AwsError | None:
        operation, key, name, scope, read = _ASKED[kind]
        filters = [{"Name": name, "Values": [item_id]}]
        found = read_all(self.ec2, operation, key, self.time_left, Filters=filters, **scope)
        if isinstance(found, AwsError):
            return found
        return next((read(raw) for raw in found if raw.get("State") != DEREGISTERED), None)

    def present(
        self, images: Collection[str], snapshots: Collection[str]
    ) -> frozenset[str] | AwsError:
        """Which of these ids are still there; by filter, so that unknown ids are just absent."""
        return sound(lambda: self._present(images, snapshots))

    def _present(
        self, images: Collection[str], snapshots: Collection[str]
    ) -> frozenset[str] | AwsError:
        there: set[str] = set()
        for kind, attribute, ids in (
            (Kind.IMAGE, "ImageId", sorted(images)),
            (Kind.SNAPSHOT, "SnapshotId", sorted(snapshots)),
        ):
            operation, key, name, scope, _ = _ASKED[kind]
            for start in range(0, len(ids), FILTER_VALUES):
                filters = [{"Name": name, "Values": ids[start : start + FILTER_VALUES]}]
                found = read_all(self.ec2, operation, key, self.time_left, Filters=filters, **scope)
                if isinstance(found, AwsError):
                    return found
                there |= {raw[attribute] for raw in found if raw.get("State") != DEREGISTERED}
        return frozenset(there)


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
        source=raw.get("SourceImageId"),
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
        # While it is restored for a time its tier is `standard`, and it goes back by itself
        # (https://docs.aws.amazon.com/ebs/latest/userguide/restore-archived-snapshot.html).
        archived=raw.get("StorageTier") == "archive" or "RestoreExpiryTime" in raw,
        named=frozenset(ids_in(raw.get("Description", ""))),
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


_ASKED: Mapping[Kind, tuple[str, str, str, dict[str, bool], Callable[..., Image | Snapshot]]] = {
    Kind.IMAGE: ("describe_images", "Images", "image-id", {"IncludeDisabled": True}, _image),
    Kind.SNAPSHOT: ("describe_snapshots", "Snapshots", "snapshot-id", {}, _snapshot),
}
"""How single items are asked for: operation, field, filter, what else; and how one is read."""
