"""The original guide's three acceptance scenarios: moto's EC2, SSM and DynamoDB, both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from backend.client import OperatorClient
from backend.server import run_backend
from handler.termination import lambda_handler
from local.invoke import Invocation, invoke
from local.stack import TABLE, Stack, new_agent
from tests.integration.checks import adds_up, counts, says_nothing_of
from tests.integration.world import WIRE_TIME, only


@dataclass
class Scene:
    """One agent with a primary and a replica that is ready."""

    stack: Stack
    primary: str
    replica: str

    def run(self) -> Invocation:
        """The agent's next run."""
        done = invoke(lambda_handler, self.stack.environment())
        adds_up(done)
        says_nothing_of({self.stack.client.token}, done)
        return done

    def listed(self) -> dict[str, Any]:
        answer = requests.get(
            f"{self.stack.backend_url}/api/agents/{self.stack.agent_id}/instances-to-terminate",
            headers={"Authorization": f"Bearer {self.stack.client.token}"},
            timeout=10,
        )
        read: dict[str, Any] = answer.json()
        return read

    def replica_row(self) -> dict[str, Any]:
        (row,) = self.stack.operator.replicas(self.stack.agent_id)
        return row

    def instance_row(self, instance_id: str) -> dict[str, Any]:
        rows = self.stack.operator.instances(self.stack.agent_id)
        (row,) = [row for row in rows if row["id"] == instance_id]
        return row

    def events(self) -> list[tuple[str, str]]:
        found = self.stack.operator.events(self.stack.agent_id)
        return [(event["event_type"], event["instance_id"]) for event in found]

    def states(self) -> tuple[str, str]:
        return self.stack.state(self.primary), self.stack.state(self.replica)


@pytest.fixture
def scene(moto_url: str, database_url: str) -> Iterator[Scene]:
    with run_backend(database_url) as backend_url, OperatorClient(backend_url) as operator:
        stack = new_agent(moto_url, backend_url, operator)
        (primary,), (replica,) = stack.launch("a"), stack.launch("b")
        operator.register_primary(stack.agent_id, primary, az="us-east-1a")
        operator.enable_manual_replica(stack.agent_id, replica, az="us-east-1b")
        operator.replica_ready(stack.agent_id, replica)
        yield Scene(stack, primary, replica)


def test_scenario_1_a_replica_that_is_switched_off_ends_within_one_run(scene: Scene) -> None:
    stack = scene.stack
    assert counts(scene.run().returned) == {}, "a ready replica is nobody's to terminate"

    assert stack.operator.disable_manual_replica(stack.agent_id) == 1
    done = scene.run()

    assert scene.states() == ("running", "terminated")
    assert counts(done.returned) == {"listed": 1, "terminated": 1}
    line = done.outcome(scene.replica)
    assert line["reason"] == "replica_terminated"
    assert line["outcome"] == "terminated"
    assert line["previous_state"] == "running"
    assert line["current_state"] in {"shutting-down", "terminated"}
    assert line["ec2_request_id"]
    assert line["agent_id"] == stack.agent_id
    assert only(done.metrics, "InstancesTerminated") == 1
    assert 0 <= only(done.metrics, "TimeToTerminate") < 60
    row = scene.replica_row()
    assert row["instance_status"] == row["status"] == "terminated"
    assert row["termination_confirmed"] is True
    assert row["terminated_at"] is not None
    assert scene.events() == [("instance_terminated", scene.replica)]
    (event,) = stack.operator.events(stack.agent_id)
    assert WIRE_TIME.fullmatch(event["details"]["terminated_at"])

    stack.operator.age(stack.agent_id, 600)
    assert scene.listed()["instances"] == []
    assert counts(scene.run().returned) == {}
    assert scene.events() == [("instance_terminated", scene.replica)], "reported once"


def test_scenario_2_an_old_primary_ends_once_its_wait_is_over(scene: Scene) -> None:
    stack = scene.stack
    assert stack.operator.promote_replica(stack.agent_id, scene.replica) == [scene.primary]
    assert scene.instance_row(scene.primary)["instance_status"] == "zombie"

    stack.operator.age(stack.agent_id, 290)
    assert counts(scene.run().returned) == {}
    assert scene.states() == ("running", "running"), "terminate_wait_seconds is 300"
    assert scene.events() == []

    stack.operator.age(stack.agent_id, 11)
    done = scene.run()

    assert scene.states() == ("terminated", "running")
    assert counts(done.returned) == {"listed": 1, "terminated": 1}
    assert done.outcome(scene.primary)["reason"] == "zombie_timeout"
    assert 301 <= only(done.metrics, "TimeToTerminate") < 400
    assert 301 <= only(done.metrics, "OldestWait") < 400
    row = scene.instance_row(scene.primary)
    assert row["instance_status"] == "terminated"
    assert row["termination_confirmed"] is True
    assert row["termination_attempted_at"] is not None
    assert row["terminated_at"] is not None
    new_primary = scene.instance_row(scene.replica)
    assert new_primary["instance_status"] == "primary"
    assert new_primary["termination_attempted_at"] is None
    assert scene.events() == [("instance_terminated", scene.primary)]

    stack.operator.age(stack.agent_id, 600)
    assert counts(scene.run().returned) == {}
    assert scene.events() == [("instance_terminated", scene.primary)], "reported once"


def test_scenario_3_with_auto_terminate_off_nothing_is_listed_and_nothing_ends(
    scene: Scene,
) -> None:
    stack = scene.stack
    stack.operator.set_auto_terminate(stack.agent_id, enabled=False)
    stack.operator.promote_replica(stack.agent_id, scene.replica)
    stack.operator.age(stack.agent_id, 6_000)

    assert scene.listed()["instances"] == []
    done = scene.run()

    assert scene.states() == ("running", "running")
    assert counts(done.returned) == {}
    assert done.returned["auto_terminate_enabled"] is False
    assert done.emf == []
    assert scene.instance_row(scene.primary)["instance_status"] == "zombie"
    assert scene.events() == []

    stack.operator.set_auto_terminate(stack.agent_id, enabled=True)
    assert counts(scene.run().returned) == {"listed": 1, "terminated": 1}, "it was only off"
    assert scene.states() == ("terminated", "running")


def test_the_ledger_has_one_completed_record_for_each_reported_success(scene: Scene) -> None:
    stack = scene.stack
    stack.operator.disable_manual_replica(stack.agent_id)
    scene.run()
    items = stack.aws("dynamodb").scan(TableName=TABLE)["Items"]
    ours = [item for item in items if scene.replica in str(item)]
    assert [item["status"]["S"] for item in ours] == ["COMPLETED"]
    assert all(item["expiration"]["N"] for item in ours)
