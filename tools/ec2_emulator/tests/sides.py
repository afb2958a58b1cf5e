"""The two servers that the contract suite runs on, behind one small interface."""

import functools
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from tools.ec2_emulator import Emulator

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_cloudtrail import CloudTrailClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ssm import SSMClient

REGION = "us-east-1"
ONE_ATTEMPT = Config(retries={"total_max_attempts": 1})
_marks = itertools.count()


class Clients:
    """boto3's clients for a server; made once each, for making one costs more than most tests."""

    def __init__(self, url: str, config: Config = ONE_ATTEMPT) -> None:
        self._given: Any = {
            "endpoint_url": url,
            "config": config,
            "region_name": REGION,
            "aws_access_key_id": "testing",
            "aws_secret_access_key": "testing",
        }

    @functools.cached_property
    def ec2(self) -> "EC2Client":
        return boto3.client("ec2", **self._given)

    @functools.cached_property
    def ssm(self) -> "SSMClient":
        return boto3.client("ssm", **self._given)

    @functools.cached_property
    def dynamodb(self) -> "DynamoDBClient":
        return boto3.client("dynamodb", **self._given)

    @functools.cached_property
    def autoscaling(self) -> "AutoScalingClient":
        return boto3.client("autoscaling", **self._given)

    @functools.cached_property
    def cloudtrail(self) -> "CloudTrailClient":
        return boto3.client("cloudtrail", **self._given)


class Side(Protocol):
    """A server, and how instances, parameters and tables come to be on it."""

    clients: Clients

    def launch(
        self,
        zone: str = "us-east-1a",
        *,
        tags: Mapping[str, str] | None = None,
        protected: bool = False,
    ) -> str: ...
    def parameter(self, name: str, value: str) -> None: ...
    def table(self) -> str: ...


class EmulatorSide:
    """The emulator, arranged in process."""

    def __init__(self, emulator: Emulator, clients: Clients) -> None:
        self.emulator = emulator
        self.clients = clients

    def launch(
        self,
        zone: str = "us-east-1a",
        *,
        tags: Mapping[str, str] | None = None,
        protected: bool = False,
    ) -> str:
        return self.emulator.fleet.launch(zone=zone, tags=tags, protected=protected)

    def parameter(self, name: str, value: str) -> None:
        self.emulator.parameters[name] = value

    def table(self) -> str:
        return self.emulator.tables.create(unique("table")).name


class MotoSide:
    """Moto's server, arranged through AWS's own calls; it is never reset, so names must be unique."""

    def __init__(self, clients: Clients) -> None:
        self.clients = clients

    def launch(
        self,
        zone: str = "us-east-1a",
        *,
        tags: Mapping[str, str] | None = None,
        protected: bool = False,
    ) -> str:
        ec2 = self.clients.ec2
        launched = ec2.run_instances(
            ImageId="ami-12c6146b",
            InstanceType="c5.large",
            MinCount=1,
            MaxCount=1,
            Placement={"AvailabilityZone": zone},
        )
        instance_id = launched["Instances"][0]["InstanceId"]
        if tags:
            named: Any = [{"Key": key, "Value": value} for key, value in tags.items()]
            ec2.create_tags(Resources=[instance_id], Tags=named)
        if protected:
            ec2.modify_instance_attribute(
                InstanceId=instance_id, DisableApiTermination={"Value": True}
            )
        return instance_id

    def parameter(self, name: str, value: str) -> None:
        self.clients.ssm.put_parameter(Name=name, Value=value, Type="SecureString")

    def table(self) -> str:
        name = unique("table")
        self.clients.dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        return name


@dataclass(frozen=True)
class Difference:
    """One scenario and what it shows on either side; the emulator follows AWS's documentation."""

    scenario: Callable[[Side], object]
    emulator: object
    moto: object

    def __str__(self) -> str:
        return self.scenario.__name__


def unique(stem: str) -> str:
    return f"{stem}-{next(_marks)}"


def state_names(side: Side, ids: list[str]) -> list[str]:
    answer = side.clients.ec2.describe_instances(InstanceIds=ids)
    found = {
        each["InstanceId"]: each["State"]["Name"]
        for reservation in answer["Reservations"]
        for each in reservation["Instances"]
    }
    return [found[key] for key in ids]


def refusal(error: ClientError) -> tuple[str, str]:
    """An error's code and message."""
    return error.response["Error"]["Code"], error.response["Error"]["Message"]


def code_of(call: Callable[[], object]) -> str:
    """The code of the error that a call meets."""
    try:
        call()
    except ClientError as error:
        return refusal(error)[0]
    return "no error"
