"""What the execution environment remembers of its runs, whatever their events asked for.

A new one begins without it: nothing that must be right rests on it alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from handler.instances.model import Candidate
    from handler.instances.ports import CancelledRequest

HIDDEN_FOR = timedelta(minutes=10)
"""How long a listed instance may be marked and unlisted: the backend hides it for five minutes
after a report (contract section 1, quirk 5), and runs may be minutes apart."""


@dataclass(frozen=True)
class Remembered:
    """Spot requests cancelled lately; instances listed lately, to whatever agent, and when."""

    cancelled: dict[str, CancelledRequest] = field(default_factory=dict)
    listed_lately: dict[str, datetime] = field(default_factory=dict)


def remember_listed(
    memory: dict[str, datetime], candidates: Iterable[Candidate], now: datetime
) -> Collection[str]:
    """Note what is listed now; return all that was listed lately.

    Without it, a refused zombie that the backend hides for a while would vouch for the next
    zombie of its workload.
    """
    memory.update((one.instance_id, now) for one in candidates)
    lately = still_remembered(memory, now)
    for instance_id in memory.keys() - lately:
        del memory[instance_id]
    return lately


def still_remembered(memory: Mapping[str, datetime], now: datetime) -> set[str]:
    """What was listed so lately that it may be marked still."""
    return {one for one, at in memory.items() if now - at <= HIDDEN_FOR}
