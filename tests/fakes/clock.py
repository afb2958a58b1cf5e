"""A clock that only moves when it is told to."""

from __future__ import annotations

from datetime import datetime, timedelta

from handler.aws.retry import Retry
from handler.deadline import Deadline
from tests.fakes.build import NOW


class FakeClock:
    """The time now, and the seconds left of a run; sleeping moves both at once."""

    def __init__(self, seconds: float = 60.0) -> None:
        self.now = NOW
        self.left = seconds
        self.slept: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.left -= seconds

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.pass_by(seconds)

    def deadline(self) -> Deadline:
        """The deadline of a run that starts now."""
        return Deadline(lambda: self.left)

    def retry(self) -> Retry:
        """The retry of a run that starts now."""
        return Retry(self.deadline(), self.sleep)
