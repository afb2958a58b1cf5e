"""What the doctor examines, without AWS and without a backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from handler.doctor.dependencies import Dependencies
from handler.settings import Settings
from handler.wiring import Environment
from tests.fakes.build import limits, policy
from tests.fakes.clock import FakeClock
from tests.fakes.fleet import FakeFleet
from tests.fakes.outside import FakeFirstSeen

VARIABLES = {
    "AWS_REGION": "us-east-1",
    "AGENT_ID": "agent-1",
    "SERVER_URL": "https://backend.example",
    "CLIENT_TOKEN_PARAMETER": "/token",
    "IDEMPOTENCY_TABLE": "reports",
    "SCHEDULE_NAME": "group/name",
}


class Service:
    """A client of an AWS service: every operation is answered, or fails, as told."""

    def __init__(self, **answers: object) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Callable[..., object]:
        def call(**given: object) -> object:
            self.asked.append((operation, given))
            answer = self.answers.get(operation, {})
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


@dataclass
class FakeEnvironment:
    """As `handler.wiring.Environment`, to the doctor."""

    settings: Settings
    machines: Any = field(default_factory=FakeFleet)
    services: dict[str, Service] = field(default_factory=dict)
    first_seen: FakeFirstSeen = field(default_factory=FakeFirstSeen)

    @property
    def dynamodb(self) -> Service:
        return self.client("dynamodb")

    def machines_within(self, **_: object) -> Any:
        return self.machines

    def client(self, service: str, **_: object) -> Service:
        return self.services.setdefault(service, Service())


def dependencies(
    *, machines: object = None, clock: FakeClock | None = None, **variables: str
) -> Dependencies:
    """All good, as far as the settings say."""
    environment = FakeEnvironment(Settings.read(VARIABLES | variables, {}))
    if machines is not None:
        environment.machines = machines
    clock = clock or FakeClock()
    return Dependencies(
        cast("Environment", environment),
        environment.settings,
        "function",
        "group/name",
        clock.deadline(),
        clock,
        clock.sleep,
        lambda _: policy(),
        lambda settings: limits(max_fleet_percent=settings.max_fleet_percent),
    )
