"""The world around the handler: EC2, SSM and DynamoDB as the emulator, and a backend."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from backend.client import Credentials, OperatorClient
from handler.backend.errors import BackendError
from handler.termination import lambda_handler
from local.invoke import TIMEOUT, Invocation, invoke
from tests.integration import checks
from tests.integration.wiretap import Wiretap
from tools.ec2_emulator import Emulator
from tools.ec2_emulator.clock import ManualClock

PARAMETER = "/spot-optimizer/client-token"
TABLE = "spot-cleanup-idempotency"
MANAGED = {"ManagedBy": "SpotOptimizer"}
PAUSE = 301
"""Seconds; a little more than a report hides an instance."""


@dataclass
class Account:
    """An AWS account with one function in it, and what the function is told.

    Attributes:
        aws: the emulator.
        clock: the emulator's time; stands still until it is advanced.
        server_url: the backend that the function calls.
        agent_id: the agent that it acts for.
        secrets: tokens that must not show up anywhere.
    """

    aws: Emulator
    clock: ManualClock
    server_url: str
    agent_id: str
    secrets: set[str] = field(default_factory=set)

    def give(self, token: str) -> None:
        """Put the token into SSM."""
        self.secrets.add(token)
        self.aws.parameters[PARAMETER] = token

    def environment(self, **more: str) -> dict[str, str]:
        return {
            **self.aws.environment,
            "AGENT_ID": self.agent_id,
            "SERVER_URL": self.server_url,
            "CLIENT_TOKEN_PARAMETER": PARAMETER,
            "IDEMPOTENCY_TABLE": TABLE,
            **more,
        }

    def launch(self, count: int = 1, **more: Any) -> list[str]:
        """Instances with the product's tags, unless told others."""
        return [self.aws.fleet.launch(**{"tags": MANAGED, **more}) for _ in range(count)]

    def state(self, instance_id: str) -> str:
        return self.aws.fleet.instances[instance_id].state

    def run(
        self,
        event: dict[str, Any] | None = None,
        /,
        *,
        timeout: float = TIMEOUT,
        **variables: str,
    ) -> Invocation:
        """One run that ends as it should; what must hold after every run is checked."""
        done = invoke(lambda_handler, self.environment(**variables), event, timeout=timeout)
        checks.adds_up(done)
        checks.says_nothing_of(self.secrets, done)
        return done

    def counts(self, *, timeout: float = TIMEOUT, **variables: str) -> dict[str, int]:
        """One run's counts that are not zero."""
        return checks.counts(self.run(timeout=timeout, **variables).returned)

    def fails(
        self, saying: str, *, timeout: float = TIMEOUT, **variables: str
    ) -> tuple[BaseException, Invocation]:
        """One run that fails with such an error, logged once, and does nothing to any instance."""
        written = Invocation()
        environment = self.environment(**variables)
        with pytest.raises(BackendError, match=saying) as caught:
            invoke(lambda_handler, environment, timeout=timeout, into=written)
        checks.hides(self.secrets, caught.value)
        checks.says_nothing_of(self.secrets, written)
        failures = [line for line in written.lines if line["level"] == "ERROR"]
        assert [line["message"] for line in failures] == [f"run failed: {caught.value}"]
        assert written.emf == []
        assert self.aws.calls.count("TerminateInstances") == 0
        return caught.value, written


@dataclass
class World(Account):
    """An account whose backend is the reference backend."""

    operator: OperatorClient = field(kw_only=True)
    wiretap: Wiretap = field(kw_only=True)
    client: Credentials = field(kw_only=True)

    def zombies(self, count: int = 1, *, age_seconds: float = 400, **launch: Any) -> list[str]:
        """Live instances that the backend has marked long enough ago."""
        ids = self.launch(count, **launch)
        self.mark(ids, age_seconds=age_seconds)
        return ids

    def mark(self, ids: list[str], *, age_seconds: float = 400, **more: Any) -> None:
        self.operator.add_zombies(self.agent_id, ids, age_seconds=age_seconds, **more)

    def row(self, instance_id: str) -> dict[str, Any]:
        (row,) = [r for r in self.operator.instances(self.agent_id) if r["id"] == instance_id]
        return row

    def events(self, instance_id: str) -> list[tuple[str, str | None]]:
        """What was reported about an instance, the oldest first: the event, and its error."""
        return [
            (event["event_type"], event["details"]["error"])
            for event in reversed(self.operator.events(self.agent_id))
            if event["instance_id"] == instance_id
        ]

    def reported_once(self, instance_id: str) -> bool:
        """Whether its success was reported exactly once, and nothing after it."""
        events = self.events(instance_id)
        return events.count(TERMINATED) == 1 and events[-1] == TERMINATED


TERMINATED = ("instance_terminated", None)


def failure(error: str) -> tuple[str, str]:
    """The event of a failed attempt."""
    return ("instance_termination_failed", error)


def on_the_wire(moment: datetime) -> str:
    """A time as the contract wants it: naive, UTC, whole seconds."""
    return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat()


WIRE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


@dataclass
class Stopwatch:
    """How long something took, by the clock that Lambda's limit goes by."""

    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


def only(mapping: Mapping[str, list[float]], name: str) -> float:
    """A metric that was sent with exactly one value."""
    (value,) = mapping[name]
    return value
