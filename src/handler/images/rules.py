"""What may be deleted, decided per image and snapshot: pure, and every verdict has its reason.

The rules stand in order, and the first that speaks decides. The one on failed look-ups comes last,
so a look-up that fails can only turn "goes" into "stays".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from handler.aws.errors import AwsError
from handler.images.bounds import LONGEST_ERROR, LONGEST_WHY, cut
from handler.images.index import Index
from handler.images.model import (
    SOURCE_TAG,
    Image,
    Inventory,
    Kind,
    Policy,
    Reason,
    Snapshot,
    Verdict,
)

LAUNCH_MARGIN = timedelta(hours=48)
"""`LastLaunchedTime` lags by 24 hours (EC2 API, Image); twice that is kept clear."""
MANAGED_TAGS = ("aws:backup:", "aws:dlm:")
"""Keys of what AWS Backup and Data Lifecycle Manager look after; nobody else can set `aws:` tags.
EC2 refuses to delete AWS Backup's (EC2 User Guide, "Deregister an Amazon EC2 AMI")."""
BACKUP_OWNER = "aws-backup-vault"
FAILURES_SHOWN = 3
"""Each of thousands of items says why it is unproven: in the log, and in an answer of at most 6 MB."""

T = TypeVar("T")
Rule = Callable[[Index, T], str | None]
"""Why an item stays, or None."""


def _not_ours(index: Index, item: Image | Snapshot) -> str | None:
    return None if index.ours(item.tags) else "it does not bear the required tags"


def _tagged(index: Index, item: Image | Snapshot) -> str | None:
    tag = index.policy.protect_tag
    return f"protected by its tag {tag}" if tag in item.tags else None


def _managed(_: Index, item: Image | Snapshot) -> str | None:
    if isinstance(item, Image) and item.owner_alias == BACKUP_OWNER:
        return "AWS Backup's: delete its recovery point there"
    key = next((key for key in item.tags if key.startswith(MANAGED_TAGS)), None)
    return f"managed by an AWS service (tag {key}): it is deleted there" if key else None


def _image_state(_: Index, image: Image) -> str | None:
    return None if image.state == "available" else f"its state is {image.state}"


def _young_image(index: Index, image: Image) -> str | None:
    return _young(image.created, index.image_cutoff)


def _young_snapshot(index: Index, snapshot: Snapshot) -> str | None:
    return _young(snapshot.started, index.snapshot_cutoff)


def _young(created: datetime | None, cutoff: datetime) -> str | None:
    if created is None:
        return "its age is not known"
    return None if created < cutoff else f"made {created.isoformat()}"


def _no_deregistration(_: Index, image: Image) -> str | None:
    return "EC2's deregistration protection is on" if image.protected else None


def _latest_image(index: Index, image: Image) -> str | None:
    if image.image_id not in index.latest:
        return None
    return f"one of the newest {index.policy.keep_latest_images} of {image.tags[SOURCE_TAG]}"


def _launched(index: Index, image: Image) -> str | None:
    last = image.last_launched
    if last is None or last < index.image_cutoff - LAUNCH_MARGIN:
        return None
    return f"launched {last.isoformat()}"


def _public(_: Index, image: Image) -> str | None:
    return "public: accounts that cannot be seen may use it" if image.public else None


def _image_user(index: Index, image: Image) -> str | None:
    users = index.references
    return next((users[one] for one in (image.image_id, *image.snapshots) if one in users), None)


def _held_back(index: Index, image: Image) -> str | None:
    """A snapshot that somebody protected protects the image that it is part of."""
    tag = index.policy.protect_tag
    for one in image.snapshots:
        if one in index.snapshots and tag in index.snapshots[one].tags:
            return f"its snapshot {one} is protected by its tag {tag}"
    return None


def _locked_parts(index: Index, image: Image) -> str | None:
    locked = index.inventory.locked
    if isinstance(locked, AwsError):
        return None
    return next((f"its snapshot {one} is locked" for one in image.snapshots if one in locked), None)


def _snapshot_state(_: Index, snapshot: Snapshot) -> str | None:
    return None if snapshot.state == "completed" else f"its state is {snapshot.state}"


def _snapshot_user(index: Index, snapshot: Snapshot) -> str | None:
    if holders := index.holders.get(snapshot.snapshot_id):
        return f"image {holders[0]}"
    return index.references.get(snapshot.snapshot_id)


