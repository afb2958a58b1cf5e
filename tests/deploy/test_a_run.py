"""The deployed function's own environment and the schedule's own event make a run that terminates."""

from __future__ import annotations

import json

import pytest

from backend.client import OperatorClient
from backend.server import run_backend
from handler.termination import lambda_handler
from local.invoke import invoke
from local.stack import CREDENTIALS, IMAGE, MANAGED
from tests.deploy.conftest import Deployed
from tests.support.iam import Request, is_allowed
from tests.template.test_roles import item as named

pytestmark = pytest.mark.artifact

ENVIRONMENT = "us-east-1"


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


def test_the_schedule_s_event_terminates_what_the_agents_are_told_to(
    deployed: dict[str, Deployed],
) -> None:
    of = deployed[ENVIRONMENT]
    schedule = of.stack.one("AWS::Scheduler::Schedule")
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
        (agent,) = environment["AGENT_ID"].split(",")
        of.client("ssm").put_parameter(
            Name=environment["CLIENT_TOKEN_PARAMETER"].replace("{agent_id}", agent),
            Value=client.token,
            Type="SecureString",
        )
        operator.create_agent(client.client_id, of.stack.region, agent_id=agent)
        # The fleet's two, of which one goes.
        doomed, spared = launch(of, 2)
        operator.add_zombies(agent, [doomed], az=f"{of.stack.region}a", age_seconds=400)
        done = invoke(lambda_handler, environment, json.loads(schedule["Target"]["Input"]))
    assert done.returned["terminated"] == 1
    assert (state(of, doomed), state(of, spared)) == ("terminated", "running")
    table = of.physical("IdempotencyTable")
    items = of.client("dynamodb").scan(TableName=table)["Items"]
    assert items
    for item in items:
        # What the run wrote is what the role lets it write.
        request = Request(
            "dynamodb:PutItem", of.stack.arn("IdempotencyTable"), named(item["id"]["S"])
        )
        assert is_allowed(of.stack.policies("TerminationRole"), request)
