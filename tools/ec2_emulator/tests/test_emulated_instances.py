"""What the emulator does with instances beyond what moto can be asked about."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tools.ec2_emulator import Emulator, ManualClock
from tools.ec2_emulator.tests.sides import Clients, refusal

OTHER = "us-east-1b"


def shown(aws: Clients, *ids: str) -> dict[str, Any]:
    answer = aws.ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": list(ids)}])
    return {
        each["InstanceId"]: each
        for reservation in answer["Reservations"]
        for each in reservation["Instances"]
    }


def state(aws: Clients, instance_id: str) -> str:
    return str(shown(aws, instance_id)[instance_id]["State"]["Name"])


def refused(aws: Clients, *ids: str, dry_run: bool = False) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        aws.ec2.terminate_instances(InstanceIds=list(ids), DryRun=dry_run)
    return refusal(caught.value)


def test_a_protected_instance_spares_its_zone_and_no_other(
    emulator: Emulator, aws: Clients
) -> None:
    fleet = emulator.fleet
    guarded, beside = fleet.launch(protected=True), fleet.launch()
    elsewhere = fleet.launch(zone=OTHER)
    assert guarded in refused(aws, elsewhere, beside, guarded)[1]
    assert set(fleet.live) == {guarded, beside}


def test_protection_of_an_instance_that_has_ended_spares_nothing(
    emulator: Emulator, aws: Clients
) -> None:
    guarded, beside = emulator.fleet.launch(protected=True), emulator.fleet.launch()
    emulator.fleet.shut_down_inside(guarded)
    aws.ec2.terminate_instances(InstanceIds=[guarded, beside])
    assert emulator.fleet.live == []


def test_a_spot_instance_cannot_be_protected(emulator: Emulator) -> None:
    with pytest.raises(ValueError, match="no termination protection"):
        emulator.fleet.launch(spot="one-time", protected=True)


def test_a_shutdown_takes_its_time(emulator: Emulator, aws: Clients, clock: ManualClock) -> None:
    emulator.fleet.shutdown_seconds = 30
    instance_id = emulator.fleet.launch()
    aws.ec2.terminate_instances(InstanceIds=[instance_id])
    clock.advance(29)
    assert state(aws, instance_id) == "shutting-down"
    again = aws.ec2.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"][0]
    assert again["PreviousState"] == again["CurrentState"] == {"Code": 32, "Name": "shutting-down"}
    clock.advance(1)
    assert state(aws, instance_id) == "terminated"


def test_a_stuck_instance_shuts_down_until_it_is_released(
    emulator: Emulator, aws: Clients, clock: ManualClock
) -> None:
    instance_id = emulator.fleet.launch(stuck=True)
    aws.ec2.terminate_instances(InstanceIds=[instance_id])
    clock.advance(86_400)
    assert state(aws, instance_id) == "shutting-down"
    emulator.fleet.unstick(instance_id)
    assert state(aws, instance_id) == "terminated"


def test_a_stopped_instance_ends_at_once(emulator: Emulator, aws: Clients) -> None:
    emulator.fleet.shutdown_seconds = 30
    instance_id = emulator.fleet.launch(state="stopped")
    answer = aws.ec2.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"][0]
    assert answer["CurrentState"]["Name"] == "terminated"


def test_the_transition_reason_tells_when_the_user_first_ended_it(
    emulator: Emulator, aws: Clients, clock: ManualClock
) -> None:
    emulator.fleet.shutdown_seconds = 30
    instance_id = emulator.fleet.launch()
    aws.ec2.terminate_instances(InstanceIds=[instance_id])
    clock.advance(60)
    aws.ec2.terminate_instances(InstanceIds=[instance_id])
    reason = shown(aws, instance_id)[instance_id]["StateTransitionReason"]
    assert reason == "User initiated (2025-11-25 12:30:00 GMT)"


def test_a_terminated_instance_is_visible_for_an_hour(
    emulator: Emulator, aws: Clients, clock: ManualClock
) -> None:
    instance_id = emulator.fleet.launch()
    aws.ec2.terminate_instances(InstanceIds=[instance_id])
    clock.advance(3_599)
    assert state(aws, instance_id) == "terminated"
    clock.advance(1)
    assert shown(aws, instance_id) == {}
    assert refused(aws, instance_id)[0] == "InvalidInstanceID.NotFound"
    assert instance_id not in emulator.fleet.instances


def test_a_terminated_instance_loses_its_tags(
    emulator: Emulator, aws: Clients, clock: ManualClock
) -> None:
    emulator.fleet.tags_kept_seconds = 600
    instance_id = emulator.fleet.launch(tags={"ManagedBy": "SpotOptimizer"})
    aws.ec2.terminate_instances(InstanceIds=[instance_id])
    clock.advance(599)
    assert "Tags" in shown(aws, instance_id)[instance_id]
    clock.advance(1)
    assert "Tags" not in shown(aws, instance_id)[instance_id]


def test_a_termination_is_not_seen_until_the_lag_is_over(
    emulator: Emulator, aws: Clients, clock: ManualClock
) -> None:
    instance_id = emulator.fleet.launch()
    clock.advance(10)
    emulator.fleet.lag = 5
    aws.ec2.terminate_instances(InstanceIds=[instance_id])
    clock.advance(4)
    assert state(aws, instance_id) == "running"
    assert emulator.fleet.instances[instance_id].state == "terminated"
    clock.advance(1)
    assert state(aws, instance_id) == "terminated"


def test_a_launch_is_not_seen_until_the_lag_is_over(
    emulator: Emulator, aws: Clients, clock: ManualClock
) -> None:
    emulator.fleet.lag = 5
    instance_id = emulator.fleet.launch()
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        aws.ec2.describe_instances(InstanceIds=[instance_id])
    clock.advance(5)
    assert state(aws, instance_id) == "running"


def test_with_a_lag_describe_shows_what_terminate_no_longer_finds(
    emulator: Emulator, aws: Clients, clock: ManualClock
) -> None:
    instance_id = emulator.fleet.launch()
    emulator.fleet.terminate(instance_id)
    emulator.fleet.lag = 5
    clock.advance(3_602)
    assert state(aws, instance_id) == "terminated"
    assert refused(aws, instance_id)[0] == "InvalidInstanceID.NotFound"


@pytest.mark.parametrize(
    ("how", "transition", "code"),
    [
        (
            "interrupt",
            "Service initiated (2025-11-25 12:30:00 GMT)",
            "Server.SpotInstanceTermination",
        ),
        ("shut_down_inside", "User initiated", "Client.InstanceInitiatedShutdown"),
        ("terminate", "User initiated (2025-11-25 12:30:00 GMT)", "Client.UserInitiatedShutdown"),
    ],
)
def test_how_an_instance_ended_can_be_read(
    emulator: Emulator, aws: Clients, how: str, transition: str, code: str
) -> None:
    instance_id = emulator.fleet.launch(spot="one-time")
    getattr(emulator.fleet, how)(instance_id)
    seen = shown(aws, instance_id)[instance_id]
    assert (seen["StateTransitionReason"], seen["StateReason"]["Code"]) == (transition, code)


def test_a_spot_instance_shows_its_lifecycle_and_request(emulator: Emulator, aws: Clients) -> None:
    spot, plain = emulator.fleet.launch(spot="persistent"), emulator.fleet.launch()
    request_id = emulator.fleet.instances[spot].spot_request_id or ""
    seen = shown(aws, spot, plain)
    assert seen[spot]["InstanceLifecycle"] == "spot"
    assert seen[spot]["SpotInstanceRequestId"] == request_id
    assert "InstanceLifecycle" not in seen[plain]
    for name, value in (("instance-lifecycle", "spot"), ("spot-instance-request-id", request_id)):
        answer = aws.ec2.describe_instances(Filters=[{"Name": name, "Values": [value]}])
        found = [each["InstanceId"] for r in answer["Reservations"] for each in r["Instances"]]
        assert found == [spot]


def test_an_unknown_filter_is_refused(aws: Clients) -> None:
    with pytest.raises(ClientError, match="The filter 'instance-ids' is invalid"):
        aws.ec2.describe_instances(Filters=[{"Name": "instance-ids", "Values": ["x"]}])


def test_a_page_token_that_was_never_given_out_is_refused(aws: Clients) -> None:
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        aws.ec2.describe_instances(NextToken="made-up", MaxResults=5)


def test_an_untagged_instance_fails_the_whole_call_and_its_arn_is_named(
    emulator: Emulator, aws: Clients
) -> None:
    emulator.policy.required_tags = {"ManagedBy": "SpotOptimizer"}
    ours = emulator.fleet.launch(tags={"ManagedBy": "SpotOptimizer"})
    other = emulator.fleet.launch(zone=OTHER, tags={"ManagedBy": "Somebody"})
    code, message = refused(aws, ours, other)
    assert code == "UnauthorizedOperation"
    assert f"on resource: arn:aws:ec2:us-east-1:123456789012:instance/{other} because" in message
    assert set(emulator.fleet.live) == {ours, other}
    assert refused(aws, other, dry_run=True)[0] == "UnauthorizedOperation"
    assert refused(aws, ours, dry_run=True)[0] == "DryRunOperation"


def test_the_older_denial_names_nothing(emulator: Emulator, aws: Clients) -> None:
    emulator.policy.encoded_messages = True
    instance_id = emulator.fleet.launch()
    emulator.policy.denied_ids = {instance_id}
    code, message = refused(aws, instance_id)
    assert code == "UnauthorizedOperation"
    assert "Encoded authorization failure message: " in message
    assert instance_id not in message


def test_a_role_conditioned_on_tags_may_not_end_what_has_lost_them(
    emulator: Emulator, aws: Clients, clock: ManualClock
) -> None:
    emulator.policy.required_tags = {"ManagedBy": "SpotOptimizer"}
    instance_id = emulator.fleet.launch(tags={"ManagedBy": "SpotOptimizer"})
    aws.ec2.terminate_instances(InstanceIds=[instance_id])
    clock.advance(emulator.fleet.tags_kept_seconds)
    assert refused(aws, instance_id)[0] == "UnauthorizedOperation"


def test_an_action_can_be_denied_altogether(emulator: Emulator, aws: Clients) -> None:
    emulator.policy.denied_actions = {"ec2:DescribeInstances", "cloudtrail:LookupEvents"}
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        aws.ec2.describe_instances()
    with pytest.raises(ClientError, match="AccessDeniedException"):
        aws.cloudtrail.lookup_events()


@pytest.mark.parametrize("seen", [False, True])
def test_a_dry_run_may_or_may_not_see_protection(
    emulator: Emulator, aws: Clients, seen: bool
) -> None:
    emulator.quirks.dry_run_sees_protection = seen
    guarded, elsewhere = emulator.fleet.launch(protected=True), emulator.fleet.launch(zone=OTHER)
    code, _ = refused(aws, guarded, elsewhere, dry_run=True)
    assert code == ("OperationNotPermitted" if seen else "DryRunOperation")
    assert set(emulator.fleet.live) == {guarded, elsewhere}


def test_errors_can_keep_the_ids_to_themselves(emulator: Emulator, aws: Clients) -> None:
    emulator.quirks.anonymous_errors = True
    guarded = emulator.fleet.launch(protected=True)
    assert refused(aws, guarded) == ("OperationNotPermitted", "The request was refused.")
    code, message = refused(aws, guarded, "i-0123456789abcdef0")
    assert (code, "i-0" in message) == ("InvalidInstanceID.NotFound", False)


def test_a_returned_state_can_be_odd_and_an_instance_missing_from_the_answer(
    emulator: Emulator, aws: Clients
) -> None:
    odd, left_out, plain = (emulator.fleet.launch() for _ in range(3))
    emulator.quirks.odd_states = {odd: "running", left_out: None}
    answer = aws.ec2.terminate_instances(InstanceIds=[odd, left_out, plain])
    assert {
        each["InstanceId"]: each["CurrentState"]["Name"] for each in answer["TerminatingInstances"]
    } == {odd: "running", plain: "shutting-down"}


def test_ids_are_the_same_in_every_run_and_differ_by_seed(
    emulator: Emulator, clock: ManualClock
) -> None:
    first = emulator.fleet.launch()
    emulator.reset(clock=clock)
    assert emulator.fleet.launch() == first
    emulator.reset(clock=clock, seed=1)
    assert emulator.fleet.launch() != first
    emulator.reset(seed=0)


def test_a_thousand_instances_can_be_looked_at_and_terminated_in_one_call_each(
    emulator: Emulator, aws: Clients
) -> None:
    ids = [emulator.fleet.launch() for _ in range(1_000)]
    assert len(aws.ec2.describe_instances(InstanceIds=ids)["Reservations"]) == 1_000
    assert len(aws.ec2.terminate_instances(InstanceIds=ids)["TerminatingInstances"]) == 1_000
    assert emulator.fleet.live == []


def test_every_call_is_logged_with_its_outcome(emulator: Emulator, aws: Clients) -> None:
    instance_id = emulator.fleet.launch()
    done = aws.ec2.terminate_instances(InstanceIds=[instance_id])
    refused(aws, "nonsense")
    first, second = emulator.calls.of("TerminateInstances")
    assert first.parameters == {"InstanceIds": [instance_id]}
    assert (first.outcome, first.effect) == ("ok", True)
    assert first.request_id == done["ResponseMetadata"]["RequestId"]
    assert (second.outcome, second.effect) == ("InvalidInstanceID.Malformed", False)
