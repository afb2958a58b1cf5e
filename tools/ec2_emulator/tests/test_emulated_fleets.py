"""Fleets, Auto Scaling's states and disabled Spot requests: who ends an instance, and who replaces it."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tools.ec2_emulator import Emulator, ManualClock
from tools.ec2_emulator.tests.sides import Clients, code_of, refusal


def fleets_shown(aws: Clients, *ids: str) -> dict[str, tuple[str, str]]:
    answer = aws.ec2.describe_fleets(FleetIds=list(ids))
    return {one["FleetId"]: (one["Type"], one["FleetState"]) for one in answer["Fleets"]}


def tags_of(aws: Clients, instance_id: str) -> dict[str, str]:
    answer = aws.ec2.describe_instances(InstanceIds=[instance_id])
    return {
        each["Key"]: each["Value"] for each in answer["Reservations"][0]["Instances"][0]["Tags"]
    }


def ended(emulator: Emulator, aws: Clients, instance_id: str) -> int:
    """How many instances live once this one has ended."""
    aws.ec2.terminate_instances(InstanceIds=[instance_id])
    return len(emulator.fleet.live)


@pytest.mark.parametrize(
    ("kind", "spot", "left"),
    [
        ("maintain", False, 1),
        ("request", False, 0),
        ("instant", False, 0),
        ("maintain", True, 1),
        ("request", True, 0),
    ],
)
def test_a_fleet_that_maintains_replaces_its_member(
    emulator: Emulator, aws: Clients, kind: str, spot: bool, left: int
) -> None:
    fleet = emulator.fleet.create_fleet(kind, spot=spot)
    member = emulator.fleet.launch(fleet=fleet, spot="one-time")
    tag = "aws:ec2spot:fleet-request-id" if spot else "aws:ec2:fleet-id"
    assert tags_of(aws, member) == {tag: fleet}
    assert ended(emulator, aws, member) == left
    for replacement in emulator.fleet.live:
        assert tags_of(aws, replacement) == {tag: fleet}


@pytest.mark.parametrize("spot", [False, True])
def test_a_replacement_has_a_spot_request_of_its_own(
    emulator: Emulator, aws: Clients, spot: bool
) -> None:
    fleet = emulator.fleet.create_fleet(spot=spot)
    member = emulator.fleet.launch(fleet=fleet, spot="one-time")
    ended(emulator, aws, member)
    [replacement] = emulator.fleet.live
    instances = emulator.fleet.instances
    assert instances[replacement].spot_request_id != instances[member].spot_request_id
    answer = aws.ec2.describe_spot_instance_requests()["SpotInstanceRequests"]
    assert [each["State"] for each in answer] == ["closed", "active"]


@pytest.mark.parametrize(
    ("state", "left"),
    [("modifying", 1), ("deleted_running", 0), ("cancelled_running", 0)],
)
def test_a_deleted_or_cancelled_fleet_replaces_nothing(
    emulator: Emulator, aws: Clients, state: str, left: int
) -> None:
    fleet = emulator.fleet.create_fleet()
    member = emulator.fleet.launch(fleet=fleet)
    emulator.fleet.fleets[fleet].state = state
    assert fleets_shown(aws) == {fleet: ("maintain", state)}
    assert ended(emulator, aws, member) == left


def test_an_instant_fleet_is_shown_by_its_id_only(emulator: Emulator, aws: Clients) -> None:
    instant, other = emulator.fleet.create_fleet("instant"), emulator.fleet.create_fleet("request")
    assert fleets_shown(aws) == {other: ("request", "active")}
    assert fleets_shown(aws, instant) == {instant: ("instant", "active")}


def test_each_kind_of_fleet_is_shown_by_its_own_call(emulator: Emulator, aws: Clients) -> None:
    spot = emulator.fleet.create_fleet(spot=True)
    emulator.fleet.create_fleet()
    [shown] = aws.ec2.describe_spot_fleet_requests()["SpotFleetRequestConfigs"]
    assert (shown["SpotFleetRequestId"], shown["SpotFleetRequestState"]) == (spot, "active")
    assert shown["SpotFleetRequestConfig"]["Type"] == "maintain"
    assert code_of(lambda: fleets_shown(aws, spot)) == "InvalidFleetId.NotFound"
    unknown = code_of(
        lambda: aws.ec2.describe_spot_fleet_requests(SpotFleetRequestIds=["sfr-no-such"])
    )
    assert unknown == "InvalidSpotFleetRequestId.NotFound"


def test_fleets_come_in_pages_and_by_filter(emulator: Emulator, aws: Clients) -> None:
    made = [emulator.fleet.create_fleet("request") for _ in range(3)]
    pages = aws.ec2.get_paginator("describe_fleets").paginate(PaginationConfig={"PageSize": 2})
    assert [[one["FleetId"] for one in page["Fleets"]] for page in pages] == [made[:2], made[2:]]
    emulator.fleet.fleets[made[0]].state = "deleted_running"
    answer = aws.ec2.describe_fleets(Filters=[{"Name": "fleet-state", "Values": ["active"]}])
    assert [one["FleetId"] for one in answer["Fleets"]] == made[1:]


def test_a_fleet_has_one_of_the_known_types(emulator: Emulator) -> None:
    with pytest.raises(ValueError, match="no such type of fleet: instant"):
        emulator.fleet.create_fleet("instant", spot=True)


def member_of(aws: Clients, instance_id: str) -> Any:
    answer = aws.autoscaling.describe_auto_scaling_instances(InstanceIds=[instance_id])
    return answer["AutoScalingInstances"][0]


def test_a_members_state_and_protection_are_told(emulator: Emulator, aws: Clients) -> None:
    member, plain = emulator.fleet.launch(asg="web"), emulator.fleet.launch(asg="web")
    group = emulator.fleet.groups["web"]
    group.states[member] = "Standby"
    group.protected_from_scale_in.add(member)
    shown = member_of(aws, member)
    assert (shown["LifecycleState"], shown["ProtectedFromScaleIn"]) == ("Standby", True)
    shown = member_of(aws, plain)
    assert (shown["LifecycleState"], shown["ProtectedFromScaleIn"]) == ("InService", False)


@pytest.mark.parametrize("state", ["Terminating:Retained", "Warmed:Terminating:Retained"])
def test_a_retained_member_stays_until_it_is_terminated_by_hand(
    emulator: Emulator, aws: Clients, clock: ManualClock, state: str
) -> None:
    member, other = emulator.fleet.launch(asg="web"), emulator.fleet.launch(asg="web")
    group = emulator.fleet.groups["web"]
    group.hook, group.desired, group.states[member] = True, 1, state
    clock.advance(7 * 86_400)
    assert emulator.fleet.live == [member, other]
    aws.autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=member, ShouldDecrementDesiredCapacity=False
    )
    assert emulator.fleet.live == [other]


def test_a_group_replaces_a_member_that_is_retained_beside_it(
    emulator: Emulator, aws: Clients
) -> None:
    retained, member = emulator.fleet.launch(asg="web"), emulator.fleet.launch(asg="web")
    group = emulator.fleet.groups["web"]
    group.desired, group.states[retained] = 1, "Terminating:Retained"
    assert ended(emulator, aws, member) == 2


def test_no_protection_keeps_auto_scaling_from_terminating(
    emulator: Emulator, aws: Clients
) -> None:
    member = emulator.fleet.launch(asg="web", protected=True)
    emulator.fleet.groups["web"].protected_from_scale_in.add(member)
    with pytest.raises(ClientError, match="disableApiTermination"):
        aws.ec2.terminate_instances(InstanceIds=[member])
    aws.autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=member, ShouldDecrementDesiredCapacity=True
    )
    assert emulator.fleet.live == []


def test_the_group_decides_for_a_member_that_a_fleet_launched(
    emulator: Emulator, aws: Clients
) -> None:
    fleet = emulator.fleet.create_fleet("instant")
    member = emulator.fleet.launch(asg="web", fleet=fleet)
    assert ended(emulator, aws, member) == 1


def stopped(emulator: Emulator, **launched: Any) -> tuple[str, str]:
    """A persistent request's instance, stopped by its user, and the request."""
    instance_id = emulator.fleet.launch(spot="persistent", **launched)
    emulator.fleet.stop(instance_id)
    return instance_id, emulator.fleet.instances[instance_id].spot_request_id or ""


