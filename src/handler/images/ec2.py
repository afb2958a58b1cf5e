"""EC2's images and snapshots, read over boto3."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from handler.aws.error_codes import MAYBE_MISSING
from handler.aws.errors import AwsError, ErrorKind
from handler.aws.lists import ask, each_of, read_all, sound
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
NOT_SHOWN = AwsError("NotShown", "EC2 knows it, and does not list it now", ErrorKind.THROTTLED)
"""Of an item that a listing leaves out, though it exists."""
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
            IncludeManagedResources=True,
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
        """One item as it is at this moment; None when it is gone, by the proof of `still_there`."""
        return sound(lambda: self._now(kind, item_id))

    def _now(self, kind: Kind, item_id: str) -> Image | Snapshot | AwsError | None:
        shown = self._shown(kind, [item_id])
        if isinstance(shown, AwsError):
            return shown
        if (one := shown.get(item_id)) is not None:
            return None if one.state == DEREGISTERED else one
        exists = self._exists(kind, item_id)
        return NOT_SHOWN if exists is True else exists or None

    def still_there(
        self, images: Collection[str], snapshots: Collection[str]
    ) -> dict[str, bool | AwsError]:
        """Whether each of these exists, or why that cannot be said.

        What a listing leaves out may exist all the same, and after a deregistration DescribeImages
        answers with nothing for days, also by id (EC2 API, DescribeImages). So what is not shown is
        asked for its permissions: EC2 names there what it does not know. MISSING: it says what it says
        of a deregistered image, and may say of another.
        """
        found: dict[str, bool | AwsError] = {}
        for kind, ids in ((Kind.IMAGE, sorted(images)), (Kind.SNAPSHOT, sorted(snapshots))):
            for start in range(0, len(ids), FILTER_VALUES):
                some = ids[start : start + FILTER_VALUES]
                found |= self._fates(kind, some)
        return found

    def _fates(self, kind: Kind, ids: Sequence[str]) -> dict[str, bool | AwsError]:
        shown = sound(lambda: self._shown(kind, ids))
        if isinstance(shown, AwsError):
            return dict.fromkeys(ids, shown)
        fates: dict[str, bool | AwsError] = {
            key: one.state != DEREGISTERED for key, one in shown.items()
        }
        left_out = [one for one in ids if one not in fates]
        answers = each_of(lambda one: self._exists(kind, one), left_out, self.time_left)
        if isinstance(answers, AwsError):
            return {**dict.fromkeys(left_out, answers), **fates}
        return fates | dict(answers)

    def _shown(self, kind: Kind, ids: Sequence[str]) -> dict[str, Image | Snapshot] | AwsError:
        calls = _CALLS[kind]
        found = read_all(
            self.ec2,
            calls.describe,
            calls.items,
            self.time_left,
            Filters=[{"Name": calls.filter, "Values": list(ids)}],
            **calls.scope,
        )
        if isinstance(found, AwsError):
            return found
        return {raw[calls.item_id]: calls.read(raw) for raw in found}

    def _exists(self, kind: Kind, item_id: str) -> bool | AwsError:
        answer = permissions(self.ec2, kind, item_id, self.time_left)
        if isinstance(answer, AwsError):
            gone = answer.kind is ErrorKind.MISSING and answer.code not in MAYBE_MISSING
            return False if gone else answer
        return True


def permissions(
    ec2: Any,  # noqa: ANN401 - boto3 makes the class at run time
    kind: Kind,
    item_id: str,
    time_left: Callable[[], float],
) -> list[dict[str, str]] | AwsError:
    """Who outside may use one image or snapshot; MISSING where EC2 does not know it.

    DescribeImageAttribute and DescribeSnapshotAttribute tell it of one item a call.
    """
    calls = _CALLS[kind]
    given = {calls.item_id: item_id, "Attribute": calls.attribute}
    answer = ask(ec2, calls.describe_attribute, calls.permissions, time_left, **given)
    return answer if isinstance(answer, AwsError) else list(answer[calls.permissions])


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
        volume_gigabytes=raw.get("VolumeSize"),
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


@dataclass(frozen=True, slots=True)
class _Calls:
    """How single items are asked for, and how one is read."""

    describe: str
    items: str
    item_id: str
    filter: str
    scope: Mapping[str, bool]
    read: Callable[[Mapping[str, Any]], Image | Snapshot]
    describe_attribute: str
    attribute: str
    permissions: str


_CALLS: Mapping[Kind, _Calls] = {
    Kind.IMAGE: _Calls(
        "describe_images",
        "Images",
        "ImageId",
        "image-id",
        {"IncludeDisabled": True},
        _image,
        "describe_image_attribute",
        "launchPermission",
        "LaunchPermissions",
    ),
    Kind.SNAPSHOT: _Calls(
        "describe_snapshots",
        "Snapshots",
        "SnapshotId",
        "snapshot-id",
        {},
        _snapshot,
        "describe_snapshot_attribute",
        "createVolumePermission",
        "CreateVolumePermissions",
    ),
}
