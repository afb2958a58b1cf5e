"""EC2's contract: what the emulator and moto agree on, and, shown on both, where they differ."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tools.ec2_emulator import Emulator
from tools.ec2_emulator.tests.sides import (
    Clients,
    Difference,
    EmulatorSide,
    MotoSide,
    Side,
    code_of,
    refusal,
    state_names,
    unique,
)

GHOSTS = ["i-0123456789abcdef0", "i-0123456789abcdef1"]


def described(side: Side, instance_id: str) -> Any:
    answer = side.clients.ec2.describe_instances(InstanceIds=[instance_id])
    return answer["Reservations"][0]["Instances"][0]


def filtered(side: Side, name: str, *values: str) -> set[str]:
    filters: Any = [{"Name": name, "Values": list(values)}]
    return ids_in(side.clients.ec2.describe_instances(Filters=filters))


def ids_in(answer: Any) -> set[str]:
    return {
        each["InstanceId"]
        for reservation in answer["Reservations"]
        for each in reservation["Instances"]
    }


def test_an_instance_is_described_with_its_zone_state_and_tags(side: Side) -> None:
    instance_id = side.launch("us-east-1b", tags={"Name": "a <b> & 'c'", "Empty": ""})
    shown = described(side, instance_id)
    assert shown["State"] == {"Code": 16, "Name": "running"}
    assert shown["Placement"]["AvailabilityZone"] == "us-east-1b"
    assert shown["InstanceType"] == "c5.large"
    assert shown["StateTransitionReason"] == ""
    assert shown["LaunchTime"].tzinfo is not None
    assert {each["Key"]: each["Value"] for each in shown["Tags"]} == {
        "Name": "a <b> & 'c'",
        "Empty": "",
    }


def test_one_unknown_id_fails_a_describe_by_ids(side: Side) -> None:
    instance_id = side.launch()
    with pytest.raises(ClientError) as caught:
        side.clients.ec2.describe_instances(InstanceIds=[instance_id, GHOSTS[0]])
    assert refusal(caught.value) == (
        "InvalidInstanceID.NotFound",
        f"The instance ID '{GHOSTS[0]}' does not exist",
    )


def test_unknown_ids_in_a_filter_are_simply_absent(side: Side) -> None:
    instance_id = side.launch()
    assert filtered(side, "instance-id", instance_id, *GHOSTS) == {instance_id}


def test_several_filters_must_all_accept_an_instance(side: Side) -> None:
    mark = unique("fleet")
    wanted = side.launch("us-east-1a", tags={"fleet": mark})
    side.launch("us-east-1b", tags={"fleet": mark})
    side.launch("us-east-1a")
    answer = side.clients.ec2.describe_instances(
        Filters=[
            {"Name": "tag:fleet", "Values": [mark]},
            {"Name": "availability-zone", "Values": ["us-east-1a", "us-east-1c"]},
            {"Name": "instance-state-name", "Values": ["pending", "running"]},
        ]
    )
    assert ids_in(answer) == {wanted}


def test_a_filter_takes_wildcards(side: Side) -> None:
    mark = unique("fleet")
    wanted = side.launch(tags={mark: "blue.1"})
    side.launch(tags={mark: "green.1"})
    assert filtered(side, f"tag:{mark}", "bl*.?") == {wanted}
    assert filtered(side, f"tag:{mark}", "blue?2") == set()


def test_the_tag_key_filter_asks_for_the_key_alone(side: Side) -> None:
    mark = unique("key")
    tagged = side.launch(tags={mark: "anything"})
    side.launch()
    assert filtered(side, "tag-key", mark) == {tagged}


def test_pages_show_every_instance_once(side: Side) -> None:
    mark = unique("fleet")
    launched = [side.launch(tags={"fleet": mark}) for _ in range(12)]
    pages = side.clients.ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": "tag:fleet", "Values": [mark]}], PaginationConfig={"PageSize": 5}
    )
    shown = [ids_in(page) for page in pages]
    assert [len(page) for page in shown] == [5, 5, 2]
    assert set.union(*shown) == set(launched)


def test_ids_and_a_page_size_do_not_go_together(side: Side) -> None:
    instance_id = side.launch()
    with pytest.raises(ClientError) as caught:
        side.clients.ec2.describe_instances(InstanceIds=[instance_id], MaxResults=5)
    assert refusal(caught.value)[0] == "InvalidParameterCombination"


def test_terminating_answers_with_both_states_of_each_instance(side: Side) -> None:
    ids = [side.launch(), side.launch("us-east-1b")]
    answer = side.clients.ec2.terminate_instances(InstanceIds=ids)
    assert {
        each["InstanceId"]: (each["PreviousState"], each["CurrentState"])
        for each in answer["TerminatingInstances"]
    } == dict.fromkeys(
        ids,
        ({"Code": 16, "Name": "running"}, {"Code": 32, "Name": "shutting-down"}),
    )


def test_a_terminated_instance_stays_visible_with_who_ended_it(side: Side) -> None:
    instance_id = side.launch()
    side.clients.ec2.terminate_instances(InstanceIds=[instance_id])
    shown = described(side, instance_id)
    assert shown["State"] == {"Code": 48, "Name": "terminated"}
    assert shown["StateTransitionReason"].startswith("User initiated (2")
    assert shown["StateReason"] == {
        "Code": "Client.UserInitiatedShutdown",
        "Message": "Client.UserInitiatedShutdown: User initiated shutdown",
    }


def test_terminating_twice_is_no_error(side: Side) -> None:
    instance_id = side.launch()
    side.clients.ec2.terminate_instances(InstanceIds=[instance_id])
    answer = side.clients.ec2.terminate_instances(InstanceIds=[instance_id])
    assert answer["TerminatingInstances"][0]["PreviousState"]["Name"] == "terminated"


def test_one_unknown_id_spares_the_whole_batch_and_every_unknown_one_is_named(side: Side) -> None:
    instance_id = side.launch()
    with pytest.raises(ClientError) as caught:
        side.clients.ec2.terminate_instances(InstanceIds=[GHOSTS[0], instance_id, GHOSTS[1]])
    assert refusal(caught.value) == (
        "InvalidInstanceID.NotFound",
        f"The instance IDs '{', '.join(GHOSTS)}' do not exist",
    )
    assert state_names(side, [instance_id]) == ["running"]


def test_a_protected_instance_is_named_and_runs_on(side: Side) -> None:
    instance_id = side.launch(protected=True)
    with pytest.raises(ClientError) as caught:
        side.clients.ec2.terminate_instances(InstanceIds=[instance_id])
    code, message = refusal(caught.value)
    assert code == "OperationNotPermitted"
    assert message == (
        f"The instance '{instance_id}' may not be terminated. "
        "Modify its 'disableApiTermination' instance attribute and try again."
    )
    assert state_names(side, [instance_id]) == ["running"]


def test_terminating_nothing_is_refused(side: Side) -> None:
    with pytest.raises(ClientError) as caught:
        side.clients.ec2.terminate_instances(InstanceIds=[])
    assert refusal(caught.value)[0] == "InvalidParameterCombination"


def test_a_dry_run_says_that_it_would_have_succeeded_and_terminates_nothing(side: Side) -> None:
    instance_id = side.launch()
    with pytest.raises(ClientError) as caught:
        side.clients.ec2.terminate_instances(InstanceIds=[instance_id], DryRun=True)
    assert refusal(caught.value)[0] == "DryRunOperation"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert state_names(side, [instance_id]) == ["running"]


def test_a_dry_look_shows_nothing(side: Side) -> None:
    with pytest.raises(ClientError) as caught:
        side.clients.ec2.describe_instances(DryRun=True)
    assert refusal(caught.value)[0] == "DryRunOperation"


# Where they differ. Each scenario runs on both, so a difference that goes away fails here.


def protection_in_a_batch_over_two_zones(side: Side) -> object:
    ids = [
        side.launch("us-east-1a"),
        side.launch("us-east-1a", protected=True),
        side.launch("us-east-1a"),
        side.launch("us-east-1b"),
    ]
    code = code_of(lambda: side.clients.ec2.terminate_instances(InstanceIds=ids))
    return code, [name == "running" for name in state_names(side, ids)]


def malformed_id_in_a_describe(side: Side) -> object:
    return code_of(lambda: side.clients.ec2.describe_instances(InstanceIds=["i-nonsense"]))


def malformed_id_in_a_termination(side: Side) -> object:
    return code_of(lambda: side.clients.ec2.terminate_instances(InstanceIds=["nonsense"]))


def two_unknown_ids_in_a_describe(side: Side) -> object:
    with pytest.raises(ClientError) as caught:
        side.clients.ec2.describe_instances(InstanceIds=GHOSTS)
    return sum(ghost in refusal(caught.value)[1] for ghost in GHOSTS)


def dry_run_of_an_unknown_id(side: Side) -> object:
    ec2 = side.clients.ec2
    return code_of(lambda: ec2.terminate_instances(InstanceIds=GHOSTS[:1], DryRun=True))


def more_than_a_thousand_ids(side: Side) -> object:
    # Unknown ones: the number is refused before anybody looks for them.
    ids = [f"i-{number:017x}" for number in range(1_001)]
    return code_of(lambda: side.clients.ec2.terminate_instances(InstanceIds=ids))


def more_than_two_hundred_filter_values(side: Side) -> object:
    ids = [f"i-{number:017x}" for number in range(201)]
    return code_of(
        lambda: side.clients.ec2.describe_instances(
            Filters=[{"Name": "instance-id", "Values": ids}]
        )
    )


def page_smaller_than_five(side: Side) -> object:
    return code_of(lambda: side.clients.ec2.describe_instances(MaxResults=4))


def second_termination_answers(side: Side) -> object:
    instance_id = side.launch()
    side.clients.ec2.terminate_instances(InstanceIds=[instance_id])
    answer = side.clients.ec2.terminate_instances(InstanceIds=[instance_id])
    return answer["TerminatingInstances"][0]["CurrentState"]["Name"]


def time_zone_of_the_transition_reason(side: Side) -> object:
    instance_id = side.launch()
    side.clients.ec2.terminate_instances(InstanceIds=[instance_id])
    return str(described(side, instance_id)["StateTransitionReason"]).rstrip(")").split()[-1]


def unknown_spot_request_in_a_describe(side: Side) -> object:
    ec2 = side.clients.ec2
    return code_of(
        lambda: ec2.describe_spot_instance_requests(SpotInstanceRequestIds=["sir-12345678"])
    )


def unknown_parameter(side: Side) -> object:
    """A misspelt parameter, past the client's own check."""
    ec2 = side.clients.ec2

    def misspell(request: Any, **_: Any) -> None:
        request.data["InstanceIDs.1"] = GHOSTS[0]

    ec2.meta.events.register("before-sign.ec2.DescribeInstances", _on_request := misspell)
    try:
        return code_of(ec2.describe_instances)
    finally:
        ec2.meta.events.unregister("before-sign.ec2.DescribeInstances", _on_request)


