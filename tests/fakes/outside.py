"""Fakes of what a run talks to, and all of it together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock, get_ident
from typing import TypeVar

from handler.aws.errors import AwsError
from handler.backend.errors import BackendError
from handler.instances.model import Agent, AgentList, Instance, Marked
from handler.instances.outcome import Outcome, Settled, Summary
from handler.instances.ports import CancelledRequest, Claim, Report
from tests.fakes.build import AGENT, listing
from tests.fakes.fleet import FakeFleet

T = TypeVar("T")


@dataclass
class FakeBackend:
    """One backend for all agents: a fixed list each; reports about ids in `deaf_to` do not get through.

    Args:
        lists: the answer to each agent's question, or why there is none.
        deaf_to: id → how often a report of it is not acknowledged; None: never is one.
    """

    lists: dict[Agent, AgentList | BackendError] = field(default_factory=dict)
    deaf_to: dict[str, int | None] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)
    tried: list[Report] = field(default_factory=list)
    by_agent: list[tuple[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    on_asked: Callable[[], None] = lambda: None
    on_report: Callable[[Report], None] = lambda _: None
    _lock: Lock = field(default_factory=Lock)

    def list_of(self, agent: Agent) -> AgentList:
        with self._lock:
            self.asked.append(agent.agent_id)
        self.on_asked()
        answer = self.lists[agent]
        if isinstance(answer, BackendError):
            raise answer
        return answer

    def take(self, agent: Agent, report: Report) -> None:
        with self._lock:
            self.tried.append(report)
        self.on_report(report)
        with self._lock:
            if report.instance_id in self.deaf_to:
                left = self.deaf_to[report.instance_id]
                if left is None or left > 0:
                    self.deaf_to[report.instance_id] = None if left is None else left - 1
                    raise BackendError("HTTP 500", 500)
            self.reports.append(report)
            self.by_agent.append((agent.agent_id, report.instance_id))

    def successes(self) -> list[str]:
        """Ids whose success was acknowledged."""
        return [one.instance_id for one in self.reports if one.error is None]

    def failures(self) -> dict[str, str]:
        """Ids whose failure was acknowledged, with the reason."""
        return {one.instance_id: one.error for one in self.reports if one.error is not None}


@dataclass
class FakeAgentBackend:
    """The backend as one agent reports to it."""

    agent: Agent
    backend: FakeBackend

    def report(self, report: Report) -> None:
        self.backend.take(self.agent, report)


@dataclass
class FakeTable:
    """The idempotency table with a window that does not end."""

    reported: set[str] = field(default_factory=set)
    under_way: set[str] = field(default_factory=set)
    released: list[str] = field(default_factory=list)
    asked: int = 0

    def claim(self, instance_ids: Sequence[str]) -> dict[str, Claim]:
        self.asked += 1
        return {
            one: Claim.REPORTED
            if one in self.reported
            else Claim.UNDER_WAY
            if one in self.under_way
            else Claim.FREE
            for one in instance_ids
        }

    def acknowledged(self, instance_ids: Sequence[str]) -> None:
        self.reported.update(instance_ids)

    def release(self, instance_ids: Sequence[str]) -> None:
        self.released += instance_ids


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
class FakeFirstSeen:
    """Remembers when each was first seen; ids in `since` were before, those in `listed` lately."""

    since: dict[str, datetime] = field(default_factory=dict)
    listed: set[str] = field(default_factory=set)

    def load(self) -> None:
        """Nobody else has seen anything."""

    def lately(self, _: datetime) -> Collection[str]:
        return self.listed

    def note(self, ids: Collection[str], now: datetime) -> dict[str, datetime]:
        return {one: self.since.setdefault(one, now) for one in ids}


@dataclass
class FakeJournal:
    """The journal, as lists."""

    lines: list[Settled] = field(default_factory=list)
    accepted_calls: list[tuple[tuple[str, ...], str | None]] = field(default_factory=list)
    received: list[AgentList] = field(default_factory=list)
    failed_agents: list[str] = field(default_factory=list)
    failed_look_ups: list[tuple[str, AwsError]] = field(default_factory=list)
    fuses: list[str] = field(default_factory=list)
    stuck_ones: list[tuple[str, float]] = field(default_factory=list)
    overdue_ones: list[str] = field(default_factory=list)
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

    def list_received(self, received: AgentList) -> None:
        self.received.append(received)

    def list_failed(self, agent: Agent, error: BackendError) -> None:
        self.failed_agents.append(agent.agent_id)

    def look_up_failed(self, what: str, error: AwsError) -> None:
        with self._lock:
            self.failed_look_ups.append((what, error))

    def fuse_blown(self, why: str) -> None:
        self.fuses.append(why)

    def stuck(self, instance: Instance, seconds: float) -> None:
        self.stuck_ones.append((instance.instance_id, seconds))

    def overdue(self, instance_ids: Sequence[str], after: float) -> None:
        self.overdue_ones += instance_ids

    def came_back(self, instance_id: str, request: str) -> None:
        self.returned_ones.append((instance_id, request))

    def summary(self, summary: Summary, settled: Sequence[Settled], answered_in: timedelta) -> None:
        self.summaries.append(summary)
        self.answered_in.append(answered_in)

    def outcomes(self) -> dict[str, Outcome]:
        """Instance id → its one outcome; fails where an id has several."""
        found = {one.marked.instance_id: one.outcome for one in self.lines}
        assert len(found) == len(self.lines), "a machine has more than one outcome line"
        return found

    def line(self, instance_id: str) -> Settled:
        """The outcome line of one instance."""
        return next(one for one in self.lines if one.marked.instance_id == instance_id)


class FakeDependencies:
    """What a run talks to; `touched` says what was asked for, and by which thread."""

    def __init__(
        self,
        fleet: FakeFleet | None = None,
        entries: Sequence[Marked] = (),
        *,
        enabled: bool = True,
    ) -> None:
        self.fleet = fleet or FakeFleet()
        self.backend = FakeBackend({AGENT: listing(*entries, enabled=enabled)})
        self.the_table = FakeTable()
        self.the_history = FakeHistory()
        self.journal = FakeJournal()
        self.first_seen = FakeFirstSeen()
        self.cancelled: dict[str, CancelledRequest] = {}
        self.told: list[Settled] = []
        self.touched: list[tuple[str, int]] = []

    @property
    def agents(self) -> tuple[Agent, ...]:
        """Those that the backend knows, in order."""
        return tuple(self.backend.lists)

    def lists(self, *lists: AgentList) -> None:
        """Have the backend answer with these."""
        self.backend.lists = {one.agent: one for one in lists}

    def list_of(self, agent: Agent, left: Callable[[], float]) -> AgentList:
        return self.backend.list_of(agent)

    def tell(self, settled: Sequence[Settled]) -> None:
        self.told += settled

    def report_as(self, agent: Agent) -> FakeAgentBackend:
        return FakeAgentBackend(agent, self.backend)

    @property
    def machines(self) -> FakeFleet:
        return self._touch("machines", self.fleet)

    @property
    def history(self) -> FakeHistory:
        return self._touch("history", self.the_history)

    @property
    def table(self) -> FakeTable:
        return self._touch("table", self.the_table)

    def _touch(self, name: str, value: T) -> T:
        self.touched.append((name, get_ident()))
        return value

    def used(self) -> set[str]:
        """What was asked for."""
        return {name for name, _ in self.touched}
