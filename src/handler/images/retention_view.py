"""The facts of one run, arranged so that each rule is one look."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from handler.images.model import SOURCE_TAG, Facts, Image
from handler.images.verdict import Policy


class View:
    """What the rules ask about: who holds a snapshot, what is the latest, what is ours."""

    def __init__(self, facts: Facts, policy: Policy, now: datetime) -> None:
        self.facts, self.policy = facts, policy
        self.image_cutoff = now - policy.images_older_than
        self.snapshot_cutoff = now - policy.snapshots_older_than
        self.snapshots = {one.snapshot_id: one for one in facts.snapshots}
        self.holders: dict[str, list[str]] = defaultdict(list)
        for image in facts.images:
            for snapshot_id in image.snapshots:
                self.holders[snapshot_id].append(image.image_id)
        # Only what is whole counts as the latest: a broken copy must not displace the last good one.
        self.latest = _latest(
            (
                (one.tags[SOURCE_TAG], one.created, one.image_id)
                for one in facts.images
                if SOURCE_TAG in one.tags and one.state == "available" and self.ours(one.tags)
            ),
            policy.keep_latest_images,
        ) | _latest(
            (
                (one.volume_id, one.started, one.snapshot_id)
                for one in facts.snapshots
                if one.state == "completed"
                and one.snapshot_id not in self.holders
                and self.ours(one.tags)
            ),
            policy.keep_latest_snapshots,
        )

    def ours(self, tags: Mapping[str, str]) -> bool:
        """Whether what bears these tags bears the required ones."""
        return all(tags.get(key) == value for key, value in self.policy.required_tags.items())

    def going_along(self, image: Image) -> tuple[str, ...]:
        """Its own snapshots, all or none: EC2 takes one switch for all of them."""
        own = tuple(one for one in image.snapshots if self.holders[one] == [image.image_id])
        known = [self.snapshots.get(one) for one in own]
        return own if all(one is not None and self.ours(one.tags) for one in known) else ()


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
