"""The embedded stack: AWS as moto's server, the reference backend, one agent, its machines."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import boto3
from moto.server import ThreadedMotoServer

from backend.client import Credentials, OperatorClient
from backend.context import Settings
from backend.server import run_backend
from local import moto_gaps
from local.state import StackError

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

REGION = "us-east-1"
TABLE = "spot-cleanup-idempotency"
PARAMETER = "/spot-optimizer/client-token"
MANAGED = {"ManagedBy": "SpotOptimizer"}
IMAGE = "ami-12c6146b"
"""Instances can be launched of it all the same: moto does not ask what it is."""
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_SESSION_TOKEN": "local",
}


@dataclass
class Stack:
    """A running stack, and what an operator does with it."""

    aws_url: str
    backend_url: str
    operator: OperatorClient
    client: Credentials
    agent_id: str
    region: str = REGION
    image: str = IMAGE

    @cached_property
    def ec2(self) -> EC2Client:
        """EC2 as the operator sees it."""
        client: EC2Client = self.aws("ec2")
        return client

    def aws(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes the class at run time
        """A client of any AWS service of the stack."""
        return _client(service, self.region, self.aws_url)

    def environment(self, **more: str) -> dict[str, str]:
        """The function's environment (contract section 2)."""
        return {
            **CREDENTIALS,
            "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL": self.aws_url,
            "AGENT_ID": self.agent_id,
            "SERVER_URL": self.backend_url,
            "CLIENT_TOKEN_PARAMETER": PARAMETER,
            "IDEMPOTENCY_TABLE": TABLE,
            **more,
        }

    def launch(
        self, zone: str = "a", *, count: int = 1, tags: dict[str, str] | None = None
    ) -> list[str]:
        """Launch instances in a zone of the region, with the product's tags unless told others."""
        bears = MANAGED if tags is None else tags
        specification: Any = (
            [
                {
                    "ResourceType": "instance",
                    "Tags": [{"Key": k, "Value": v} for k, v in bears.items()],
                }
            ]
            if bears
            else []
        )
        answer = self.ec2.run_instances(
            ImageId=self.image,
            InstanceType="c5.large",
            MinCount=count,
            MaxCount=count,
            Placement={"AvailabilityZone": f"{self.region}{zone}"},
            TagSpecifications=specification,
        )
        return [instance["InstanceId"] for instance in answer["Instances"]]

    def state(self, instance_id: str) -> str:
        """The state that EC2 shows."""
        answer = self.ec2.describe_instances(InstanceIds=[instance_id])
        return answer["Reservations"][0]["Instances"][0]["State"]["Name"]

    def set_token(self, token: str) -> None:
        """Put the client token into SSM."""
        self.aws("ssm").put_parameter(
            Name=PARAMETER, Value=token, Type="SecureString", Overwrite=True
        )


@cache
def _client(service: str, region: str, url: str) -> Any:  # noqa: ANN401 - as above
    return boto3.client(
        service,  # type: ignore[call-overload] # the name is not a literal
        region_name=region,
        endpoint_url=url,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - moto takes any
    )


@contextmanager
def run_aws(port: int = 0) -> Iterator[str]:
    """Moto's server while the block runs; yields its URL.

    Raises:
        StackError: the port is taken.
    """
    if port:
        _must_be_free(port)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto_gaps.fill()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    with patch.dict("os.environ", CREDENTIALS):
        server.start()
    try:
        host, bound = server.get_host_and_port()
        yield f"http://{host}:{bound}"
    finally:
        server.stop()


def _must_be_free(port: int) -> None:
    """Moto's server waits for ever for a port that another one has."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise StackError(f"port {port} cannot be used: {error.strerror}") from None


@contextmanager
def run_stack(
    database_url: str = "sqlite:///:memory:",
    settings: Settings | None = None,
    *,
    aws_port: int = 0,
    backend_port: int = 0,
    agent_id: str | None = None,
) -> Iterator[Stack]:
    """The whole stack while the block runs: a client with one agent, its token in SSM, the table.

    Raises:
        StackError: a port is taken.
    """
    if backend_port:
        _must_be_free(backend_port)
    with (
        run_aws(aws_port) as aws_url,
        run_backend(database_url, settings, port=backend_port) as backend_url,
        OperatorClient(backend_url) as operator,
    ):
        stack = new_agent(aws_url, backend_url, operator, agent_id)
        create_table(stack)
        yield stack


def new_agent(
    aws_url: str, backend_url: str, operator: OperatorClient, agent_id: str | None = None
) -> Stack:
    """A client of the backend with one agent, and its token in SSM."""
    client = operator.create_client("demo")
    agent_id = operator.create_agent(client.client_id, REGION, agent_id=agent_id)
    stack = Stack(aws_url, backend_url, operator, client, agent_id)
    stack.set_token(client.token)
    return stack


def create_table(stack: Stack) -> None:
    """The idempotency table, as the template makes it; moto's servers of one process share it."""
    dynamodb = stack.aws("dynamodb")
    if TABLE in dynamodb.list_tables()["TableNames"]:
        return
    dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
