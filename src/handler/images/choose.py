"""Which of those that may go are deleted in this run: the oldest, up to the cap, asked about once more.

Pure, but for whom it asks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from handler.images.model import Inventory, Kind, Policy, Reason, Verdict, keep
from handler.images.rules import decide_parts

OVER_THE_CAP = "over MAX_DELETIONS_PER_RUN: a later run's"
NO_ROOM = (
    "more than can be written down before the backend has heard of earlier ones: a later run's"
)


def choose(
    queue: Sequence[Verdict],
    cap: int,
    room: int,
    ask: Callable[[Sequence[Verdict]], Mapping[str, Verdict]],
) -> tuple[list[Verdict], dict[str, Verdict]]:
    """What goes now, and what stays after all.

    Args:
        queue: what may go, in the order in which it shall.
        cap: how many items go at most.
        room: how many deletions can be written down, an image's snapshots among them.
        ask: which of these must stay after all.
    """
    chosen: list[Verdict] = []
    stay: dict[str, Verdict] = {}
    waiting = list(queue)
    why = OVER_THE_CAP
    while waiting and len(chosen) < cap:
        asked: list[Verdict] = []
        weight = 0
        while waiting and len(chosen) + len(asked) < cap:
            weight += 1 + len(waiting[0].parts)
            if weight > room:
                break
            asked.append(waiting.pop(0))
        if not asked:
            why = NO_ROOM
            break
        refused = ask(asked)
        stay |= refused
        left = [one for one in asked if one.item_id not in refused]
        room -= sum(1 + len(one.parts) for one in left)
        chosen += left
    stay |= {one.item_id: keep(one, Reason.DEFERRED, why) for one in waiting}
    return chosen, stay


def parts_of(
    chosen: Collection[Verdict],
    inventory: Inventory,
    policy: Policy,
    now: datetime,
    ask: Callable[[Sequence[Verdict]], Mapping[str, Verdict]],
) -> tuple[list[Verdict], dict[str, Verdict]]:
    """The snapshots that go after these images, and those that stay though they then stand free."""
    going = {one.item_id for one in chosen if one.kind is Kind.IMAGE}
    freed = decide_parts(inventory, going, policy, now)
    go = [one for one in freed if one.goes]
    stay = {one.item_id: one for one in freed if not one.goes}
    stay |= ask(go) if go else {}
    return [one for one in go if one.item_id not in stay], stay
