"""The deployed function's own environment and a schedule's own event make a run that terminates."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backend.client import OperatorClient
from backend.server import run_backend
from handler.termination import lambda_handler
from local.invoke import invoke
from local.stack import CREDENTIALS, IMAGE, MANAGED
from tests.deploy.conftest import Deployed

pytestmark = pytest.mark.artifact

ENVIRONMENT = "eu-west-1"
"""The one with several agents."""


def events(of: Deployed) -> list[dict[str, Any]]:
    """What the stack's schedules send."""
    schedules = of.stack.of_type("AWS::Scheduler::Schedule").values()
    return [json.loads(schedule["Target"]["Input"]) for schedule in schedules]


def launch(of: Deployed, count: int) -> list[str]:
    tags = [{"Key": key, "Value": value} for key, value in MANAGED.items()]
    started = of.client("ec2").run_instances(
        ImageId=IMAGE,
        InstanceType="c5.large",
        MinCount=count,
        MaxCount=count,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )
    return [instance["InstanceId"] for instance in started["Instances"]]


def state(of: Deployed, instance_id: str) -> str:
    answer = of.client("ec2").describe_instances(InstanceIds=[instance_id])
    found: str = answer["Reservations"][0]["Instances"][0]["State"]["Name"]
    return found


def test_each_schedule_s_event_terminates_what_its_agent_is_told_to(
    deployed: dict[str, Deployed],
) -> None:
    of = deployed[ENVIRONMENT]
    with run_backend("sqlite:///:memory:") as backend, OperatorClient(backend) as operator:
        client = operator.create_client("ours")
        environment = {
            **of.environment,
            **CREDENTIALS,
            "AWS_REGION": of.stack.region,
            "AWS_ENDPOINT_URL": of.cloud.url,
            # The template takes https only; the reference backend is on loopback.
            "SERVER_URL": backend,
        }
        ran = set()
        for event in events(of):
            agent = event["agent_id"]
            operator.create_agent(client.client_id, of.stack.region, agent_id=agent)
            # The fleet's two: MaxFleetPercent of this environment is 50.
            doomed, _ = launch(of, 2)
            operator.add_zombies(agent, [doomed], az=f"{of.stack.region}a", age_seconds=400)
            of.client("ssm").put_parameter(
                Name=f"/spot-cleanup/{agent}/token", Value=client.token, Type="SecureString"
            )
            done = invoke(lambda_handler, environment, event)
            assert done.returned["terminated"] == 1
            assert state(of, doomed) == "terminated"
            assert {line["agent_id"] for line in done.lines if "outcome" in line} == {agent}
            assert {blob["agent_id"] for blob in done.emf} == {agent}
            ran.add(agent)
        table = of.physical("IdempotencyTable")
        rows = of.client("dynamodb").scan(TableName=table)["Count"]
    agents = of.stack.parameters
    assert ran == {agents["AgentId"], *agents["FurtherAgentIds"].split(",")}
    assert rows == len(ran) > 1
