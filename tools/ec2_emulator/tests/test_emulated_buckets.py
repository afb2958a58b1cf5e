"""EC2's token buckets, by a clock that the test moves."""

from collections.abc import Mapping

import pytest
from botocore.exceptions import ClientError

from tools.ec2_emulator import Emulator, ManualClock
from tools.ec2_emulator.buckets import TERMINATE_INSTANCES, Buckets
from tools.ec2_emulator.errors import AwsError
from tools.ec2_emulator.tests.sides import Clients


def passed(
    buckets: Buckets, operation: str, calls: int, given: Mapping[str, object] | None = None
) -> int:
    """How many of some calls in a row are let through."""
    count = 0
    for _ in range(calls):
        try:
            buckets.take("ec2", operation, given or {})
        except AwsError:
            continue
        count += 1
    return count


@pytest.mark.parametrize(
    ("operation", "given", "burst", "refill"),
    [
        ("TerminateInstances", {"InstanceIds": ["i-1"]}, 100, 5),
        ("TerminateInstances", {"InstanceIds": ["i-1"] * 100}, 10, 0.2),
        ("DescribeInstances", {}, 50, 10),
        ("DescribeInstances", {"InstanceIds": ["i-1"]}, 50, 10),
        ("DescribeInstances", {"Filters": [{"Name": "tag-key", "Values": ["x"]}]}, 100, 20),
        ("DescribeInstances", {"MaxResults": 5}, 100, 20),
        ("CancelSpotInstanceRequests", {}, 50, 5),
        ("DeleteSnapshot", {}, 100, 5),
        ("DeregisterImage", {}, 100, 5),
    ],
)
def test_a_bucket_holds_and_regains_what_ec2_documents(
    clock: ManualClock, operation: str, given: dict[str, object], burst: int, refill: float
) -> None:
    buckets = Buckets(clock)
    buckets.enable()
    assert passed(buckets, operation, burst + 10, given) == burst
    clock.advance(burst / refill / 2)
    assert passed(buckets, operation, burst, given) == burst // 2
    clock.advance(burst / refill * 2)
    assert passed(buckets, operation, burst + 10, given) == burst


def test_filtered_and_plain_looks_draw_from_different_buckets(clock: ManualClock) -> None:
    buckets = Buckets(clock)
    buckets.enable()
    assert passed(buckets, "DescribeInstances", 60) == 50
    assert passed(buckets, "DescribeInstances", 1, {"MaxResults": 5}) == 1


def test_a_call_that_is_refused_takes_nothing(clock: ManualClock) -> None:
    buckets = Buckets(clock)
    buckets.enable()
    assert passed(buckets, "TerminateInstances", 1, {"InstanceIds": ["i-1"] * 600}) == 1
    assert passed(buckets, "TerminateInstances", 1, {"InstanceIds": ["i-1"] * 600}) == 0
    assert buckets.tokens(TERMINATE_INSTANCES) == 400
    assert buckets.tokens("TerminateInstances") == 99


def test_a_dry_run_costs_a_request_and_no_instances(clock: ManualClock) -> None:
    buckets = Buckets(clock)
    buckets.enable()
    assert (
        passed(buckets, "TerminateInstances", 1, {"InstanceIds": ["i-1"] * 900, "DryRun": True})
        == 1
    )
    assert buckets.tokens(TERMINATE_INSTANCES) == 1_000
    assert buckets.tokens("TerminateInstances") == 99


def test_scale_changes_what_buckets_hold_and_speed_how_fast_they_fill(clock: ManualClock) -> None:
    buckets = Buckets(clock)
    buckets.enable("ec2", scale=0.1, speed=10)
    assert passed(buckets, "TerminateInstances", 20, {"InstanceIds": []}) == 10
    clock.advance(1)
    assert passed(buckets, "TerminateInstances", 20, {"InstanceIds": []}) == 5


def test_an_empty_bucket_answers_503_and_terminates_nothing(
    emulator: Emulator, aws: Clients
) -> None:
    emulator.buckets.enable("ec2", scale=0.01)
    first, second = emulator.fleet.launch(), emulator.fleet.launch()
    aws.ec2.terminate_instances(InstanceIds=[first])
    with pytest.raises(ClientError, match="RequestLimitExceeded") as caught:
        aws.ec2.terminate_instances(InstanceIds=[second])
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert emulator.fleet.live == [second]


def test_buckets_are_off_until_enabled_and_can_be_switched_off(
    emulator: Emulator, clock: ManualClock
) -> None:
    assert passed(emulator.buckets, "DescribeInstances", 200) == 200
    emulator.buckets.enable()
    assert passed(emulator.buckets, "DescribeInstances", 200) == 50
    emulator.buckets.disable()
    assert passed(emulator.buckets, "DescribeInstances", 200) == 200


def test_cloudtrail_answers_two_requests_a_second(
    emulator: Emulator, aws: Clients, clock: ManualClock
) -> None:
    emulator.buckets.enable("cloudtrail")
    aws.cloudtrail.lookup_events()
    aws.cloudtrail.lookup_events()
    with pytest.raises(ClientError, match="ThrottlingException"):
        aws.cloudtrail.lookup_events()
    aws.ec2.describe_instances()
    clock.advance(0.5)
    aws.cloudtrail.lookup_events()
