"""What a running backend is made of, and the clock that its rules ask."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine

from backend.quirks import Quirks


def system_clock() -> datetime:
    """The machine's time, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a backend behaves.

    Attributes:
        retry_pause_seconds: how long a reported instance stays unlisted; the contract says 300,
            tests and demos may compress it.
        operator_token: if set, the operator's routes ask for it as a Bearer token.
        quirks: the quirks that are on at the start.
        now: the clock, aware; every rule asks it and never the database's own.
    """

    retry_pause_seconds: float = 300.0
    operator_token: str | None = None
    quirks: Quirks = field(default_factory=Quirks)
    now: Callable[[], datetime] = system_clock


@dataclass(slots=True)
class Context:
    """The parts that the routes share; ``quirks`` can be replaced while it runs."""

    engine: Engine
    settings: Settings
    quirks: Quirks
    # Numbers the reports whose event is committed apart from the row.
    separate_events: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def now(self) -> datetime:
        """The time as the database keeps it: naive, UTC."""
        return self.settings.now().astimezone(UTC).replace(tzinfo=None)

    def transaction(self) -> AbstractContextManager[Connection]:
        """One transaction: committed on the way out, rolled back by an exception."""
        return self.engine.begin()
