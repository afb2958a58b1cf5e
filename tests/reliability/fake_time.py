"""One clock for everything that a run asks the time of or waits by.

The emulator and the backend take a clock. The handler, Lambda's remaining time, and the libraries
that wait between tries or date their records look it up in a module: that module's name is replaced
in each of them, and nowhere else, so that sockets and threads keep the machine's time.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import botocore.endpoint
import urllib3.util.retry
from aws_lambda_powertools.utilities.idempotency import base as idempotency_base
from aws_lambda_powertools.utilities.idempotency.persistence import base as persistence_base
from aws_lambda_powertools.utilities.idempotency.persistence import datarecord, dynamodb

import handler.termination
import local.invoke
from handler import wiring
from handler.backend.api import BackendApi
from handler.instances import idempotency, provenance
from tools.ec2_emulator.clock import ManualClock

START = datetime(2025, 11, 25, 12, 30, tzinfo=UTC)


class FakeTime(ManualClock):
    """A clock that moves when it is told to, and when somebody waits."""

    def __init__(self) -> None:
        super().__init__(START)

    def sleep(self, seconds: float) -> None:
        """Wait: the time is over at once."""
        self.advance(max(seconds, 0.0))

    def aware(self) -> datetime:
        """The time, as the backend asks for it."""
        return self.now

    def _datetime(self) -> Any:
        clock = self

        class Datetime(datetime):
            """The class `datetime` whose `now` is the clock's."""

            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return datetime.fromtimestamp(clock(), tz)

        return Datetime

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Let the handler and its libraries live by this clock while the block runs."""
        module = SimpleNamespace(sleep=self.sleep, time=self, monotonic=self, perf_counter=self)
        dated = self._datetime()
        dates = SimpleNamespace(datetime=dated, timedelta=timedelta, timezone=UTC)
        replaced: list[tuple[object, str, object]] = [
            (handler.termination, "time", module),
            (handler.termination, "datetime", dated),
            (local.invoke, "time", module),
            (botocore.endpoint, "time", module),
            (urllib3.util.retry, "time", module),
            (wiring, "datetime", dated),
            (wiring, "BackendApi", functools.partial(BackendApi, sleep=self.sleep)),
            (idempotency, "time", module),
            (
                idempotency,
                "IdempotencyTable",
                functools.partial(idempotency.IdempotencyTable, sleep=self.sleep),
            ),
            *(
                (each, "dt", dates)
                for each in (idempotency_base, persistence_base, datarecord, dynamodb)
            ),
            (
                provenance,
                "CloudTrailHistory",
                functools.partial(provenance.CloudTrailHistory, sleep=self.sleep, monotonic=self),
            ),
        ]
        patches = [patch.object(where, name, new) for where, name, new in replaced]
        for each in patches:
            each.start()
        try:
            yield
        finally:
            for each in reversed(patches):
                each.stop()


class MovedTime(FakeTime):
    """The machine's own time, moved ahead by what a test skips: for functions in other processes."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0  # how far ahead

    def __call__(self) -> float:
        return time.time() + self._now

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self(), UTC)