DIFFERENCES = [
    Difference(
        protection_in_a_batch_over_two_zones,
        emulator=("OperationNotPermitted", [True, True, True, False]),
        moto=("OperationNotPermitted", [False, True, True, True]),
    ),
    Difference(
        malformed_id_in_a_describe,
        emulator="InvalidInstanceID.Malformed",
        moto="InvalidInstanceID.NotFound",
    ),
    Difference(
        malformed_id_in_a_termination,
        emulator="InvalidInstanceID.Malformed",
        moto="InvalidInstanceID.NotFound",
    ),
    Difference(
        two_unknown_ids_in_a_describe,
        emulator=2,  # both are named
        moto=1,
    ),
    Difference(
        dry_run_of_an_unknown_id,
        emulator="InvalidInstanceID.NotFound",
        moto="DryRunOperation",
    ),
    Difference(
        more_than_a_thousand_ids,
        emulator="InvalidParameterValue",
        moto="InvalidInstanceID.NotFound",
    ),
    Difference(
        more_than_two_hundred_filter_values,
        emulator="FilterLimitExceeded",
        moto="no error",
    ),
    Difference(page_smaller_than_five, emulator="InvalidParameterValue", moto="no error"),
    Difference(second_termination_answers, emulator="terminated", moto="shutting-down"),
    Difference(time_zone_of_the_transition_reason, emulator="GMT", moto="UTC"),
    Difference(
        unknown_spot_request_in_a_describe,
        emulator="InvalidSpotInstanceRequestID.NotFound",
        moto="no error",
    ),
    Difference(unknown_parameter, emulator="UnknownParameter", moto="no error"),
]


@pytest.mark.parametrize("difference", DIFFERENCES, ids=str)
def test_the_emulator_and_moto_differ_as_listed(
    difference: Difference, emulator: Emulator, emulator_clients: Clients, moto: MotoSide
) -> None:
    assert difference.scenario(EmulatorSide(emulator, emulator_clients)) == difference.emulator
    assert difference.scenario(moto) == difference.moto
    assert difference.emulator != difference.moto
