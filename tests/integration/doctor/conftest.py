"""A healthy stack for each test, and what examines it on other parts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend.client import OperatorClient
from backend.server import run_backend
from local.stack import MANAGED, new_agent
from tests.integration.certificates import Authority
from tests.integration.doctor.clinic import Clinic, Told
from tests.integration.scripted import LIST, Exchange, ScriptedBackend
from tools.ec2_emulator import Emulator

_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Backend:
    """The reference backend over TLS, by a private authority."""

    url: str
    operator: OperatorClient
    bundle: Path


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    folder = tmp_path_factory.mktemp("ca")
    authority = Authority(folder)
    authority.server("127.0.0.1")
    certificate = str(folder / "127.0.0.1.pem")
    with (
        run_backend("sqlite:///:memory:", certfile=certificate) as url,
        OperatorClient(url, verify=str(authority.bundle)) as operator,
    ):
        yield Backend(url, operator, authority.bundle)


@pytest.fixture
def bare(moto_url: str, backend: Backend) -> Clinic:
    """A stack without a schedule and without runs."""
    stack = new_agent(moto_url, backend.url, backend.operator)
    number = next(_NUMBERS)
    name = f"doctor-{number}"
    return Clinic(stack, backend.bundle, name, f"{name}/{name}-termination", {stack.client.token})


@pytest.fixture
def clinic(bare: Clinic) -> Clinic:
    """A healthy stack: a zombie waits, the schedule is enabled, the last run was a minute ago."""
    bare.zombie()
    bare.make_schedule()
    bare.count_run(minutes_ago=1)
    return bare


@pytest.fixture
def odd(clinic: Clinic, scripted: ScriptedBackend) -> Callable[..., Told]:
    """Examines the function on the scripted backend, which lists the healthy stack's zombie."""
    clinic.give(scripted.token)

    def examine(fault: Callable[[Exchange], None] | None = None, *, timeout: float = 55.0) -> Told:
        if fault is not None:
            scripted.always_meets(LIST, fault)
        return clinic.examine(SERVER_URL=scripted.url, timeout=timeout)

    return examine


@pytest.fixture
def emulated(clinic: Clinic, aws: Emulator) -> Callable[..., Told]:
    """Examines the function on the emulator's EC2, on which the zombie is."""
    one = aws.fleet.launch(tags=MANAGED)
    clinic.stack.operator.add_zombies(clinic.stack.agent_id, [one], age_seconds=400)
    aws.policy.encoded_messages = True

    def examine(sts: str | None = None) -> Told:
        told = clinic.examine(AWS_ENDPOINT_URL_EC2=aws.url, AWS_ENDPOINT_URL_STS=sts)
        assert aws.fleet.instances[one].state == "running"
        return told

    return examine
