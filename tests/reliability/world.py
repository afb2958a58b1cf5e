"""The whole system in one process, under one clock: the real handler between two servers.

EC2 and its neighbours are the emulator, the backend is the reference backend on SQLite, both on
real sockets; the handler runs with its real SDK, HTTP client and Powertools. AWS clients and
connections are kept from one run to the next.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, insert, select, update

from backend.client import OperatorClient
from backend.quirks import ALL_QUIRKS
from backend.tables import agents, instances, replica_instances, system_events
from handler import wiring
from handler.backend.errors import BackendError
from handler.termination import lambda_handler
from local.invoke import Invocation, invoke
from tests.reliability.agents import LOGICAL, SHOP, switched
from tests.reliability.fake_time import FakeTime
from tests.reliability.gate import Gate, Listed, Recorded, merged
from tools.ec2_emulator import Emulator
from tools.ec2_emulator.calls import OK, Call
from tools.ec2_emulator.instance import Instance

PARAMETER = "/spot-optimizer/client-token"
TABLE = "spot-cleanup-idempotency"
PAUSE = 420
"""Seconds; more than a report hides an instance, and more than the longest wait of an agent."""
LAMBDA_SECONDS = 55.0
WINDOW = 3600

LEDGER_CALLS = frozenset({"PutItem", "UpdateItem", "TransactWriteItems", "DeleteItem", "GetItem"})
LEDGER_WORKS = frozenset({OK, "ConditionalCheckFailedException", "TransactionCanceledException"})
SPOILED = frozenset(
    (
        *("dropped", "cut", "truncated", "raw", "InternalError", "InternalServerError"),
        *("Unavailable", "ExpiredToken", "RequestLimitExceeded", "ThrottlingException"),
        *("AccessDeniedException", "TransactionConflictException"),
    )
)
"""Outcomes that the emulator gives only where a test told it to."""


@dataclass(frozen=True)
class Run:
    """One run, and all that it did.

    Attributes:
        variables: what was set beyond the defaults.
        wrote: its answer, its log and its metrics.
        error: what it failed with.
        calls: its calls to AWS.
        lists: the lists that the backend gave it whole, by agent.
        recorded: the reports that the backend recorded meanwhile.
        ended: instances that were live before it and are not any more.
        before: the state of each instance when it began.
        took: seconds, by the clock that Lambda's limit goes by.
        backend_faults: faults that its calls to the backend met.
        ledger_broken: whether the idempotency table did not give its own answer to one of its calls.
        clock_jumped: whether a slow call to AWS moved the clock: for reports under way beside it, too.
    """

    variables: dict[str, str]
    wrote: Invocation
    error: BaseException | None
    calls: list[Call]
    lists: Mapping[str, Listed]
    recorded: list[Recorded]
    ended: frozenset[str]
    before: Mapping[str, str]
    took: float
    backend_faults: list[str]
    ledger_broken: bool
    clock_jumped: bool

    @property
    def counts(self) -> dict[str, int]:
        """What is not zero in its answer."""
        return {key: n for key, n in self.wrote.returned.items() if n and type(n) is int}

    @property
    def met_a_fault(self) -> bool:
        """Whether any of its calls was spoiled, to AWS or to the backend."""
        return bool(self.backend_faults) or any(call.outcome in SPOILED for call in self.calls)

    def asked(self, operation: str) -> list[Call]:
        return [call for call in self.calls if call.operation == operation]

    def outcomes(self, *wanted: str) -> list[str]:
        """The ids with one of these outcomes, by the log."""
        lines = [line for line in self.wrote.lines if line.get("outcome") in wanted]
        return [line["instance_id"] for line in lines if "instance_id" in line]


@dataclass
class World:
    """One account, the agents of one function and their neighbours, one backend."""

    aws: Emulator
    clock: FakeTime
    gate: Gate
    engine: Engine
    operator: OperatorClient
    url: str
    clients: Mapping[str, str]
    token: str
    runs: list[Run] = field(default_factory=list)
    environments: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    remembered: set[str] = field(default_factory=set)
    """What this execution environment has seen in lists."""
    table_is_busy: bool = False
    """Whether other transactions are in the way of the table's writes."""
    clock_jumps: int = 0
    """How often a slow call to AWS has moved the clock."""

    # The account.

    def launch(self, **more: Any) -> str:
        """An instance with the tags of SHOP's server, running for an hour, unless told otherwise."""
        given = {"tags": switched(SHOP), "launch_time": self.clock() - 3600, **more}
        return self.aws.fleet.launch(**given)

    def truth(self, instance_id: str) -> Instance | None:
        """An instance as it is, however long ago it ended; None where it never was or is forgotten."""
        with self.aws.fleet.lock:
            self.aws.fleet.settle()
            return self.aws.fleet._instances.get(instance_id)

    def state(self, instance_id: str) -> str | None:
        """What is true of an instance; None where EC2 does not know it (any more)."""
        instance = self.instances.get(instance_id)
        return instance.state if instance else None

    @property
    def instances(self) -> Mapping[str, Instance]:
        return self.aws.fleet.instances

    def environment(self, **more: str) -> dict[str, str]:
        named = (f"{agent}={logical}" if logical else agent for agent, logical in LOGICAL.items())
        return {
            **self.aws.environment,
            "AGENT_ID": ",".join(named),
            "SERVER_URL": self.url,
            "CLIENT_TOKEN_PARAMETER": PARAMETER,
            "IDEMPOTENCY_TABLE": TABLE,
            "IDEMPOTENCY_WINDOW_SECONDS": str(WINDOW),
            **more,
        }

    # The backend.

    def _marked(self, agent: str, one: str, zone: str | None, age: float) -> dict[str, Any]:
        now = datetime.fromtimestamp(self.clock(), UTC) - timedelta(seconds=age)
        instance = self.truth(one)
        times = dict.fromkeys(("marked_at", "created_at", "updated_at"), now.replace(tzinfo=None))
        zone = zone or (instance.zone if instance else None)
        return {"agent_id": agent, "az": zone, "instance_type": "c5.large", **times}

    def mark_zombies(
        self, *ids: str, agent: str = SHOP, age: float = 450, zone: str | None = None
    ) -> None:
        """Rows of old primaries that have waited for so long."""
        zombie: dict[str, Any] = {"client_id": self.clients[agent], "region": self.aws.region}
        zombie |= {"instance_status": "zombie", "is_active": False}
        rows = [{"id": one, **zombie, **self._marked(agent, one, zone, age)} for one in ids]
        with self.engine.begin() as connection:
            connection.execute(insert(instances), rows)

    def mark_replicas(
        self, *ids: str, agent: str = SHOP, age: float = 5, zone: str | None = None
    ) -> None:
        """Rows of an agent's replicas that are no longer wanted."""
        rows = [
            {"instance_id": one, "status": "terminated", **self._marked(agent, one, zone, age)}
            for one in ids
        ]
        with self.engine.begin() as connection:
            connection.execute(insert(replica_instances), rows)

    def promote(self, agent: str, instance_id: str, old: str) -> None:
        """A manual replica becomes the primary; later its row is marked all the same (quirk 10)."""
        self.operator.register_primary(agent, old)
        self.operator.enable_manual_replica(agent, instance_id)
        self.operator.replica_ready(agent, instance_id)
        self.operator.promote_replica(agent, instance_id)
        self.operator.age(agent, 450, instance_id=old)
        self.operator.auto_switch_on(agent)

    def confirmed(self) -> set[str]:
        """Ids whose row says that they were terminated, and that this was confirmed."""
        found: set[str] = set()
        with self.engine.begin() as connection:
            for table, key in ((instances, "id"), (replica_instances, "instance_id")):
                query = select(table.c[key]).where(table.c.termination_confirmed.is_(True))
                found |= set(connection.scalars(query))
        return found

    def successes(self, instance_id: str) -> int:
        """How many successes the backend's own events tell of; the id stands in `metadata` (quirk 9)."""
        query = select(system_events.c.metadata).where(
            system_events.c.event_type == "instance_terminated"
        )
        with self.engine.begin() as connection:
            told = [row["instance_id"] for row in connection.scalars(query)]
        return told.count(instance_id)

    def set_quirks(self, **quirks: Any) -> None:
        """The original backend's ways, all of them but for these."""
        self.operator.set_quirks(replace(ALL_QUIRKS, **quirks))

    def switch(self, agent: str, *, on: bool) -> None:
        with self.engine.begin() as connection:
            change = update(agents).where(agents.c.id == agent).values(auto_terminate_enabled=on)
            connection.execute(change)

    # Runs.

    def cold_start(self) -> None:
        """The execution environment is gone; what it has seen in lists stands in the table, if that worked."""
        wiring._environment.cache_clear()
        asked = [call for run in self.runs for call in run.calls if call.operation in LEDGER_CALLS]
        if self.table_is_busy or any(call.outcome not in LEDGER_WORKS for call in asked):
            self.remembered.clear()

    def run(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        timeout: float = LAMBDA_SECONDS,
        event: dict[str, Any] | None = None,
        **more: str,
    ) -> Run:
        """One run; an error other than a backend that is not to be had comes through."""
        variables = {**(settings or {}), **more}
        gate, began, jumps = self.gate, self.clock(), self.clock_jumps
        before = {key: each.state for key, each in self.instances.items()}
        live = {key for key, each in self.instances.items() if each.live}
        marks = len(self.aws.calls), len(gate.recorded), len(gate.fired), len(gate.lists)
        wrote = Invocation()
        error: BaseException | None = None
        try:
            environment = self.environment(**variables)
            invoke(lambda_handler, environment, event, timeout=timeout, into=wrote)
        except BackendError as caught:
            error = caught
        self._let_late_reports_arrive()
        calls = list(self.aws.calls)[marks[0] :]
        run = Run(
            variables,
            wrote,
            error,
            calls,
            merged(gate.lists[marks[3] :]),
            gate.recorded[marks[1] :],
            frozenset(live - {key for key, each in self.instances.items() if each.live}),
            before,
            self.clock() - began,
            gate.fired[marks[2] :],
            self.table_is_busy
            or any(_is_broken(call) for call in calls)
            or any("table not usable" in line["message"] for line in wrote.lines),
            self.clock_jumps > jumps,
        )
        self.runs.append(run)
        return run

    def _let_late_reports_arrive(self) -> None:
        """Those that the run waited for no longer are its own, not the next one's or nobody's."""
        until = time.monotonic() + 1  # a run within another has the other's reports under way
        while self.gate.under_way and time.monotonic() < until:
            time.sleep(0.005)

    def remember(self, run: Run) -> None:
        """What the environment of this run has seen in lists."""
        self.remembered.update(*run.lists.values())

    def run_in_another_environment(self, settings: Mapping[str, str]) -> Run:
        """A run as another execution environment of the function makes it: nothing is shared."""
        another = f"environment-{next(self.environments)}"
        return self.run(settings, AWS_SESSION_TOKEN=another)

    def expire_claims(self) -> None:
        """Let a report that a dead run had begun be anybody's again."""
        for item in self.aws.tables[TABLE].items.values():
            if item.get("status", {}).get("S") == "INPROGRESS":
                item["in_progress_expiration"] = {"N": "1"}

    def all_works(self) -> None:
        """Nothing fails any more."""
        self.aws.faults.clear()
        self.aws.quirks.disrupted_zones.clear()
        self.aws.tables[TABLE].conflict_anywhere(0)
        self.gate.script.clear()
        self.table_is_busy = False

    def calm(self, runs: int = 4, settings: Mapping[str, str] | None = None) -> Iterator[Run]:
        """Nothing fails any more: a run after each pause."""
        self.all_works()
        for _ in range(runs):
            self.clock.advance(PAUSE)
            yield self.run(settings)


def _is_broken(call: Call) -> bool:
    """Whether the idempotency table was asked, but for the memory of first sight, and did not say."""
    if call.operation not in LEDGER_CALLS or call.outcome in LEDGER_WORKS:
        return False
    key = call.parameters.get("Item", call.parameters.get("Key", {})).get("id", {})
    return bool(key != {"S": "first-seen"})
