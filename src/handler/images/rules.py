"""The rules by which an image or a snapshot stays, in order: each is one look at the facts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from handler.aws.errors import AwsError
from handler.images.model import SOURCE_TAG, Image, Snapshot
from handler.images.retention_view import View
from handler.images.verdict import Reason

LAUNCH_MARGIN = timedelta(hours=48)
"""`LastLaunchedTime` lags by 24 hours (EC2 API, Image); twice that is kept clear."""
MANAGED_TAGS = ("aws:backup:", "aws:dlm:")
"""Keys of what AWS Backup and Data Lifecycle Manager look after; nobody else can set `aws:` tags.
EC2 refuses to delete AWS Backup's (EC2 User Guide, "Deregister an Amazon EC2 AMI")."""
BACKUP_OWNER = "aws-backup-vault"
COPIED_FROM = frozenset({"", "vol-ffffffff"})
"""The volume ids of copies: "arbitrary", and to be used for no purpose (EC2 API, Snapshot)."""

T = TypeVar("T")
Rule = Callable[[View, T], str | None]
"""Why an item stays, or None."""


def _not_ours(view: View, item: Image | Snapshot) -> str | None:
    return None if view.ours(item.tags) else "it does not bear the required tags"


def _tagged(view: View, item: Image | Snapshot) -> str | None:
    tag = view.policy.protect_tag
    return f"protected by its tag {tag}" if tag in item.tags else None


def _managed(_: View, item: Image | Snapshot) -> str | None:
    if isinstance(item, Image) and item.owner_alias == BACKUP_OWNER:
        return "AWS Backup's: delete its recovery point there"
    key = next((key for key in item.tags if key.startswith(MANAGED_TAGS)), None)
    return f"managed by an AWS service (tag {key}): it is deleted there" if key else None


def _image_state(_: View, image: Image) -> str | None:
    return None if image.state == "available" else f"its state is {image.state}"


def _young_image(view: View, image: Image) -> str | None:
    return _young(image.created, view.image_cutoff)


def _young_snapshot(view: View, snapshot: Snapshot) -> str | None:
    return _young(snapshot.started, view.snapshot_cutoff)


def _young(created: datetime | None, cutoff: datetime) -> str | None:
    if created is None:
        return "its age is not known"
    return None if created < cutoff else f"made {created.isoformat()}"


def _no_deregistration(_: View, image: Image) -> str | None:
    return "EC2's deregistration protection is on" if image.protected else None


def _latest_image(view: View, image: Image) -> str | None:
    if image.image_id not in view.latest:
        return None
    return f"one of the newest {view.policy.keep_latest_images} of {image.tags[SOURCE_TAG]}"


def _launched(view: View, image: Image) -> str | None:
    last = image.last_launched
    if last is None or last < view.image_cutoff - LAUNCH_MARGIN:
        return None
    return f"launched {last.isoformat()}"


def _public(_: View, image: Image) -> str | None:
    return "public: accounts that cannot be seen may use it" if image.public else None


def _image_user(view: View, image: Image) -> str | None:
    users = view.facts.uses.users
    return next((users[one] for one in (image.image_id, *image.snapshots) if one in users), None)


def _held_back(view: View, image: Image) -> str | None:
    """A snapshot that somebody protected protects the image that it is part of."""
    tag = view.policy.protect_tag
    for one in image.snapshots:
        if one in view.snapshots and tag in view.snapshots[one].tags:
            return f"its snapshot {one} is protected by its tag {tag}"
    return None


def _locked_parts(view: View, image: Image) -> str | None:
    locked = view.facts.locked
    if isinstance(locked, AwsError):
        return None
    return next((f"its snapshot {one} is locked" for one in image.snapshots if one in locked), None)


def _snapshot_state(_: View, snapshot: Snapshot) -> str | None:
    return None if snapshot.state == "completed" else f"its state is {snapshot.state}"


def _snapshot_user(view: View, snapshot: Snapshot) -> str | None:
    if holders := view.holders.get(snapshot.snapshot_id):
        return f"image {holders[0]}"
    return view.facts.uses.users.get(snapshot.snapshot_id)


def _archived(_: View, snapshot: Snapshot) -> str | None:
    return "somebody moved it to the archive tier" if snapshot.archived else None


def _copied(_: View, snapshot: Snapshot) -> str | None:
    return "a copy: its volume is not known" if snapshot.volume_id in COPIED_FROM else None


def _latest_snapshot(view: View, snapshot: Snapshot) -> str | None:
    volumes = view.facts.volumes
    if snapshot.snapshot_id not in view.latest or isinstance(volumes, AwsError):
        return None
    if snapshot.volume_id not in volumes:
        return None
    return f"one of the newest {view.policy.keep_latest_snapshots} of {snapshot.volume_id}"


def _locked(view: View, snapshot: Snapshot) -> str | None:
    locked = view.facts.locked
    if isinstance(locked, AwsError) or snapshot.snapshot_id not in locked:
        return None
    return "it is locked"


def _unproven(view: View, item: Image | Snapshot) -> str | None:
    failed = dict(view.facts.uses.failed)
    if isinstance(view.facts.locked, AwsError) and (isinstance(item, Snapshot) or item.snapshots):
        failed["locks"] = view.facts.locked
    if (
        isinstance(item, Snapshot)
        and isinstance(view.facts.volumes, AwsError)
        and item.snapshot_id in view.latest
    ):
        failed["volumes"] = view.facts.volumes
    if not failed:
        return None
    return "could not be looked up: " + "; ".join(f"{what} ({why})" for what, why in failed.items())


IMAGE_RULES: tuple[tuple[Reason, Rule[Image]], ...] = (
    (Reason.NOT_OURS, _not_ours),
    (Reason.PROTECTED, _tagged),
    (Reason.MANAGED, _managed),
    (Reason.NOT_READY, _image_state),
    (Reason.TOO_YOUNG, _young_image),
    (Reason.PROTECTED, _no_deregistration),
    (Reason.LATEST, _latest_image),
    (Reason.PUBLIC, _public),
    (Reason.LAUNCHED, _launched),
    (Reason.PROTECTED, _held_back),
    (Reason.IN_USE, _image_user),
    (Reason.LOCKED, _locked_parts),
    (Reason.UNPROVEN, _unproven),
)
SNAPSHOT_RULES: tuple[tuple[Reason, Rule[Snapshot]], ...] = (
    (Reason.NOT_OURS, _not_ours),
    (Reason.PROTECTED, _tagged),
    (Reason.MANAGED, _managed),
    (Reason.NOT_READY, _snapshot_state),
    (Reason.IN_USE, _snapshot_user),
    (Reason.TOO_YOUNG, _young_snapshot),
    (Reason.ARCHIVED, _archived),
    (Reason.COPIED, _copied),
    (Reason.LATEST, _latest_snapshot),
    (Reason.LOCKED, _locked),
    (Reason.UNPROVEN, _unproven),
)
