"""Both servers under one clock, and a new world on them as often as it is asked for."""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from unittest.mock import patch

from sqlalchemy import delete, update

from backend.app import create_app
from backend.client import OperatorClient
from backend.context import Settings
from backend.database import create_schema, open_engine
from backend.quirks import ALL_QUIRKS
from backend.server import serve
from backend.tables import agents, instances, replica_instances, system_events
from handler import wiring
from tests.reliability.agents import DEPOT, LOGICAL, MAIL, STRANGER, THEIRS
from tests.reliability.fake_time import FakeTime
from tests.reliability.gate import Gate, Gated
from tests.reliability.world import PARAMETER, TABLE, World
from tools.ec2_emulator import Emulator


@dataclass
class Harness:
    """The servers, and a new world on them as often as it is asked for."""

    world: World
    seeds: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def new(self) -> World:
        """A new account and empty tables, every quirk on; clients and connections stay."""
        old = self.world
        clock = old.clock
        clock.advance(10 * 86_400)  # what an earlier world left in a cache has expired
        old.aws.reset(clock=clock, seed=next(self.seeds))
        old.aws.tables.create(TABLE)
        old.aws.parameters[PARAMETER] = old.token
        old.gate.clear()
        known = (*LOGICAL, STRANGER, THEIRS)
        with old.engine.begin() as connection:
            for table in (instances, replica_instances, system_events):
                connection.execute(delete(table))
            connection.execute(delete(agents).where(agents.c.id.not_in(known)))
            usual = {"auto_terminate_enabled": agents.c.id != DEPOT, "terminate_wait_seconds": 300}
            connection.execute(update(agents).values(usual))
            longer = update(agents).where(agents.c.id == MAIL).values(terminate_wait_seconds=400)
            connection.execute(longer)
        if asdict(old.operator.quirks()) != asdict(ALL_QUIRKS):
            old.operator.set_quirks(ALL_QUIRKS)
        self.world = replace(
            old, runs=[], environments=itertools.count(1), remembered=set(), table_is_busy=False
        )
        self.world.cold_start()
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
        clients = {**dict.fromkeys([*LOGICAL, STRANGER], ours.client_id), THEIRS: theirs.client_id}
        for agent, client in clients.items():
            operator.create_agent(client, agent_id=agent)
        world = World(aws, clock, gate, engine, operator, url, clients, ours.token)
        gate.now, gate.wait, gate.truth = clock, clock.sleep, world.state
        yield Harness(world)
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
