"""What EC2, its fleets and Auto Scaling show and do, over an emulator that was taught by AWS's own pages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from handler.aws.errors import AwsError, ErrorKind
from handler.aws.retry import OUT_OF_TIME
from handler.instances.ec2 import APART, Ec2Machines
from handler.instances.model import Observed, State
from handler.instances.ports import Accepted
from handler.instances.surroundings import Leaving, Member
from tools.ec2_emulator import Emulator
from tools.ec2_emulator.faults import cut, error, raw, silent

GHOSTS = ["i-0123456789abcdef0", "i-0123456789abcdef1"]
EKS = "eks.amazonaws.com"
OURS = {"ManagedBy": "SpotOptimizer"}


@pytest.fixture(scope="module")
def server() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def aws(server: Emulator) -> Emulator:
    server.reset()
    return server


@pytest.fixture(scope="module")
def machines(server: Emulator) -> Ec2Machines:
    def client(service: str, tries: int = 2) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]
            region_name="us-east-1",
            endpoint_url=server.url,
            aws_access_key_id="x",
            aws_secret_access_key="y",
            config=Config(retries={"mode": "standard", "total_max_attempts": tries}),
        )

    groups = client("autoscaling")
    return Ec2Machines(client("ec2"), client("ec2", 1), lambda: groups)


def look(machines: Ec2Machines, *ids: str) -> Observed:
    return machines.look(dict.fromkeys(ids, "us-east-1a"))


def test_an_instance_is_read_with_zone_tags_and_request(
    aws: Emulator, machines: Ec2Machines
) -> None:
    one = aws.fleet.launch(tags=OURS, zone="us-east-1b", spot="one-time")
    seen = look(machines, one).seen[one]
    assert (seen.state, seen.zone, seen.tags) == (State.RUNNING, "us-east-1b", OURS)
    assert seen.spot_request
    assert seen.operator is None


def test_hidden_is_not_gone(aws: Emulator, machines: Ec2Machines) -> None:
    """Filtered answers leave out what AWS services manage (EC2 API, DescribeInstances)."""
    managed = aws.fleet.launch(operator=EKS)
    found = look(machines, managed, GHOSTS[0])
    assert found.seen[managed].operator == EKS
    assert found.gone == {GHOSTS[0]}


def test_what_aws_services_manage_is_in_every_look(aws: Emulator, machines: Ec2Machines) -> None:
    tags = {**OURS, "LogicalAgentId": "web"}
    managed = aws.fleet.launch(operator=EKS, tags=tags, spot="persistent")
    request = aws.fleet.instances[managed].spot_request_id or ""
    (shown,) = look(machines, managed).seen
    assert (shown, aws.calls.count("DescribeInstances")) == (managed, 1)  # not asked by its id
    for found in (machines.neighbours({"web"}, ()), machines.running(OURS)):
        assert not isinstance(found, AwsError)
        assert [one.instance_id for one in found] == [managed]
    assert machines.fleet_size(OURS, or_keys=()) == 1
    assert machines.live_from([request]) == {managed: request}


def test_gone_is_only_what_ec2_names(aws: Emulator, machines: Ec2Machines) -> None:
    known, theirs = aws.fleet.launch(), aws.fleet.launch_elsewhere()
    found = look(machines, known, theirs, *GHOSTS)
    assert set(found.seen) == {known}
    assert found.gone == set(GHOSTS)
    assert found.unreadable[theirs].code == "NotShown"
    assert aws.calls.count("DescribeInstances") == 3


def test_an_id_that_ec2_calls_malformed_is_not_gone_and_hides_no_other(
    aws: Emulator, machines: Ec2Machines
) -> None:
    known = aws.fleet.launch(operator=EKS)
    odd, unknown = GHOSTS
    aws.faults.add(
        "DescribeInstances",
        error("InvalidInstanceID.Malformed", f'Invalid id: "{odd}"'),
        times=None,
        when=lambda call: odd in call.parameters.get("InstanceIds", ()),
    )
    aws.faults.add(
        "DescribeInstances",
        raw(200, "<R><reservationSet/></R>"),
        times=None,
        when=lambda call: "Filters" in call.parameters,
    )
    found = look(machines, known, odd, unknown)
    assert set(found.seen) == {known}
    assert found.gone == {unknown}
    assert {one: error.code for one, error in found.unreadable.items()} == {
        odd: "InvalidInstanceID.Malformed"
    }


def test_a_cancellation_that_names_no_request_has_cancelled_none(
    aws: Emulator, machines: Ec2Machines
) -> None:
    body = "<R><spotInstanceRequestSet><item><state>cancelled</state></item></spotInstanceRequestSet></R>"
    aws.faults.add("CancelSpotInstanceRequests", raw(200, body))
    answer = machines.cancel_requests(["sir-12345678"], dry_run=False)
    assert isinstance(answer, Accepted)
    assert answer.changes == {}


def test_a_tag_without_a_value_is_a_tag(aws: Emulator, machines: Ec2Machines) -> None:
    (one,) = GHOSTS[:1]
    body = (
        f"<R><reservationSet><item><instancesSet><item><instanceId>{one}</instanceId>"
        "<instanceState><name>running</name></instanceState>"
        "<tagSet><item><key>DoNotTerminate</key></item></tagSet>"
        "</item></instancesSet></item></reservationSet></R>"
    )
    aws.faults.add("DescribeInstances", raw(200, body))
    assert look(machines, one).seen[one].tags == {"DoNotTerminate": ""}


def test_where_ec2_names_none_each_is_asked_alone(aws: Emulator, machines: Ec2Machines) -> None:
    aws.quirks.unnamed_not_found = True
    theirs = aws.fleet.launch_elsewhere()
    found = look(machines, theirs, *GHOSTS)
    assert found.gone == set(GHOSTS)
    assert set(found.unreadable) == {theirs}


def test_one_zone_s_trouble_is_its_own(aws: Emulator, machines: Ec2Machines) -> None:
    healthy, ill = aws.fleet.launch(zone="us-east-1a"), aws.fleet.launch(zone="us-east-1b")
    aws.quirks.disrupted_zones = {"us-east-1b"}
    found = machines.look({healthy: "us-east-1a", ill: "us-east-1b"})
    assert set(found.seen) == {healthy}
    assert found.unreadable[ill].code == "Unavailable"


def test_of_unknown_zones_the_healthy_are_found_among_the_ill(
    aws: Emulator, machines: Ec2Machines
) -> None:
    healthy = [aws.fleet.launch(zone="us-east-1a") for _ in range(30)]
    ill = [aws.fleet.launch(zone="us-east-1b") for _ in range(2)]
    aws.quirks.disrupted_zones = {"us-east-1b"}
    found = machines.look(dict.fromkeys([*healthy, *ill, *GHOSTS]))
    assert set(found.seen) == set(healthy)
    assert found.gone == set(GHOSTS)
    assert {found.unreadable[one].code for one in ill} == {"Unavailable"}
    assert len(found.unreadable) == 2


def test_where_all_zones_are_ill_few_calls_are_made(aws: Emulator, machines: Ec2Machines) -> None:
    ill = [aws.fleet.launch(zone="us-east-1b") for _ in range(200)]
    aws.quirks.disrupted_zones = {"us-east-1b"}
    found = machines.look(dict.fromkeys(ill))
    assert set(found.unreadable) == set(ill)
    assert aws.calls.count("DescribeInstances") <= APART + 10


@pytest.mark.parametrize("fault", [raw(200, "{}"), error("UnauthorizedOperation"), cut()])
def test_an_answer_that_is_not_had_proves_nothing(
    aws: Emulator, machines: Ec2Machines, fault: Any
) -> None:
    one = aws.fleet.launch()
    aws.faults.add("DescribeInstances", fault, times=None)
    found = look(machines, one, GHOSTS[0])
    assert (found.seen, found.gone) == ({}, frozenset())
    assert set(found.unreadable) == {one, GHOSTS[0]}


@pytest.mark.parametrize("spot", [False, True])
@pytest.mark.parametrize(("kind", "state", "replaces"), [
    ("maintain", "active", True),
    ("maintain", "deleted_running", False),
    ("request", "active", False),
])  # fmt: skip
def test_a_fleet_says_whether_it_replaces(
    aws: Emulator, machines: Ec2Machines, kind: str, state: str, *, spot: bool, replaces: bool
) -> None:
    fleet = aws.fleet.create_fleet(kind, spot=spot)
    aws.fleet.fleets[fleet].state = state.replace("deleted", "cancelled") if spot else state
    assert machines.fleets([fleet]) == {fleet: replaces}


def test_an_instant_fleet_is_shown_by_its_id(aws: Emulator, machines: Ec2Machines) -> None:
    fleet = aws.fleet.create_fleet("instant")
    assert machines.fleets([fleet]) == {fleet: False}


def test_a_fleet_that_ec2_does_not_know_does_not_hide_the_others(
    aws: Emulator, machines: Ec2Machines
) -> None:
    fleet = aws.fleet.create_fleet("request")
    found = machines.fleets([fleet, "fleet-0123456789abcdef0"])
    assert found[fleet] is False
    assert found.get("fleet-0123456789abcdef0") is not False


STATES = {
    "InService": Leaving.NO,
    "Terminating:Wait": Leaving.BY_ITSELF,
    "Terminating:Retained": Leaving.RETAINED,
    "Warmed:Terminating:Retained": Leaving.RETAINED,
    "Terminating:Something": Leaving.NO,
}


@pytest.mark.parametrize(("state", "leaving"), STATES.items())
def test_a_member_s_state_is_compared_whole(
    aws: Emulator, machines: Ec2Machines, state: str, leaving: Leaving
) -> None:
    one = aws.fleet.launch(asg="web", protected=True)
    aws.fleet.groups["web"].states[one] = state
    aws.fleet.groups["web"].protected_from_scale_in.add(one)
    assert machines.members([one], lambda: 60.0) == {one: Member(leaving, True, True)}


def test_a_member_that_is_not_answered_for_in_time_keeps_no_other_waiting(
    aws: Emulator, machines: Ec2Machines
) -> None:
    late, *others = (aws.fleet.launch(asg="web") for _ in range(3))
    aws.faults.add(
        "DescribeInstanceAttribute",
        silent(2.0),
        times=None,
        when=lambda call: call.parameters["InstanceId"] == late,
    )
    until = time.monotonic() + 0.7
    found = machines.members([late, *others, GHOSTS[0]], lambda: until - time.monotonic())
    assert found == {late: OUT_OF_TIME, **dict.fromkeys(others, Member(Leaving.NO, False, False))}


@pytest.mark.parametrize(("state", "asked", "desired"), [
    ("InService", 1, 0), ("Terminating:Wait", 0, 1), ("Terminating:Retained", 1, 1),
])  # fmt: skip
def test_a_member_is_terminated_through_its_group_at_most_once(
    aws: Emulator, machines: Ec2Machines, state: str, asked: int, desired: int
) -> None:
    one = aws.fleet.launch(asg="web")
    group = aws.fleet.groups["web"]
    group.states[one] = state
    before = group.desired
    answer = machines.terminate_in_group(one)
    assert isinstance(answer, Accepted)
    assert aws.calls.count("TerminateInstanceInAutoScalingGroup") == asked
    assert before - group.desired == (1 - desired if asked and state == "InService" else 0)


def test_termination_is_asked_once_and_its_states_are_read(
    aws: Emulator, machines: Ec2Machines
) -> None:
    one = aws.fleet.launch()
    answer = machines.terminate([one], dry_run=False)
    assert isinstance(answer, Accepted)
    assert answer.changes[one].current in {"shutting-down", "terminated"}
    aws.faults.add("TerminateInstances", error("InternalError"), times=None)
    assert isinstance(machines.terminate([one], dry_run=False), AwsError)
    assert aws.calls.count("TerminateInstances") == 2


def test_a_dry_run_that_would_be_carried_out_is_accepted(
    aws: Emulator, machines: Ec2Machines
) -> None:
    one = aws.fleet.launch()
    assert machines.terminate([one], dry_run=True) == Accepted({}, answer_id(aws))
    assert aws.fleet.live == [one]


def answer_id(aws: Emulator) -> Any:
    return aws.calls.of("TerminateInstances")[-1].request_id


def test_standing_requests_are_told_with_their_state(aws: Emulator, machines: Ec2Machines) -> None:
    once, kept, stopped = (
        aws.fleet.launch(spot=kind) for kind in ("one-time", "persistent", "persistent")
    )
    aws.fleet.stop(stopped)
    requests = {
        one: aws.fleet.instances[one].spot_request_id or "" for one in (once, kept, stopped)
    }
    assert machines.standing_requests(requests.values()) == {
        requests[once]: None,
        requests[kept]: "active",
        requests[stopped]: "disabled",
    }


@pytest.mark.parametrize("long", ["x" * 256, "*" * 200])
def test_a_long_tag_is_asked_for_by_its_beginning(
    aws: Emulator, machines: Ec2Machines, long: str
) -> None:
    """EC2 takes 255 characters, and a tag may have one more."""
    ids = {aws.fleet.launch(tags={"LogicalAgentId": one}) for one in (long, "web")}
    aws.fleet.launch(tags={"LogicalAgentId": "other"})
    found = machines.neighbours({long, "web"}, ())
    assert not isinstance(found, AwsError)
    assert {one.instance_id for one in found} == ids


def spot_requests(aws: Emulator, number: int) -> list[str]:
    """The requests of so many new instances, which would launch another."""
    ids = [aws.fleet.launch(spot="persistent") for _ in range(number)]
    return [aws.fleet.instances[one].spot_request_id or "" for one in ids]


def test_a_request_that_ec2_does_not_know_hides_no_other(
    aws: Emulator, machines: Ec2Machines
) -> None:
    shown, new, old = spot_requests(aws, 3)
    aws.fleet.requests[new].unseen_until = aws.fleet.clock() + 60
    del aws.fleet.requests[old]
    states = machines.standing_requests([shown, new, old])
    assert not isinstance(states, AwsError)
    assert states[shown] == "active"
    assert {states[one].kind for one in (new, old)} == {ErrorKind.MISSING}  # type: ignore[union-attr]


def test_a_request_that_ec2_neither_shows_nor_denies_is_not_known(
    aws: Emulator, machines: Ec2Machines
) -> None:
    (one,) = spot_requests(aws, 1)
    empty = "<R><spotInstanceRequestSet/></R>"
    aws.faults.add("DescribeSpotInstanceRequests", raw(200, empty), times=1)
    states = machines.standing_requests([one])
    assert not isinstance(states, AwsError)
    assert isinstance(states[one], AwsError)


@pytest.mark.parametrize("anonymous", [False, True])
def test_many_forgotten_requests_are_few_calls(
    aws: Emulator, machines: Ec2Machines, *, anonymous: bool
) -> None:
    requests = spot_requests(aws, 250)
    aws.quirks.anonymous_errors = anonymous
    for one in requests[:-20]:
        del aws.fleet.requests[one]
    states = machines.standing_requests(requests)
    assert not isinstance(states, AwsError)
    assert states.keys() == set(requests)
    assert {states[one] for one in requests[:-20]}.isdisjoint({None, "active"})
    assert aws.calls.count("DescribeSpotInstanceRequests") <= APART + 2


def test_more_than_a_call_s_filters_hold_are_several_calls(
    aws: Emulator, machines: Ec2Machines
) -> None:
    ids = [
        aws.fleet.launch(spot="persistent", tags={"LogicalAgentId": f"a{n}"}) for n in range(201)
    ]
    requests = {aws.fleet.instances[one].spot_request_id or "": one for one in ids}
    assert machines.standing_requests(requests) == dict.fromkeys(requests, "active")
    assert machines.live_from(requests) == {one: request for request, one in requests.items()}
    for found in (
        machines.neighbours({f"a{n}" for n in range(201)}, ()),
        machines.neighbours((), ids),
    ):
        assert not isinstance(found, AwsError)
        assert {one.instance_id for one in found} == set(ids)


def test_the_fleet_is_counted_by_tags_or_by_the_worker_s(
    aws: Emulator, machines: Ec2Machines
) -> None:
    aws.fleet.launch(tags=OURS)
    aws.fleet.launch(tags={"ReplicaId": "r", "ParentInstance": "p"})
    aws.fleet.launch(tags={"ReplicaId": "r"})
    assert machines.fleet_size(OURS, or_keys=()) == 1
    assert machines.fleet_size(OURS, or_keys=("ReplicaId", "ParentInstance")) == 2
