"""What DescribeInstances does not show, and what it says instead: absence has many reasons."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tools.ec2_emulator import Emulator, ManualClock
from tools.ec2_emulator.tests.sides import Clients, code_of, refusal

GHOSTS = ["i-0123456789abcdef0", "i-0123456789abcdef1"]
EKS = "eks.amazonaws.com"


def ids_in(answer: Any) -> list[str]:
    return [each["InstanceId"] for one in answer["Reservations"] for each in one["Instances"]]


def by_filter(aws: Clients, *ids: str, **further: Any) -> list[str]:
    filters: Any = [{"Name": "instance-id", "Values": list(ids)}]
    return ids_in(aws.ec2.describe_instances(Filters=filters, **further))


def by_ids(aws: Clients, *ids: str) -> list[str]:
    return ids_in(aws.ec2.describe_instances(InstanceIds=list(ids)))


def test_a_filter_leaves_out_what_a_service_manages(emulator: Emulator, aws: Clients) -> None:
    managed, ours = emulator.fleet.launch(operator=EKS), emulator.fleet.launch()
    assert by_filter(aws, managed, ours) == [ours]
    assert ids_in(aws.ec2.describe_instances()) == [ours]
    assert by_filter(aws, managed, ours, IncludeManagedResources=True) == [managed, ours]
    assert by_ids(aws, managed, ours) == [managed, ours]


def test_a_managed_instance_names_its_operator(emulator: Emulator, aws: Clients) -> None:
    ids = [emulator.fleet.launch(operator=EKS), emulator.fleet.launch()]
    answer = aws.ec2.describe_instances(InstanceIds=ids)
    managed, ours = (one["Instances"][0] for one in answer["Reservations"])
    assert managed["Operator"] == {"Managed": True, "Principal": EKS, "HiddenByDefault": True}
    assert ours["Operator"] == {"Managed": False}


def test_a_managed_instance_is_not_terminated_by_hand(emulator: Emulator, aws: Clients) -> None:
    managed, ours = emulator.fleet.launch(operator=EKS), emulator.fleet.launch()
    with pytest.raises(ClientError) as caught:
        aws.ec2.terminate_instances(InstanceIds=[ours, managed])
    code, message = refusal(caught.value)
    assert code == "UnauthorizedOperation"
    assert f"instance/{managed} because of an explicit deny" in message
    assert emulator.fleet.live == [managed, ours]


def test_a_new_instance_is_not_shown_for_a_while(
    emulator: Emulator, aws: Clients, clock: ManualClock
) -> None:
    old = emulator.fleet.launch()
    emulator.fleet.launch_lag = 5
    new = emulator.fleet.launch()
    assert by_filter(aws, old, new) == [old]
    assert code_of(lambda: by_ids(aws, new)) == "InvalidInstanceID.NotFound"
    clock.advance(5)
    assert by_filter(aws, old, new) == [old, new]


def test_a_shown_instance_can_vanish_for_a_while(
    emulator: Emulator, aws: Clients, clock: ManualClock
) -> None:
    instance_id = emulator.fleet.launch()
    emulator.fleet.unsee(instance_id, 3)
    assert by_filter(aws, instance_id) == []
    assert emulator.fleet.live == [instance_id]
    clock.advance(3)
    assert by_ids(aws, instance_id) == [instance_id]


def test_a_disrupted_zone_fails_every_look_without_ids(emulator: Emulator, aws: Clients) -> None:
    healthy = emulator.fleet.launch(zone="us-east-1a")
    ill = emulator.fleet.launch(zone="us-east-1b")
    emulator.quirks.disrupted_zones = {"us-east-1b"}
    assert code_of(aws.ec2.describe_instances) == "Unavailable"
    assert code_of(lambda: by_filter(aws, healthy)) == "Unavailable"
    assert by_ids(aws, healthy) == [healthy]
    assert code_of(lambda: by_ids(aws, healthy, ill)) == "Unavailable"


def test_every_unknown_id_is_named(emulator: Emulator, aws: Clients) -> None:
    known = emulator.fleet.launch()
    with pytest.raises(ClientError) as caught:
        by_ids(aws, GHOSTS[0], known, GHOSTS[1])
    assert refusal(caught.value) == (
        "InvalidInstanceID.NotFound",
        f"The instance IDs '{', '.join(GHOSTS)}' do not exist",
    )


def test_an_unknown_id_may_go_unnamed(emulator: Emulator, aws: Clients) -> None:
    emulator.quirks.unnamed_not_found = True
    for call in (aws.ec2.describe_instances, aws.ec2.terminate_instances):
        with pytest.raises(ClientError) as caught:
            call(InstanceIds=GHOSTS)
        code, message = refusal(caught.value)
        assert (code, "i-" in message) == ("InvalidInstanceID.NotFound", False)


def test_another_accounts_instance_is_left_out_in_silence(emulator: Emulator, aws: Clients) -> None:
    ours, theirs = emulator.fleet.launch(), emulator.fleet.launch_elsewhere()
    assert by_ids(aws, theirs, ours) == [ours]
    assert by_filter(aws, theirs, ours) == [ours]
    ended = code_of(lambda: aws.ec2.terminate_instances(InstanceIds=[theirs]))
    assert ended == "InvalidInstanceID.NotFound"


def test_termination_protection_is_told_for_one_instance(emulator: Emulator, aws: Clients) -> None:
    def protected(instance_id: str) -> bool:
        answer = aws.ec2.describe_instance_attribute(
            InstanceId=instance_id, Attribute="disableApiTermination"
        )
        return answer["DisableApiTermination"]["Value"]

    assert protected(emulator.fleet.launch(protected=True))
    assert not protected(emulator.fleet.launch())
    assert code_of(lambda: protected(GHOSTS[0])) == "InvalidInstanceID.NotFound"
