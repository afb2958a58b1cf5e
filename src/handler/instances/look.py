"""Looks at EC2: what is true now of the instances in question."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from handler.aws.errors import AwsError
from handler.aws.retry import Patience
from handler.instances.model import Instance, Marked, Sight
from handler.instances.ports import Machines

LOOKED_AT_TOGETHER = 200
"""Ids of one DescribeInstances call: values of one filter (AWS, DescribeInstances)."""
LOOKS_AT_ONCE = 8


JUST_MARKED = 60.0
"""Seconds since its marking in which an instance may be younger than EC2's answers."""
SETTLING = 3.0
"""Seconds that EC2's answers get to catch up (EC2 API, "Eventual consistency")."""


def see(marked: Sequence[Marked], machines: Machines, patiently: Patience) -> Sight:
    """Look at what is marked; twice at what was marked just now and is not shown.

    A replica that was launched and switched off within seconds may not be shown yet. Reported as
    gone it would run for ever, unseen.
    """
    sight = look([one.instance_id for one in marked], machines, patiently)
    in_doubt = [
        one.instance_id
        for one in marked
        if one.waited is not None
        and one.waited < JUST_MARKED
        and one.instance_id not in sight.seen
        and one.instance_id not in sight.unreadable
    ]
    if not in_doubt:
        return sight
    patiently.sleep(min(SETTLING, max(patiently.deadline.to_act(), 0.0)))
    again = look(in_doubt, machines, patiently)
    return Sight({**sight.seen, **again.seen}, {**sight.unreadable, **again.unreadable})


def look(ids: Sequence[str], machines: Machines, patiently: Patience) -> Sight:
    """Look at all of them, 200 a call and side by side, as far as the time goes.

    What could not be read is in the sight's `unreadable`: one chunk's trouble is its own.
    """
    chunks = [ids[n : n + LOOKED_AT_TOGETHER] for n in range(0, len(ids), LOOKED_AT_TOGETHER)]
    if not chunks:
        return Sight({}, {})
    seen: dict[str, Instance] = {}
    unreadable: dict[str, AwsError] = {}
    with ThreadPoolExecutor(min(len(chunks), LOOKS_AT_ONCE)) as pool:
        for sight in pool.map(lambda chunk: _chunk(chunk, machines, patiently), chunks):
            seen |= sight.seen
            unreadable |= sight.unreadable
    return Sight(seen, unreadable)


def _chunk(ids: Sequence[str], machines: Machines, patiently: Patience) -> Sight:
    def ask() -> Sight | AwsError:
        sight = machines.look(ids)
        nothing_read = len(sight.unreadable) == len(ids)
        return next(iter(sight.unreadable.values())) if nothing_read else sight

    answer = patiently(ask)
    return Sight({}, dict.fromkeys(ids, answer)) if isinstance(answer, AwsError) else answer
