"""Fakes of the other ports, and all of them together as the port `Outside`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock, get_ident
from typing import TypeVar

from handler.aws.errors import AwsError
from handler.instances.model import Instance, Invalid, Listing, Marked
from handler.instances.outcome import Outcome, Settled, Summary
from handler.instances.ports import BackendError, CancelledRequest, Delivery, Report
from tests.fakes.fleet import FakeFleet

T = TypeVar("T")


@dataclass
class FakeBackend:
    """The port `Backend`: a fixed list; reports about ids in `deaf_to` do not get through."""

    listing: Listing = field(default_factory=lambda: Listing((), (), True))
    deaf_to: set[str] = field(default_factory=set)
    reports: list[Report] = field(default_factory=list)
    tried: list[Report] = field(default_factory=list)
    asked: int = 0
    on_marked: Callable[[], None] = lambda: None
    _lock: Lock = field(default_factory=Lock)

    def marked(self) -> Listing:
        self.asked += 1
        self.on_marked()
        return self.listing

    def report(self, report: Report) -> None:
        with self._lock:
            self.tried.append(report)
            if report.instance_id in self.deaf_to:
                raise BackendError("HTTP 500")
            self.reports.append(report)

    def successes(self) -> list[str]:
        """Ids whose success was acknowledged."""
        return [one.instance_id for one in self.reports if one.error is None]

    def failures(self) -> dict[str, str]:
        """Ids whose failure was acknowledged, with the reason."""
        return {one.instance_id: one.error for one in self.reports if one.error is not None}


@dataclass
class FakeLedger:
    """The port `Ledger` with a window that does not end."""

    acknowledged: set[str] = field(default_factory=set)
    under_way: set[str] = field(default_factory=set)
    down: bool = False
    asked: int = 0
    _lock: Lock = field(default_factory=Lock)

    def once(self, instance_id: str, send: Callable[[], None]) -> Delivery:
        with self._lock:
            self.asked += 1
        if not self.down and instance_id in self.acknowledged:
            return Delivery.REPLAYED
        if not self.down and instance_id in self.under_way:
            return Delivery.UNDER_WAY
        send()
        if not self.down:
            self.acknowledged.add(instance_id)
        return Delivery.FIRST


@dataclass
class FakeHistory:
    """The port `History`: the ids that lived here; `error` is the answer where it is set."""

    lived: set[str] = field(default_factory=set)
    error: AwsError | None = None
    asked: list[str] = field(default_factory=list)
    on_asked: Callable[[], None] = lambda: None

    def lived_here(self, instance_id: str) -> bool | AwsError:
        self.asked.append(instance_id)
        self.on_asked()
        return self.error if self.error is not None else instance_id in self.lived


@dataclass
class FakeJournal:
    """The port `Journal`, as lists."""

    lines: list[Settled] = field(default_factory=list)
    accepted_calls: list[tuple[tuple[str, ...], str | None]] = field(default_factory=list)
    invalid_entries: list[Invalid] = field(default_factory=list)
    fuses: list[str] = field(default_factory=list)
    stuck_ones: list[tuple[str, float]] = field(default_factory=list)
    returned_ones: list[tuple[str, str]] = field(default_factory=list)
    summaries: list[Summary] = field(default_factory=list)
    answered_in: list[timedelta] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def settled(self, settled: Settled) -> None:
        with self._lock:
            self.lines.append(settled)

    def accepted(self, instance_ids: Sequence[str], request_id: str | None) -> None:
        with self._lock:
            self.accepted_calls.append((tuple(instance_ids), request_id))

    def invalid(self, entry: Invalid) -> None:
        self.invalid_entries.append(entry)

    def fuse_blown(self, why: str) -> None:
        self.fuses.append(why)

    def stuck(self, instance: Instance, seconds: float) -> None:
        self.stuck_ones.append((instance.instance_id, seconds))

    def came_back(self, instance_id: str, request: str) -> None:
        self.returned_ones.append((instance_id, request))

    def summary(self, summary: Summary, settled: Sequence[Settled], answered_in: timedelta) -> None:
        self.summaries.append(summary)
        self.answered_in.append(answered_in)

    def outcomes(self) -> dict[str, Outcome]:
        """Instance id → its one outcome; fails where an id has several."""
        found = {one.marked.instance_id: one.outcome for one in self.lines}
        assert len(found) == len(self.lines), "an entry has more than one outcome line"
        return found

    def line(self, instance_id: str) -> Settled:
        """The outcome line of one instance."""
        return next(one for one in self.lines if one.marked.instance_id == instance_id)


class FakeOutside:
    """The port `Outside`; `touched` says which ports were asked for, and by which thread."""

    def __init__(
        self,
        fleet: FakeFleet | None = None,
        entries: Sequence[Marked] = (),
        *,
        enabled: bool = True,
    ) -> None:
        self.fleet = fleet or FakeFleet()
        self.the_backend = FakeBackend(Listing(tuple(entries), (), enabled))
        self.the_ledger = FakeLedger()
        self.the_history = FakeHistory()
        self.the_journal = FakeJournal()
        self.touched: list[tuple[str, int]] = []
        self._cancelled: dict[str, CancelledRequest] = {}
        self._listed: dict[str, datetime] = {}

    @property
    def backend(self) -> FakeBackend:
        return self._touch("backend", self.the_backend)

    @property
    def machines(self) -> FakeFleet:
        return self._touch("machines", self.fleet)

    @property
    def history(self) -> FakeHistory:
        return self._touch("history", self.the_history)

    @property
    def ledger(self) -> FakeLedger:
        return self._touch("ledger", self.the_ledger)

    @property
    def journal(self) -> FakeJournal:
        return self._touch("journal", self.the_journal)

    @property
    def cancelled(self) -> dict[str, CancelledRequest]:
        return self._cancelled

    @property
    def listed(self) -> dict[str, datetime]:
        return self._listed

    def _touch(self, port: str, value: T) -> T:
        self.touched.append((port, get_ident()))
        return value

    def ports(self) -> set[str]:
        """The ports that were asked for."""
        return {port for port, _ in self.touched}
