"""The other sides of the wire, each in a process of its own: their cpu is not the client's."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.managers import BaseManager
from typing import Any, cast

from benchmarks.backend_server import BackendServer
from benchmarks.settings import (
    AGENT,
    BACKEND_SECONDS,
    DYNAMODB_SECONDS,
    EC2_SECONDS,
    PARAMETER,
    TABLE,
    TAGS,
    TOKEN,
    ZONES,
)
from tools.ec2_emulator import Emulator, ManualClock
from tools.ec2_emulator.router import OPERATIONS, Answer

LEDGER_CALLS = frozenset(OPERATIONS["dynamodb"])
"""Every operation of DynamoDB that the emulator knows."""


@dataclass(frozen=True)
class Span:
    """One call as the server saw it; seconds by a clock that all processes share."""

    service: str
    operation: str
    begin: float
    end: float


class _Timed(Emulator):
    """The emulator, which also notes when an answer was ready."""

    def __init__(self) -> None:
        self.answered: dict[str, tuple[float, float]] = {}
        super().__init__()

    def _respond(self, headers: Mapping[str, Any], body: bytes) -> Answer:
        begin = time.monotonic()
        answer = super()._respond(headers, body)
        self.answered[answer.request_id] = (begin, time.monotonic())
        return answer


class AwsServer:
    """The tests' emulator of AWS, with latencies, told what to do from another process."""

    def __init__(self) -> None:
        self._emulator = _Timed()
        self._rounds = 0

    def environment(self) -> dict[str, str]:
        """What takes a process to it."""
        return self._emulator.environment

    def reset(
        self, *, ec2: float = EC2_SECONDS, dynamodb: float = DYNAMODB_SECONDS, buckets: bool = False
    ) -> None:
        """A new account with an empty ledger, and the client token in SSM."""
        self._rounds += 1
        self._emulator.reset(seed=self._rounds)
        self._emulator.answered.clear()
        self._emulator.answer_in_life_size()
        self._emulator.tables.create(TABLE)
        self._emulator.parameters[PARAMETER] = TOKEN
        self._emulator.latency.update({"*": ec2, **dict.fromkeys(LEDGER_CALLS, dynamodb)})
        if buckets:
            self._emulator.buckets.enable("ec2")

    def launch(self, count: int) -> list[str]:
        """So many running instances that bear the product's tags, spread over the zones."""
        fleet = self._emulator.fleet
        return [fleet.launch(zone=ZONES[n % len(ZONES)], tags=TAGS) for n in range(count)]

    def fill_library(
        self, images: int, snapshots: int, going_images: int, going_snapshots: int
    ) -> int:
        """The tests' estate; how many may go: images, their snapshots, and other snapshots."""
        from tests.integration.house import Estate, House  # noqa: PLC0415 - only this needs pytest
        from tests.integration.world import Account  # noqa: PLC0415

        account = Account(self._emulator, ManualClock(), "", AGENT)
        # Building an estate asks an account only to launch; a world is one with a backend.
        house = House(cast("Any", account))
        estate = Estate(house, images, snapshots)
        estate.build(going_images, going_snapshots)
        return len(estate.goes)

    def removed(self) -> int:
        """Images deregistered and snapshots deleted."""
        library = self._emulator.library
        return len(library.deregistered) + len(library.deleted)

    def live(self) -> int:
        """How many instances are not terminated."""
        return len(self._emulator.fleet.live)

    def spans(self) -> list[Span]:
        """Every answered call since the reset, in order of arrival."""
        answered = self._emulator.answered
        return [
            Span(call.service, call.operation, *answered[call.request_id])
            for call in self._emulator.calls
            if call.request_id in answered
        ]

    def ledger_units(self) -> dict[str, int]:
        """DynamoDB's request units since the count began: items of at most 1 KB."""
        writes = reads = 0
        for call in self._emulator.calls:
            given = call.parameters
            match call.operation:
                case "PutItem" | "UpdateItem" | "DeleteItem":
                    writes += 1
                case "TransactWriteItems":  # a transaction costs each of its items twice
                    writes += 2 * len(given["TransactItems"])
                case "BatchWriteItem":
                    writes += sum(len(each) for each in given["RequestItems"].values())
                case "GetItem":
                    reads += 1
                case "BatchGetItem":
                    reads += sum(len(each["Keys"]) for each in given["RequestItems"].values())
        return {"writes": writes, "reads": reads}

    def forget_calls(self) -> None:
        """Count from zero."""
        self._emulator.calls.clear()
        self._emulator.answered.clear()


class _Manager(BaseManager):
    """Makes one of them in a process of its own, and hands out a proxy."""


_Manager.register("AwsServer", AwsServer)
_Manager.register("BackendServer", BackendServer)


@dataclass(frozen=True)
class Servers:
    """Both of them, and what the handler's environment must hold to meet them."""

    aws: AwsServer
    backend: BackendServer

    def environment(self, **more: str) -> dict[str, str]:
        """The handler's environment."""
        return {
            **self.aws.environment(),
            "AGENT_ID": AGENT,
            "SERVER_URL": self.backend.url(),
            "REQUESTS_CA_BUNDLE": self.backend.bundle(),
            "CLIENT_TOKEN_PARAMETER": PARAMETER,
            "IDEMPOTENCY_TABLE": TABLE,
            **more,
        }

    def reset(
        self,
        *,
        ec2: float = EC2_SECONDS,
        backend: float = BACKEND_SECONDS,
        dynamodb: float = DYNAMODB_SECONDS,
    ) -> None:
        """A new account and a backend that lists nothing, with these latencies in seconds."""
        self.aws.reset(ec2=ec2, dynamodb=dynamodb)
        self.backend.reset(latency=backend)

    def mark(self, count: int) -> list[str]:
        """Launch so many instances and list them; calls are counted from here."""
        ids = self.aws.launch(count)
        self.backend.mark(ids)
        self.aws.forget_calls()
        return ids


@contextmanager
def running() -> Iterator[Servers]:
    """Both servers until the end of the block."""
    spawned = multiprocessing.get_context("spawn")
    with ExitStack() as opened:
        aws = opened.enter_context(_Manager(ctx=spawned))
        backend = opened.enter_context(_Manager(ctx=spawned))
        # A manager's registered types are its attributes at run time only.
        yield Servers(
            cast("AwsServer", cast("Any", aws).AwsServer()),
            cast("BackendServer", cast("Any", backend).BackendServer()),
        )
