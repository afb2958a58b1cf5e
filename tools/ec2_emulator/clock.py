"""Time for the emulator: the machine's own, or one that a test moves."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], float]
"""Answers the seconds since the epoch."""

system_clock: Clock = time.time


class ManualClock:
    """A clock that stands still until a test advances it."""

    def __init__(self, start: datetime = datetime(2025, 11, 25, 12, 30, tzinfo=UTC)) -> None:
        self._now = start.timestamp()
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self._now

    @property
    def now(self) -> datetime:
        return as_datetime(self._now)

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("time does not run backwards")
        with self._lock:
            self._now += seconds


def as_datetime(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
