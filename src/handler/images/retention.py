"""What may be deleted, decided per image and snapshot: pure, and every verdict has its reason.

The rules (`retention_rules.py`) stand in order, and the first that speaks decides. The one on failed
look-ups comes last, so a look-up that fails can only turn "goes" into "stays".
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

from handler.images.model import Facts, Image, Snapshot
from handler.images.retention_view import View
from handler.images.rules import IMAGE_RULES, SNAPSHOT_RULES, Rule
from handler.images.verdict import Kind, Policy, Reason, Verdict

T = TypeVar("T")


def decide(facts: Facts, policy: Policy, now: datetime) -> list[Verdict]:
    """Exactly one verdict for each image and snapshot."""
    view = View(facts, policy, now)
    return [
        *(_image(view, image) for image in facts.images),
        *(_snapshot(view, snapshot) for snapshot in facts.snapshots),
    ]


def _image(view: View, image: Image) -> Verdict:
    reason, why = _first(IMAGE_RULES, view, image)
    along = view.going_along(image)
    if reason is Reason.UNUSED and (left := [one for one in image.snapshots if one not in along]):
        why += f"; of its snapshots stay {', '.join(left)}: shared, or without the required tags"
    return Verdict(image.image_id, Kind.IMAGE, reason, why, image.created, along, image.tags)


def _snapshot(view: View, snapshot: Snapshot) -> Verdict:
    reason, why = _first(SNAPSHOT_RULES, view, snapshot)
    return Verdict(
        snapshot.snapshot_id, Kind.SNAPSHOT, reason, why, snapshot.started, (), snapshot.tags
    )


def _first(rules: Iterable[tuple[Reason, Rule[T]]], view: View, item: T) -> tuple[Reason, str]:
    for reason, rule in rules:
        if (why := rule(view, item)) is not None:
            return reason, why
    return Reason.UNUSED, "old, and proven unused"
