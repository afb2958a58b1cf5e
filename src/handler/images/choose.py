"""Which of those that may go are deleted in this run: the oldest, up to the cap, asked about once more.

Pure, but for whom it asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from handler.images.model import Inventory, Kind, Policy, Reason, Verdict, keep, oldest_first
from handler.images.rules import decide_parts

OVER_THE_CAP = "over MAX_DELETIONS_PER_RUN: a later run's"
NO_ROOM = (
    "more than can be written down before the backend has heard of earlier ones: a later run's"
)


@dataclass(frozen=True, slots=True)
class Choice:
    """What one run deletes.

    Attributes:
        chosen: images and free-standing snapshots, in the order in which they go.
        parts: snapshots that stand free once those images are gone.
        stay: id → verdict of what a rule lets go, and what stays in this run all the same.
    """

    chosen: Sequence[Verdict] = ()
    parts: Sequence[Verdict] = ()
    stay: Mapping[str, Verdict] = field(default_factory=dict)

    def put_off(self, why: str) -> Choice:
        """Nothing of it goes in this run."""
        return Choice(stay={**self.stay, **_deferred(self.chosen, why)})


def choose(
    verdicts: Sequence[Verdict],
    inventory: Inventory,
    policy: Policy,
    now: datetime,
    *,
    cap: int,
    room: int,
    held_back: Callable[[str], str | None],
    ask: Callable[[Sequence[Verdict]], Mapping[str, Verdict]],
) -> Choice:
    """What goes now, with the snapshots of the images among it, and what stays after all.

    Args:
        verdicts: what the rules say of every item of `inventory`.
        inventory: all that the run knows.
        policy: the operator's rules.
        now: the time (UTC).
        cap: how many items go at most, but for images' own snapshots.
        room: how many deletions can be written down, an image's snapshots among them.
        held_back: why the item of this id is not to be tried in this run, or None.
        ask: which of these must stay after all.
    """
    queue: list[Verdict] = []
    stay: dict[str, Verdict] = {}
    for one in oldest_first(verdicts):
        why = held_back(one.item_id)
        if why is None:
            queue.append(one)
        else:
            stay |= _deferred([one], why)
    chosen, not_now = _first_of(queue, cap, room, ask)
    stay |= not_now
    images = {one.item_id for one in chosen if one.kind is Kind.IMAGE}
    if not images:
        return Choice(chosen, stay=stay)
    freed = decide_parts(inventory, images, policy, now)
    stay |= {one.item_id: one for one in freed if not one.goes}
    parts = [one for one in freed if one.goes]
    stay |= ask(parts) if parts else {}
    return Choice(chosen, [one for one in parts if one.item_id not in stay], stay)


def _first_of(
    queue: Sequence[Verdict],
    cap: int,
    room: int,
    ask: Callable[[Sequence[Verdict]], Mapping[str, Verdict]],
) -> tuple[list[Verdict], dict[str, Verdict]]:
    """As many as cap and room allow; what must stay leaves its place to the next."""
    waiting = list(queue)
    stay: dict[str, Verdict] = {}
    chosen: list[Verdict] = []
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
    return chosen, stay | _deferred(waiting, why)


def _deferred(verdicts: Sequence[Verdict], why: str) -> dict[str, Verdict]:
    return {one.item_id: keep(one, Reason.DEFERRED, why) for one in verdicts}