def _archived(_: Index, snapshot: Snapshot) -> str | None:
    return "somebody moved it to the archive tier" if snapshot.archived else None


def _copied(_: Index, snapshot: Snapshot) -> str | None:
    return "a copy: its volume is not known" if snapshot.copy else None


def _latest_snapshot(index: Index, snapshot: Snapshot) -> str | None:
    volumes = index.inventory.volumes
    if snapshot.snapshot_id not in index.latest or isinstance(volumes, AwsError):
        return None
    if snapshot.volume_id not in volumes:
        return None
    return f"one of the newest {index.policy.keep_latest_snapshots} of {snapshot.volume_id}"


def _locked(index: Index, snapshot: Snapshot) -> str | None:
    locked = index.inventory.locked
    if isinstance(locked, AwsError) or snapshot.snapshot_id not in locked:
        return None
    return "it is locked"


def _unproven(index: Index, item: Image | Snapshot) -> str | None:
    kind = Kind.IMAGE if isinstance(item, Image) else Kind.SNAPSHOT
    failed = [str(one) for one in index.inventory.references.unseen if kind in one.could_name]
    locked, volumes = index.inventory.locked, index.inventory.volumes
    if isinstance(locked, AwsError) and (isinstance(item, Snapshot) or item.snapshots):
        failed.append(f"locks ({locked})")
    copy = index.copy_that_may_be_of(item) if isinstance(item, Snapshot) else None
    if copy is not None:
        failed.append(f"the source of snapshot {copy}, a copy under way")
    latest = isinstance(item, Snapshot) and item.snapshot_id in index.latest
    if isinstance(volumes, AwsError) and latest:
        failed.append(f"volumes ({volumes})")
    if (more := len(failed) - FAILURES_SHOWN) > 0:
        failed = [*failed[:FAILURES_SHOWN], f"and {more} more, each in a line of the log"]
    told = "; ".join(cut(one, LONGEST_ERROR) for one in failed)
    return f"could not be looked up: {told}" if failed else None


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


def decide(inventory: Inventory, policy: Policy, now: datetime) -> list[Verdict]:
    """Exactly one verdict for each image and snapshot, as if nothing else were deleted."""
    index = Index(inventory, policy, now)
    return [
        *(_on_image(index, image) for image in inventory.images),
        *(_on_snapshot(index, snapshot) for snapshot in inventory.snapshots),
    ]


def decide_parts(
    inventory: Inventory, going: Collection[str], policy: Policy, now: datetime
) -> list[Verdict]:
    """Verdicts on the snapshots that stand free once the images `going` are deregistered.

    They are judged by the snapshots' own rules on what will be true by then: one that another image
    holds is not among them, two images that share one free it together.
    """
    left = tuple(one for one in inventory.images if one.image_id not in going)
    index = Index(replace(inventory, images=left), policy, now)
    parts = {part for one in inventory.images if one.image_id in going for part in one.snapshots}
    return [
        _on_snapshot(index, one)
        for one in inventory.snapshots
        if one.snapshot_id in parts and one.snapshot_id not in index.holders
    ]


def _on_image(index: Index, image: Image) -> Verdict:
    reason, why = _first(IMAGE_RULES, index, image)
    return Verdict(
        image.image_id,
        Kind.IMAGE,
        reason,
        why,
        image.created,
        image.tags,
        parts=tuple(dict.fromkeys(image.snapshots)),
    )


def _on_snapshot(index: Index, snapshot: Snapshot) -> Verdict:
    reason, why = _first(SNAPSHOT_RULES, index, snapshot)
    return Verdict(
        snapshot.snapshot_id,
        Kind.SNAPSHOT,
        reason,
        why,
        snapshot.started,
        snapshot.tags,
        snapshot.gigabytes,
        volume_id=snapshot.volume_id if snapshot.snapshot_id in index.latest else None,
    )


def _first(rules: Iterable[tuple[Reason, Rule[T]]], index: Index, item: T) -> tuple[Reason, str]:
    for reason, rule in rules:
        if (why := rule(index, item)) is not None:
            return reason, cut(why, LONGEST_WHY)
    return Reason.UNUSED, "old, and proven unused"
