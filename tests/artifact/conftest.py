"""The built function beside a whole local stack, which it reaches over sockets only."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import requests

from local.stack import REGION, TABLE, Stack, run_aws, run_stack
from tests.support.artifact import artifact
from tests.support.lambda_runtime import LambdaRuntime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tests.support.built import Artifact

__all__ = ["artifact"]

AGENTS = ("agent-1", "agent-2")
"""The first one is the function's, and the one that the files in events/ name."""


@dataclass
class House:
    """A stack with the events' agents, and the function as deployed to it."""

    stack: Stack
    built: Artifact

    def function(self, env: Mapping[str, str] | None = None, *, timeout: int = 55) -> LambdaRuntime:
        environment = self.stack.environment(AGENT_ID=AGENTS[0], **(env or {}))
        return LambdaRuntime(env=environment, timeout=timeout, built=self.built)

    def zombies(self, count: int = 2) -> list[str]:
        """Listed for every agent of the client."""
        ids = self.stack.launch(count=count)
        self.stack.operator.add_zombies(AGENTS[0], ids, age_seconds=400)
        return ids

    def replica(self, agent: str) -> str:
        """One that is no longer wanted, listed for its own agent only."""
        operator = self.stack.operator
        primary, replica = self.stack.launch(count=2)
        operator.register_primary(agent, primary)
        operator.enable_manual_replica(agent, replica)
        operator.replica_ready(agent, replica)
        operator.disable_manual_replica(agent)
        return replica

    def expire_claims(self) -> None:
        """Let the time pass after which a report that a dead run had begun is anybody's again."""
        dynamodb = self.stack.aws("dynamodb")
        for item in dynamodb.scan(TableName=TABLE)["Items"]:
            if item.get("status", {}).get("S") == "INPROGRESS":
                item["in_progress_expiration"] = {"N": "1"}
                dynamodb.put_item(TableName=TABLE, Item=item)

    def states(self, ids: Iterable[str]) -> set[str]:
        return {self.stack.state(instance_id) for instance_id in ids}

    def reported(self, agent: str = AGENTS[0]) -> list[str]:
        """The ids that the backend's events tell as terminated, as often as they do."""
        return sorted(
            event["instance_id"]
            for event in self.stack.operator.events(agent)
            if event["event_type"] == "instance_terminated"
        )


@pytest.fixture
def build_house(artifact: Artifact) -> Iterator[Callable[[str], House]]:
    with ExitStack() as opened:

        def build(database_url: str) -> House:
            with run_aws() as url:  # moto keeps its state in the process, over all servers
                requests.post(f"{url}/moto-api/reset", timeout=10).raise_for_status()
            stack = opened.enter_context(run_stack(database_url))
            for agent in AGENTS:
                stack.operator.create_agent(stack.client.client_id, REGION, agent_id=agent)
            return House(stack, artifact)

        yield build


@pytest.fixture
def house(build_house: Callable[[str], House]) -> House:
    return build_house("sqlite:///:memory:")


@pytest.fixture
def house_on_each_database(build_house: Callable[[str], House], database_url: str) -> House:
    return build_house(database_url)
