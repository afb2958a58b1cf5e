"""The inventory of one run, arranged so that each rule is one look; the newest (`KEEP_LATEST_...`) are counted here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from handler.images.model import SOURCE_TAG, Inventory, Policy, Snapshot


class Index:
    """What the rules ask about: who holds a snapshot, what is the latest, what is ours."""

    def __init__(self, inventory: Inventory, policy: Policy, now: datetime) -> None:
        self.inventory, self.policy = inventory, policy
        self.image_cutoff = now - policy.images_older_than
        self.snapshot_cutoff = now - policy.snapshots_older_than
        self.snapshots = {one.snapshot_id: one for one in inventory.snapshots}
        self.holders: dict[str, list[str]] = defaultdict(list)
        for image in inventory.images:
            for snapshot_id in image.snapshots:
                self.holders[snapshot_id].append(image.image_id)
        self._nameless_copies = [
            one
            for one in inventory.snapshots
            if one.state == "pending" and one.copy and not self.snapshots.keys() & one.named
        ]
        self.references = {**_copies_under_way(inventory), **inventory.references.by_id}
        # Only what is whole counts as the latest: a broken copy must not displace the last good one.
        self.latest = _latest(
            (
                (one.tags[SOURCE_TAG], one.created, one.image_id)
                for one in inventory.images
                if SOURCE_TAG in one.tags and one.state == "available" and self.ours(one.tags)
            ),
            policy.keep_latest_images,
        ) | _latest(
            (
                (one.volume_id, one.started, one.snapshot_id)
                for one in inventory.snapshots
                if one.state == "completed"
                and one.snapshot_id not in self.holders
                and self.ours(one.tags)
            ),
            policy.keep_latest_snapshots,
        )

    def ours(self, tags: Mapping[str, str]) -> bool:
        """Whether what bears these tags bears the required ones."""
        return all(tags.get(key) == value for key, value in self.policy.required_tags.items())

    def copy_that_may_be_of(self, snapshot: Snapshot) -> str | None:
        """A copy under way whose source is not named, and may be this: a copy has its source's size."""
        size = snapshot.volume_gigabytes
        return next(
            (
                one.snapshot_id
                for one in self._nameless_copies
                if size == one.volume_gigabytes or None in {size, one.volume_gigabytes}
            ),
            None,
        )


def _copies_under_way(inventory: Inventory) -> dict[str, str]:
    """What is being copied within the region, by the copy's description: EC2's own names the source."""
    found = {
        source: f"snapshot {one.snapshot_id} is being copied from it"
        for one in inventory.snapshots
        if one.state == "pending"
        for source in one.named
    }
    return found | {
        one.source: f"image {one.image_id} is being copied from it"
        for one in inventory.images
        if one.state == "pending" and one.source
    }


def _latest(items: Iterable[tuple[str, datetime | None, str]], count: int) -> frozenset[str]:
    """The `count` newest ids of each group."""
    groups: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for group, created, item_id in items:
        if created is not None:
            groups[group].append((created, item_id))
    return frozenset(
        item_id
        for members in groups.values()
        for _, item_id in sorted(members, reverse=True)[:count]
    )
