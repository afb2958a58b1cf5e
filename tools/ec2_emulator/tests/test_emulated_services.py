"""The services beside EC2 on the same port, and what happens to those that are not there."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tools.ec2_emulator import Emulator, ManualClock
from tools.ec2_emulator.tests.sides import Clients

GHOST = "i-0123456789abcdef0"


def events_about(aws: Clients, instance_id: str) -> list[Any]:
    answer = aws.cloudtrail.lookup_events(
        LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": instance_id}]
    )
    return list(answer["Events"])


def test_the_event_history_knows_who_lived_in_this_account(
    emulator: Emulator, aws: Clients, clock: ManualClock
) -> None:
    instance_id = emulator.fleet.launch()
    emulator.fleet.launch()
    clock.advance(60)
    aws.ec2.terminate_instances(InstanceIds=[instance_id])
    newest, oldest = events_about(aws, instance_id)
    assert (newest["EventName"], oldest["EventName"]) == ("TerminateInstances", "RunInstances")
    assert newest["EventTime"].timestamp() == clock()
    assert newest["Resources"][0]["ResourceName"] == instance_id
    assert json.loads(newest["CloudTrailEvent"])["recipientAccountId"] == "123456789012"
    assert events_about(aws, GHOST) == []


def test_a_failed_call_leaves_an_event_that_says_so(emulator: Emulator, aws: Clients) -> None:
    with pytest.raises(ClientError):
        aws.ec2.terminate_instances(InstanceIds=[GHOST])
    [event] = events_about(aws, GHOST)
    assert json.loads(event["CloudTrailEvent"])["errorCode"] == "Client.InvalidInstanceID.NotFound"
    emulator.trail.records_failures = False
    with pytest.raises(ClientError):
        aws.ec2.terminate_instances(InstanceIds=[GHOST])
    assert len(events_about(aws, GHOST)) == 1


def test_an_event_is_listed_once_it_is_delivered_and_for_ninety_days(
    emulator: Emulator, aws: Clients, clock: ManualClock
) -> None:
    emulator.trail.delivery_seconds = 300
    instance_id = emulator.fleet.launch()
    clock.advance(299)
    assert events_about(aws, instance_id) == []
    clock.advance(1)
    assert len(events_about(aws, instance_id)) == 1
    clock.advance(90 * 86_400)
    assert events_about(aws, instance_id) == []


def test_an_assumed_role_is_found_by_the_instances_id(emulator: Emulator, aws: Clients) -> None:
    instance_id = emulator.fleet.launch(launch_time=emulator.trail.clock() - 86_400 * 60)
    emulator.trail.assumed_role(instance_id, hours=60)
    pages = aws.cloudtrail.get_paginator("lookup_events").paginate(
        LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": instance_id}]
    )
    first, second = (page["Events"] for page in pages)
    assert {each["EventName"] for each in first} == {"AssumeRole"}
    assert (len(second), second[-1]["EventName"]) == (11, "RunInstances")
    record = json.loads(first[0]["CloudTrailEvent"])
    assert record["userIdentity"] == {"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}
    assert record["requestParameters"]["roleSessionName"] == instance_id
    assert first[0]["ReadOnly"] == "true"


def test_anybody_may_name_a_session_after_an_instance(emulator: Emulator, aws: Clients) -> None:
    emulator.trail.assumed_role(GHOST, invoked_by=None)
    [event] = events_about(aws, GHOST)
    assert "invokedBy" not in json.loads(event["CloudTrailEvent"])["userIdentity"]


def test_the_event_history_comes_in_pages(emulator: Emulator, aws: Clients) -> None:
    launched = {emulator.fleet.launch() for _ in range(5)}
    pages = aws.cloudtrail.get_paginator("lookup_events").paginate(PaginationConfig={"PageSize": 2})
    events = [page["Events"] for page in pages]
    assert [len(page) for page in events] == [2, 2, 1]
    assert {each["Resources"][0]["ResourceName"] for page in events for each in page} == launched


def test_a_secret_is_shown_decrypted_on_demand_only(emulator: Emulator, aws: Clients) -> None:
    emulator.parameters["/agent/token"] = "first"
    emulator.parameters["/agent/token"] = "second"
    shown = aws.ssm.get_parameter(Name="/agent/token", WithDecryption=True)["Parameter"]
    assert (shown["Value"], shown["Version"], shown["Type"]) == ("second", 2, "SecureString")
    assert aws.ssm.get_parameter(Name="/agent/token")["Parameter"]["Value"] != "second"


def test_a_missing_parameter_is_not_found(aws: Clients) -> None:
    with pytest.raises(aws.ssm.exceptions.ParameterNotFound):
        aws.ssm.get_parameter(Name="/agent/token")


def test_an_operation_that_is_not_implemented_says_so(emulator: Emulator, aws: Clients) -> None:
    with pytest.raises(ClientError, match="does not implement RunInstances"):
        aws.ec2.run_instances(MinCount=1, MaxCount=1)
    assert emulator.calls[0].outcome == "InvalidAction"


def test_another_region_is_refused(emulator: Emulator, aws: Clients) -> None:
    import boto3

    ec2 = boto3.client(
        "ec2",
        endpoint_url=emulator.url,
        region_name="eu-west-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    with pytest.raises(ClientError, match="Signed for eu-west-1; this emulator is us-east-1"):
        ec2.describe_instances()


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, "not unsigned requests"),
        (
            {
                "Authorization": "AWS4-HMAC-SHA256 "
                "Credential=AK/20251125/us-east-1/sts/aws4_request, Signature=x"
            },
            "not sts",
        ),
    ],
)
def test_a_service_that_is_not_there_is_named(
    emulator: Emulator, headers: dict[str, str], told: str
) -> None:
    request = urllib.request.Request(emulator.url, b"Action=GetCallerIdentity", headers)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=5)
    with caught.value as answer:
        assert answer.status == 501
        assert told in answer.read().decode()


def test_a_mistake_of_the_emulator_shows_in_the_error(emulator: Emulator, aws: Clients) -> None:
    emulator.fleet.lag = "soon"  # type: ignore[assignment]
    with pytest.raises(ClientError, match=r"(?s)EmulatorError.*TypeError"):
        aws.ec2.describe_instances()


def test_a_process_finds_it_by_the_sdks_own_variables(emulator: Emulator) -> None:
    instance_id = emulator.fleet.launch()
    program = "import boto3; print(boto3.client('ec2').describe_instances()['Reservations'][0])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **emulator.environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert instance_id in done.stdout
