"""The whole system in one process, under one clock: the real handler between two servers.

EC2 and its neighbours are the emulator, the backend is the reference backend on SQLite, both on
real sockets; the handler runs with its real SDK, HTTP client and Powertools. A run over a small
fleet takes some 30 ms, since AWS clients and connections are kept from one run to the next.
"""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from sqlalchemy import Engine, delete, insert, select, update

from backend.app import create_app
from backend.client import OperatorClient
from backend.context import Settings
from backend.database import create_schema, open_engine
from backend.quirks import Quirks
from backend.server import serve
from backend.tables import agents, instances, replica_instances, system_events
from handler import wiring
from handler.backend.errors import BackendError
from handler.termination import lambda_handler
from local.invoke import Invocation, invoke
from tests.reliability.fake_time import FakeTime
from tests.reliability.gate import Gate, Gated, Recorded
from tools.ec2_emulator import Emulator
from tools.ec2_emulator.calls import OK, Call
from tools.ec2_emulator.instance import Instance

PARAMETER = "/spot-optimizer/client-token"
TABLE = "spot-cleanup-idempotency"
MANAGED = {"ManagedBy": "SpotOptimizer"}
PAUSE = 301
"""Seconds; a little more than a report hides an instance."""
LAMBDA_SECONDS = 55.0
WINDOW = 3600
AGENT, OTHER_AGENT = "agent-ours", "agent-theirs"
LEDGER_CALLS = frozenset({"PutItem", "UpdateItem", "TransactWriteItems", "DeleteItem", "GetItem"})
LEDGER_WORKS = frozenset({OK, "ConditionalCheckFailedException", "TransactionCanceledException"})
SPOILED = frozenset(
    {
        "dropped",
        "cut",
        "truncated",
        "InternalError",
        "InternalServerError",
        "Unavailable",
        "ExpiredToken",
        "RequestLimitExceeded",
        "ThrottlingException",
        "AccessDeniedException",
    }
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
        recorded: the reports that the backend recorded meanwhile.
        ended: instances that were live before it and are not any more.
        live_before: what was live when it began.
        took: seconds, by the clock that Lambda's limit goes by.
        backend_faults: faults that its calls to the backend met.
    """

    variables: dict[str, str]
    wrote: Invocation
    error: BaseException | None
    calls: list[Call]
    recorded: list[Recorded]
    ended: frozenset[str]
    live_before: frozenset[str]
    took: float
    backend_faults: list[str]

    @property
    def counts(self) -> dict[str, int]:
        """What is not zero in its answer."""
        returned = self.wrote.returned
        return {
            key: int(value)
            for key, value in returned.items()
            if value and key not in {"auto_terminate_enabled", "dry_run"}
        }

    @property
    def ledger_broken(self) -> bool:
        """Whether any of its calls to the idempotency table did not get the table's own answer."""
        return any(
            call.operation in LEDGER_CALLS and call.outcome not in LEDGER_WORKS
            for call in self.calls
        )

    @property
    def met_a_fault(self) -> bool:
        """Whether any of its calls was spoiled, to AWS or to the backend."""
        return bool(self.backend_faults) or any(call.outcome in SPOILED for call in self.calls)

    def asked(self, operation: str) -> list[Call]:
        """Its calls of one operation."""
        return [call for call in self.calls if call.operation == operation]

    def acknowledged(self, *, success: bool) -> list[str]:
        """Ids in the reports whose acknowledgement went back whole."""
        return [r.instance_id for r in self.recorded if r.success is success and r.acknowledged]


@dataclass
class World:
    """One account, one agent, one backend."""

    aws: Emulator
    clock: FakeTime
    gate: Gate
    engine: Engine
    operator: OperatorClient
    url: str
    client_id: str
    other_client_id: str
    token: str
    runs: list[Run] = field(default_factory=list)
    environments: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    # The account.

    def launch(self, **more: Any) -> str:
        """An instance with the product's tags, running for an hour, unless told otherwise."""
        given = {"tags": MANAGED, "launch_time": self.clock() - 3600, **more}
        return self.aws.fleet.launch(**given)

    def state(self, instance_id: str) -> str | None:
        """What is true of an instance."""
        with self.aws.fleet.lock:
            self.aws.fleet.settle()
            instance = self.aws.fleet.get(instance_id)
            return instance.state if instance else None

    @property
    def instances(self) -> dict[str, Instance]:
        return dict(self.aws.fleet.instances)

    def environment(self, **more: str) -> dict[str, str]:
        return {
            **self.aws.environment,
            "AGENT_ID": AGENT,
            "SERVER_URL": self.url,
            "CLIENT_TOKEN_PARAMETER": PARAMETER,
            "IDEMPOTENCY_TABLE": TABLE,
            "IDEMPOTENCY_WINDOW_SECONDS": str(WINDOW),
            **more,
        }

    # The backend.

    def _moment(self, age: float) -> datetime:
        now = datetime.fromtimestamp(self.clock(), UTC) - timedelta(seconds=age)
        return now.replace(tzinfo=None)

    def mark_zombies(
        self, *ids: str, age: float = 400, zone: str | None = None, theirs: bool = False
    ) -> None:
        """Rows of old primaries that have waited for so long."""
        marked = self._moment(age)
        row = {
            "client_id": self.other_client_id if theirs else self.client_id,
            "agent_id": OTHER_AGENT if theirs else AGENT,
            "region": self.aws.region,
            "az": zone,
            "instance_type": "c5.large",
            "instance_status": "zombie",
            "is_active": False,
            "marked_at": marked,
            "created_at": marked,
            "updated_at": marked,
        }
        with self.engine.begin() as connection:
            connection.execute(insert(instances), [{**row, "id": each} for each in ids])

    def mark_replicas(self, *ids: str, age: float = 5, zone: str | None = None) -> None:
        """Rows of the agent's replicas that are no longer wanted."""
        marked = self._moment(age)
        row = {
            "agent_id": AGENT,
            "az": zone,
            "instance_type": "c5.large",
            "status": "terminated",
            "marked_at": marked,
            "created_at": marked,
            "updated_at": marked,
        }
        with self.engine.begin() as connection:
            connection.execute(
                insert(replica_instances), [{**row, "instance_id": each} for each in ids]
            )

    def confirmed(self) -> set[str]:
        """Ids whose row says that they were terminated, and that this was confirmed."""
        found: set[str] = set()
        with self.engine.begin() as connection:
            for table, key in ((instances, "id"), (replica_instances, "instance_id")):
                query = select(table.c[key]).where(table.c.termination_confirmed.is_(True))
                found |= set(connection.scalars(query))
        return found

    def successes(self, instance_id: str) -> int:
        """How many successes the backend's own events tell of."""
        query = select(system_events.c.id).where(
            system_events.c.event_type == "instance_terminated",
            system_events.c.instance_id == instance_id,
        )
        with self.engine.begin() as connection:
            return len(connection.execute(query).all())

    def set_quirks(self, **quirks: Any) -> None:
        self.operator.set_quirks(Quirks(**quirks))

    def set_auto_terminate(self, *, enabled: bool) -> None:
        with self.engine.begin() as connection:
            connection.execute(
                update(agents).where(agents.c.id == AGENT).values(auto_terminate_enabled=enabled)
            )

    # Runs.

    def cold_start(self) -> None:
        """The execution environment is gone, and what it remembered with it."""
        wiring._environment.cache_clear()

    def run(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        timeout: float = LAMBDA_SECONDS,
        **more: str,
    ) -> Run:
        """One run; an error other than a backend that is not to be had comes through."""
        variables = {**(settings or {}), **more}
        before = {key for key, each in self.instances.items() if each.live}
        calls, recorded, fired = len(self.aws.calls), len(self.gate.recorded), len(self.gate.fired)
        began = self.clock()
        wrote = Invocation()
        error: BaseException | None = None
        try:
            invoke(lambda_handler, self.environment(**variables), timeout=timeout, into=wrote)
        except BackendError as caught:
            error = caught
        live = {key for key, each in self.instances.items() if each.live}
        run = Run(
            variables,
            wrote,
            error,
            list(self.aws.calls)[calls:],
            self.gate.recorded[recorded:],
            frozenset(before - live),
            frozenset(before),
            self.clock() - began,
            self.gate.fired[fired:],
        )
        self.runs.append(run)
        return run

    def run_in_another_environment(self, settings: Mapping[str, str]) -> Run:
        """A run as another execution environment of the function makes it: nothing is shared."""
        another = f"environment-{next(self.environments)}"
        return self.run(settings, AWS_SESSION_TOKEN=another)

    def expire_claims(self) -> None:
        """Let the time pass after which a report that a dead run had begun is anybody's again."""
        for item in self.aws.tables[TABLE].items.values():
            if item["status"]["S"] == "INPROGRESS":
                item["in_progress_expiration"] = {"N": "1"}

    def calm(self, runs: int = 4, **variables: str) -> list[Run]:
        """Nothing fails any more: a run after each pause."""
        self.aws.faults.clear()
        self.gate.script.clear()
        done = []
        for _ in range(runs):
            self.clock.advance(PAUSE)
            done.append(self.run(variables))
        return done


@dataclass
class Harness:
    """The servers, and a new world on them as often as it is asked for."""

    world: World
    seeds: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def new(self) -> World:
        """A new account and empty tables; clients and connections stay."""
        old = self.world
        clock = old.clock
        clock.watchers.clear()
        clock.advance(10 * 86_400)  # what an earlier world left in a cache has expired
        old.aws.reset(clock=clock, seed=next(self.seeds))
        old.aws.tables.create(TABLE)
        old.aws.parameters[PARAMETER] = old.token
        old.gate.clear()
        with old.engine.begin() as connection:
            for table in (instances, replica_instances, system_events):
                connection.execute(delete(table))
            connection.execute(update(agents).values(auto_terminate_enabled=True))
        if old.operator.quirks() != Quirks():
            old.operator.set_quirks(Quirks())
        old.cold_start()
        self.world = replace(old, runs=[], environments=itertools.count(1))
        return self.world


@contextmanager
def harness(clock: FakeTime | None = None) -> Iterator[Harness]:
    """Both servers under one clock while the block runs; one that is given is theirs alone."""
    given, clock = clock, clock or FakeTime()
    installed = clock.installed() if given is None else nullcontext()
    gate = Gate()
    engine = open_engine()
    create_schema(engine)
    app = create_app(engine, Settings(now=clock.aware))
    app.add_middleware(Gated, gate=gate)
    with (
        installed,
        _clients_are_kept(),
        Emulator(clock=clock) as aws,
        serve(app) as url,
        OperatorClient(url) as operator,
    ):
        # It would tell of answers cut short, in the middle of a run's own lines.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        ours, theirs = operator.create_client("ours"), operator.create_client("theirs")
        operator.create_agent(ours.client_id, agent_id=AGENT)
        operator.create_agent(theirs.client_id, agent_id=OTHER_AGENT)
        world = World(
            aws, clock, gate, engine, operator, url, ours.client_id, theirs.client_id, ours.token
        )
        gate.now, gate.wait = clock, clock.sleep
        gate.truth = world.state
        servers = Harness(world)
        yield servers
    engine.dispose()


@contextmanager
def _clients_are_kept() -> Iterator[None]:
    """A cold start forgets what it knew; making the SDK's clients anew would only take time."""
    make = wiring.Environment.client
    kept: dict[tuple[Any, ...], Any] = {}

    @functools.wraps(make)
    def client(self: wiring.Environment, service: str, **more: Any) -> Any:
        key = (self.settings.region, service, *sorted(more.items()))
        if key not in kept:
            kept[key] = make(self, service, **more)
        return kept[key]

    with patch.object(wiring.Environment, "client", client):
        yield