@pytest.mark.parametrize("keeps", [False, True])
def test_cancelling_a_disabled_request_ends_its_stopped_instance(
    emulator: Emulator, aws: Clients, keeps: bool
) -> None:
    emulator.quirks.cancelling_keeps_stopped = keeps
    instance_id, request_id = stopped(emulator)
    [shown] = aws.ec2.describe_spot_instance_requests()["SpotInstanceRequests"]
    assert (shown["State"], shown["Status"]["Code"]) == ("disabled", "instance-stopped-by-user")
    answer = aws.ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[request_id])
    assert answer["CancelledSpotInstanceRequests"][0]["State"] == "cancelled"
    assert emulator.fleet.live == ([instance_id] if keeps else [])


def test_terminating_a_stopped_instance_opens_its_request_again(
    emulator: Emulator, aws: Clients
) -> None:
    instance_id, request_id = stopped(emulator)
    assert ended(emulator, aws, instance_id) == 1
    assert emulator.fleet.requests[request_id].state == "active"


def test_a_role_may_be_bound_to_a_requests_own_tags(emulator: Emulator, aws: Clients) -> None:
    tags = {"ManagedBy": "SpotOptimizer"}
    emulator.policy.required_request_tags = tags
    tagged, tagged_request = stopped(emulator, request_tags=tags)
    aws.ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[tagged_request])
    assert tagged not in emulator.fleet.live
    instance_id, request_id = stopped(emulator, tags=tags)
    with pytest.raises(ClientError) as caught:
        aws.ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[request_id])
    code, message = refusal(caught.value)
    assert (code, f"spot-instances-request/{request_id}" in message) == (
        "UnauthorizedOperation",
        True,
    )
    assert emulator.fleet.live == [instance_id]
