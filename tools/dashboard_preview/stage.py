"""Runs a function through a week that takes a minute: its clock is set, its lines are kept."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import time_machine
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends

from local.invoke import Handler, Invocation, invoke
from local.stack import Stack
from tools.dashboard_preview.insights import Line
from tools.dashboard_preview.metrics import Metric, Metrics
from tools.dashboard_preview.widgets import Recorded

START = datetime(2025, 11, 18, tzinfo=UTC)
SPAN = timedelta(days=7)
"""What the dashboards show."""


@contextmanager
def alone(stack: Stack, kind: str) -> Iterator[None]:
    """Set aside what others have in moto, whose state is the whole process's, while the block runs.

    Args:
        stack: whose region.
        kind: what of, by moto's name: `reservations`, `amis`, `snapshots`.
    """
    with patch.dict(getattr(ec2_backends[DEFAULT_ACCOUNT_ID][stack.region], kind), clear=True):
        yield


@dataclass
class Stage:
    """A function, its stack, and a clock that both of them live by.

    Attributes:
        function: its logical id in the template.
        handler: what is invoked.
        stack: AWS and the backend.
        clock: the time of this process: handler, backend and AWS.
        environment: the function's; a story may change it between two runs.
    """

    function: str
    handler: Handler
    stack: Stack
    clock: time_machine.Traveller
    environment: dict[str, str]
    metrics: Metrics = field(default_factory=Metrics)
    lines: list[Line] = field(default_factory=list)
    runs: int = 0

    def play(self, story: Sequence[Event], interval: timedelta) -> Recorded:
        """Run at every interval from START on; each event happens at its own time before."""
        events = sorted(story, key=lambda event: event.after)
        now = START
        while now < START + SPAN:
            while events and START + events[0].after <= now:
                event = events.pop(0)
                self.clock.move_to(START + event.after)
                event.happens(self)
            self.clock.move_to(now)
            self._run(now.timestamp())
            now += interval
        end = START + SPAN
        group = self.function.removesuffix("Function") + "LogGroup"
        return Recorded(self.metrics, {group: self.lines}, START.timestamp(), end.timestamp())

    def _run(self, now: float) -> None:
        written, failed = Invocation(), 0.0
        began = time.perf_counter()  # which the set clock leaves alone
        try:
            invoke(self.handler, self.environment, into=written)
        except Exception:  # noqa: BLE001 - Lambda counts any as an error, and so is it here
            failed = 1.0
        took = time.perf_counter() - began
        self.runs += 1
        for name, value in (("Invocations", 1.0), ("Errors", failed), ("Duration", took * 1000)):
            dimensions = frozenset({("FunctionName", self.function)})
            self.metrics.put(Metric("AWS/Lambda", name, dimensions), now, [value])
        for line in written.emf:
            self.metrics.put_emf(line)
        self.lines += map(_as_kept, written.lines)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens so long after the start."""

    after: timedelta
    happens: Callable[[Stage], object]


def _as_kept(line: dict[str, Any]) -> Line:
    """A line as CloudWatch Logs discovers its fields."""
    at = datetime.strptime(line["timestamp"], "%Y-%m-%d %H:%M:%S,%f%z").astimezone(UTC)
    own = {"@timestamp": at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3], "@message": json.dumps(line)}
    return own | dict(_flat(line))


def _flat(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is not None:
            yield prefix + key, value
