"""Fixtures: the emulated account, the reference backend with a wiretap, a scripted backend, moto."""

from __future__ import annotations

import contextlib
import functools
import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.loaders
import botocore.session
import pytest
import requests

from backend.app import create_app
from backend.client import Credentials, OperatorClient
from backend.context import Settings
from backend.database import create_schema, open_engine
from backend.quirks import Quirks
from backend.server import serve
from handler.backend import api
from local.stack import Stack, create_table, run_aws
from tests.integration.house import House
from tests.integration.night import AGENT, STACK, Night, make_schedule
from tests.integration.owner import Owner
from tests.integration.scripted import ScriptedBackend
from tests.integration.wiretap import Tapped, Wiretap
from tests.integration.world import MANAGED, PARAMETER, TABLE, Account, World
from tests.reliability.fake_time import FakeTime
from tests.support.backend import Clock
from tools.ec2_emulator import Emulator
from tools.ec2_emulator.clock import ManualClock

TOKEN = "scripted-token-9f3c"
_SEEDS = itertools.count()


@pytest.fixture(scope="session", autouse=True)
def _models_are_read_once() -> Iterator[None]:
    """Every run under new settings builds boto3's clients anew; they may share what they parse."""
    shared: dict[str | None, botocore.loaders.Loader] = {}
    real = botocore.loaders.create_loader

    def create(search_path_string: str | None = None) -> botocore.loaders.Loader:
        if search_path_string not in shared:
            shared[search_path_string] = real(search_path_string)
        return shared[search_path_string]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", create)
        yield


@pytest.fixture(autouse=True)
def _pauses_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses before a call is tried again; those that the backend asks for stay as they are."""
    real = api._back_off
    monkeypatch.setattr(api, "_back_off", lambda tries: real(tries) / 20)
    hurry = SimpleNamespace(sleep=lambda seconds: time.sleep(seconds / 50))
    for caller in ("botocore.endpoint", "handler.housekeeping", "handler.termination"):
        monkeypatch.setattr(f"{caller}.time", hurry)


@pytest.fixture
def lists_have_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """For runs of a few seconds, which give up soon what is never answered: a fifth of that is too
    little for the list on a busy machine, where lists are not the point."""
    monkeypatch.setattr("handler.deadline.LISTING_SHARE", 0.6)


@pytest.fixture(autouse=True)
def _nobody_is_left() -> Iterator[None]:
    """What a run does not wait for any more goes on in its thread: not into the next test."""
    yield
    for thread in threading.enumerate():
        if thread.name.endswith(("(work)", "(_clerk)", "(_work)")):
            thread.join(15)


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture
def ec2_clock() -> ManualClock:
    """EC2's time: a whole second near the real one, which the idempotency table goes by."""
    return ManualClock(datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
def aws(emulator: Emulator, ec2_clock: ManualClock) -> Emulator:
    """An empty account with the idempotency table."""
    emulator.reset(clock=ec2_clock, seed=next(_SEEDS))  # so no test meets another one's ids
    emulator.tables.create(TABLE)
    return emulator


@dataclass(frozen=True)
class TappedBackend:
    """The reference backend on a socket, its operator, and who listens in."""

    url: str
    operator: OperatorClient
    wiretap: Wiretap


@contextlib.contextmanager
def run_tapped_backend() -> Iterator[TappedBackend]:
    engine = open_engine("sqlite:///:memory:")
    create_schema(engine)
    app = create_app(engine, Settings())
    wiretap = Wiretap()
    app.add_middleware(Tapped, wiretap=wiretap)
    with serve(app) as url, OperatorClient(url) as operator:
        yield TappedBackend(url, operator, wiretap)
    engine.dispose()


@pytest.fixture(scope="session")
def tapped_backend() -> Iterator[TappedBackend]:
    with run_tapped_backend() as backend:
        yield backend


def new_world(aws: Emulator, clock: ManualClock, backend: TappedBackend) -> World:
    """A new client with one agent, whose function runs in this account."""
    client = backend.operator.create_client("ours")
    world = World(
        aws,
        clock,
        backend.url,
        backend.operator.create_agent(client.client_id),
        operator=backend.operator,
        wiretap=backend.wiretap,
        client=client,
    )
    world.give(client.token)
    return world


@pytest.fixture
def world(aws: Emulator, ec2_clock: ManualClock, tapped_backend: TappedBackend) -> Iterator[World]:
    """An account whose function talks to the reference backend, which others have used before."""
    yield new_world(aws, ec2_clock, tapped_backend)
    tapped_backend.operator.set_quirks(Quirks())
    tapped_backend.wiretap.reset()


@pytest.fixture
def house(world: World) -> House:
    """The world as housekeeping sees it; its role may delete what bears the product's tags."""
    world.aws.policy.required_tags = MANAGED
    return House(world)


@pytest.fixture
def lonely_world(aws: Emulator, ec2_clock: ManualClock) -> Iterator[World]:
    """The same with a backend of its own, for tests that see other clients' rows."""
    with run_tapped_backend() as backend:
        yield new_world(aws, ec2_clock, backend)


@pytest.fixture
def owner(aws: Emulator, ec2_clock: ManualClock, backend: OperatorClient, clock: Clock) -> Owner:
    """An owner of three agents on the original backend, on both databases in turn."""
    return Owner.of(Account(aws, ec2_clock, backend.base_url, ""), backend, clock)


@pytest.fixture
def scripted() -> Iterator[ScriptedBackend]:
    """A backend that does what a test says."""
    with ScriptedBackend(TOKEN) as server:
        yield server


@pytest.fixture
def account(aws: Emulator, ec2_clock: ManualClock, scripted: ScriptedBackend) -> Account:
    """An account whose function talks to the scripted backend."""
    account = Account(aws, ec2_clock, scripted.url, "agent-1")
    account.give(TOKEN)
    return account


@pytest.fixture(scope="session")
def moto_server() -> Iterator[str]:
    """Moto's server for a whole session. Who uses moto without one empties it, too: it has one state."""
    with run_aws() as url:
        yield url


@pytest.fixture
def moto_url(moto_server: str) -> str:
    """Moto's server, with the idempotency table."""
    create_table(Stack(moto_server, "", OperatorClient(""), Credentials("", ""), ""))
    return moto_server


@pytest.fixture
def night(
    request: pytest.FixtureRequest, emulator: Emulator, moto_url: str, tmp_path: Path
) -> Iterator[Night]:
    """A healthy stack whose minute 0 lies so far back that the night ends about now."""
    minutes = getattr(request, "param", 1)
    clock = FakeTime()
    clock.advance(time.time() - 60 * minutes - clock())
    emulator.reset(clock=clock, seed=len(request.node.name))
    emulator.tables.create(STACK.environment()["IDEMPOTENCY_TABLE"])
    engine = open_engine("sqlite:///:memory:")
    create_schema(engine)

    @functools.cache
    def moto(service: str) -> Any:
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        return boto3.client(  # type: ignore[call-overload] # the name is not a literal
            service, region_name="us-east-1", endpoint_url=moto_url, **keys
        )

    with (
        clock.installed(),
        serve(create_app(engine, Settings(now=clock.aware))) as url,
        OperatorClient(url) as operator,
    ):
        client = operator.create_client("ours")
        operator.create_agent(client.client_id, agent_id=AGENT)
        emulator.parameters[PARAMETER] = client.token
        make_schedule(moto("scheduler"))
        night = Night(emulator, clock, moto, moto_url, url, operator, tmp_path)
        night.secret = (client.client_id, client.token)
        yield night
    engine.dispose()
    requests.post(f"{moto_url}/moto-api/reset", timeout=30)
