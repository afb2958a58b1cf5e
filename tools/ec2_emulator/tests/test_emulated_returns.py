"""What brings a terminated instance back: persistent Spot requests and Auto Scaling groups."""

import pytest
from botocore.exceptions import ClientError

from tools.ec2_emulator import Emulator, ManualClock, faults
from tools.ec2_emulator.tests.sides import Clients


def test_a_persistent_request_launches_another_instance(
    emulator: Emulator, aws: Clients, clock: ManualClock
) -> None:
    emulator.fleet.relaunch_seconds = 60
    first = emulator.fleet.launch(spot="persistent", tags={"ManagedBy": "SpotOptimizer"})
    aws.ec2.terminate_instances(InstanceIds=[first])
    clock.advance(59)
    assert emulator.fleet.live == []
    clock.advance(1)
    [second] = emulator.fleet.live
    old, new = emulator.fleet.instances[first], emulator.fleet.instances[second]
    assert new.spot_request_id == old.spot_request_id
    assert new.tags == {"ManagedBy": "SpotOptimizer"}
    assert new.launched_at == clock()


def test_a_one_time_request_does_not(emulator: Emulator, aws: Clients) -> None:
    instance_id = emulator.fleet.launch(spot="one-time")
    aws.ec2.terminate_instances(InstanceIds=[instance_id])
    assert emulator.fleet.live == []
    [request] = aws.ec2.describe_spot_instance_requests()["SpotInstanceRequests"]
    assert (request["State"], request["Type"]) == ("closed", "one-time")


def test_cancelling_leaves_the_instance_running_and_nothing_comes_back(
    emulator: Emulator, aws: Clients
) -> None:
    instance_id = emulator.fleet.launch(spot="persistent")
    request_id = emulator.fleet.instances[instance_id].spot_request_id or ""
    answer = aws.ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[request_id])
    assert answer["CancelledSpotInstanceRequests"] == [
        {"SpotInstanceRequestId": request_id, "State": "cancelled"}
    ]
    assert emulator.fleet.live == [instance_id]
    aws.ec2.terminate_instances(InstanceIds=[instance_id])
    assert emulator.fleet.live == []


def test_cancelling_in_time_stops_a_relaunch_that_is_under_way(
    emulator: Emulator, aws: Clients, clock: ManualClock
) -> None:
    emulator.fleet.relaunch_seconds = 60
    instance_id = emulator.fleet.launch(spot="persistent")
    request_id = emulator.fleet.instances[instance_id].spot_request_id or ""
    aws.ec2.terminate_instances(InstanceIds=[instance_id])
    aws.ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[request_id])
    clock.advance(3_000)
    assert emulator.fleet.live == []


def test_one_unknown_request_fails_the_whole_cancellation(emulator: Emulator, aws: Clients) -> None:
    instance_id = emulator.fleet.launch(spot="persistent")
    request_id = emulator.fleet.instances[instance_id].spot_request_id or ""
    with pytest.raises(ClientError, match=r"InvalidSpotInstanceRequestID\.NotFound"):
        aws.ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[request_id, "sir-12345678"])
    assert emulator.fleet.requests[request_id].state == "active"


def test_a_cancellation_can_answer_that_it_did_not_happen(emulator: Emulator, aws: Clients) -> None:
    instance_id = emulator.fleet.launch(spot="persistent")
    request_id = emulator.fleet.instances[instance_id].spot_request_id or ""
    emulator.quirks.odd_cancellations = {request_id: "active"}
    answer = aws.ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[request_id])
    assert answer["CancelledSpotInstanceRequests"][0]["State"] == "active"
    aws.ec2.terminate_instances(InstanceIds=[instance_id])
    assert len(emulator.fleet.live) == 1


def test_a_cancellation_meets_faults_as_other_calls_do(emulator: Emulator, aws: Clients) -> None:
    emulator.fleet.launch(spot="persistent")
    emulator.faults.add("CancelSpotInstanceRequests", faults.server_error())
    with pytest.raises(ClientError, match="InternalError"):
        aws.ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=list(emulator.fleet.requests))


def test_requests_can_be_filtered(emulator: Emulator, aws: Clients) -> None:
    instance_id = emulator.fleet.launch(spot="persistent")
    emulator.fleet.launch(spot="one-time")
    answer = aws.ec2.describe_spot_instance_requests(
        Filters=[
            {"Name": "type", "Values": ["persistent"]},
            {"Name": "state", "Values": ["active", "open"]},
        ]
    )
    assert [each["InstanceId"] for each in answer["SpotInstanceRequests"]] == [instance_id]


def test_a_group_replaces_a_member_that_ec2_terminated(
    emulator: Emulator, aws: Clients, clock: ManualClock
) -> None:
    emulator.fleet.relaunch_seconds = 60
    member, other = emulator.fleet.launch(asg="web"), emulator.fleet.launch(asg="web")
    assert emulator.fleet.instances[member].tags == {"aws:autoscaling:groupName": "web"}
    aws.ec2.terminate_instances(InstanceIds=[member])
    assert emulator.fleet.live == [other]
    clock.advance(60)
    assert len(emulator.fleet.live) == 2


@pytest.mark.parametrize(("decrement", "left"), [(True, 0), (False, 1)])
def test_a_group_replaces_a_member_unless_it_shrinks_with_it(
    emulator: Emulator, aws: Clients, decrement: bool, left: int
) -> None:
    member = emulator.fleet.launch(asg="web", protected=True)
    answer = aws.autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=member, ShouldDecrementDesiredCapacity=decrement
    )
    assert answer["Activity"]["AutoScalingGroupName"] == "web"
    assert emulator.fleet.groups["web"].desired == left
    assert len(emulator.fleet.live) == left
    assert member not in emulator.fleet.live


def test_a_group_does_not_shrink_below_its_minimum(emulator: Emulator, aws: Clients) -> None:
    member = emulator.fleet.launch(asg="web")
    emulator.fleet.groups["web"].min_size = 1
    with pytest.raises(ClientError, match="desiredSize equals minSize"):
        aws.autoscaling.terminate_instance_in_auto_scaling_group(
            InstanceId=member, ShouldDecrementDesiredCapacity=True
        )
    assert emulator.fleet.live == [member]


def test_an_instance_of_no_group_is_not_the_groups_to_end(emulator: Emulator, aws: Clients) -> None:
    instance_id = emulator.fleet.launch()
    with pytest.raises(ClientError, match="ValidationError"):
        aws.autoscaling.terminate_instance_in_auto_scaling_group(
            InstanceId=instance_id, ShouldDecrementDesiredCapacity=True
        )
    assert emulator.fleet.live == [instance_id]


def test_a_member_in_a_hook_waits_and_runs(emulator: Emulator, aws: Clients) -> None:
    member, other = emulator.fleet.launch(asg="web"), emulator.fleet.launch(asg="web")
    emulator.fleet.groups["web"].hook = True
    aws.autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=member, ShouldDecrementDesiredCapacity=True
    )
    answer = aws.autoscaling.describe_auto_scaling_instances(
        InstanceIds=[member, other, "i-00000000000000009"]
    )
    states = {one["InstanceId"]: one["LifecycleState"] for one in answer["AutoScalingInstances"]}
    assert states == {member: "Terminating:Wait", other: "InService"}
    assert set(emulator.fleet.live) == {member, other}
