"""What lies in the future: changes that wait until a look at the fleet finds them due."""

import heapq
import itertools
from collections.abc import Callable

Happening = Callable[[float], None]
"""A change; it is told the moment for which it was planned, not the moment of the look."""


class Schedule:
    """A queue of changes by time, and in the order of planning where times are equal."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Happening]] = []
        self._numbers = itertools.count()

    def plan(self, at: float, happen: Happening) -> None:
        heapq.heappush(self._due, (at, next(self._numbers), happen))

    def settle(self, now: float) -> None:
        """Let everything happen that is due, with what it plans for the past in its turn."""
        while self._due and self._due[0][0] <= now:
            at, _, happen = heapq.heappop(self._due)
            happen(at)
