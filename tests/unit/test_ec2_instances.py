"""What is asked of EC2, and how its answers are read; botocore validates both."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError
from botocore.stub import Stubber

from handler.aws.errors import AwsError, ErrorKind
from handler.instances.ec2 import FILTER_VALUES, Ec2Machines
from handler.instances.model import Ending, Instance, State
from handler.instances.ports import Accepted, Change
from tests.fakes.build import iid

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_ec2 import EC2Client

KEYS: dict[str, Any] = {
    "region_name": "us-east-1",
    "aws_access_key_id": "testing",
    "aws_secret_access_key": "testing",
    "config": Config(retries={"total_max_attempts": 1}),
}
LIVE = ["pending", "running", "stopping", "stopped"]


def ec2_client() -> EC2Client:
    return boto3.client("ec2", **KEYS)


class Ec2:
    """The adapter over stubbed clients: an unexpected call, or another argument, is an error."""

    def __init__(self) -> None:
        client = ec2_client()
        groups: AutoScalingClient = boto3.client("autoscaling", **KEYS)
        self.ec2, self.groups = Stubber(client), Stubber(groups)
        self.machines = Ec2Machines(client, lambda: groups)

    def describes(self, filters: dict[str, list[str]], *pages: list[dict[str, Any]]) -> None:
        for number, instances in enumerate(pages, start=1):
            asked: dict[str, Any] = {
                "Filters": [{"Name": name, "Values": values} for name, values in filters.items()]
            }
            if number > 1:
                asked["NextToken"] = str(number - 1)
            answer: dict[str, Any] = {"Reservations": [{"Instances": [one]} for one in instances]}
            if number < len(pages):
                answer["NextToken"] = str(number)
            self.ec2.add_response("describe_instances", answer, asked)


@pytest.fixture
def ec2() -> Iterator[Ec2]:
    stubbed = Ec2()
    with stubbed.ec2, stubbed.groups:
        yield stubbed
        stubbed.ec2.assert_no_pending_responses()
        stubbed.groups.assert_no_pending_responses()


def shown(number: int = 1, state: str = "running", **fields: Any) -> dict[str, Any]:
    return {
        "InstanceId": iid(number),
        "State": {"Code": 16, "Name": state},
        "Placement": {"AvailabilityZone": "us-east-1a"},
    } | fields


def test_an_instance_is_read_with_zone_tags_and_request(ec2: Ec2) -> None:
    tags = [{"Key": "ManagedBy", "Value": "SpotOptimizer"}, {"Key": "Empty", "Value": ""}]
    raw = shown(Tags=tags, SpotInstanceRequestId="sir-12345678")
    ec2.describes({"instance-id": [iid(1)]}, [raw])
    sight = ec2.machines.look([iid(1)])
    assert sight.seen == {
        iid(1): Instance(
            iid(1),
            State.RUNNING,
            "us-east-1a",
            {"ManagedBy": "SpotOptimizer", "Empty": ""},
            None,
            "sir-12345678",
        )
    }
    assert sight.unreadable == {}


def test_an_instance_of_few_words_is_read(ec2: Ec2) -> None:
    raw = {"InstanceId": iid(1), "State": {"Name": "terminated"}}
    ec2.describes({"instance-id": [iid(1)]}, [raw])
    seen = ec2.machines.look([iid(1)]).seen[iid(1)]
    assert (seen.zone, seen.tags, seen.ending) == ("", {}, Ending(by_api=False, at=None))


def test_an_unknown_id_is_absent(ec2: Ec2) -> None:
    ec2.describes({"instance-id": [iid(1), iid(2)]}, [shown(2)])
    sight = ec2.machines.look([iid(1), iid(2)])
    assert (set(sight.seen), sight.unreadable) == ({iid(2)}, {})


def test_every_page_is_read(ec2: Ec2) -> None:
    ids = [iid(n) for n in range(3)]
    ec2.describes({"instance-id": ids}, [shown(0)], [], [shown(1), shown(2)])
    assert set(ec2.machines.look(ids).seen) == set(ids)


def test_a_filter_takes_200_ids(ec2: Ec2) -> None:
    """AWS, DescribeInstances."""
    ids = [iid(n) for n in range(FILTER_VALUES + 1)]
    ec2.describes({"instance-id": ids[:200]}, [shown(0)])
    ec2.describes({"instance-id": ids[200:]}, [shown(200)])
    assert set(ec2.machines.look(ids).seen) == {iid(0), iid(200)}


def test_no_ids_is_no_call(ec2: Ec2) -> None:
    assert ec2.machines.look([]).seen == {}


def test_half_an_answer_makes_all_of_its_ids_unreadable(ec2: Ec2) -> None:
    """What stands on the page that failed must not look unknown, hence gone."""
    asked: dict[str, Any] = {"Filters": [{"Name": "instance-id", "Values": [iid(1), iid(2)]}]}
    page = {"Reservations": [{"Instances": [shown(1)]}], "NextToken": "1"}
    ec2.ec2.add_response("describe_instances", page, asked)
    ec2.ec2.add_client_error("describe_instances", "RequestLimitExceeded", "slow down", 503)
    sight = ec2.machines.look([iid(1), iid(2)])
    assert sight.seen == {}
    assert {e.kind for e in sight.unreadable.values()} == {ErrorKind.THROTTLED}
    assert set(sight.unreadable) == {iid(1), iid(2)}


def test_one_chunk_s_trouble_is_its_own(ec2: Ec2) -> None:
    ids = [iid(n) for n in range(201)]
    ec2.ec2.add_client_error("describe_instances", "InternalError", "oops", 500)
    ec2.describes({"instance-id": ids[200:]}, [shown(200)])
    sight = ec2.machines.look(ids)
    assert set(sight.seen) == {iid(200)}
    assert set(sight.unreadable) == set(ids[:200])


def test_a_state_that_did_not_exist_when_this_was_written_is_unreadable(ec2: Ec2) -> None:
    ec2.describes({"instance-id": [iid(1), iid(2)]}, [shown(1, "hibernating"), shown(2)])
    sight = ec2.machines.look([iid(1), iid(2)])
    assert set(sight.seen) == {iid(2)}
    assert sight.unreadable[iid(1)].code == "UnknownState"


AT = datetime(2025, 11, 25, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("transition", "code", "ending"),
    [
        (
            "User initiated (2025-11-25 12:30:00 GMT)",
            "Client.UserInitiatedShutdown",
            Ending(by_api=True, at=AT),
        ),
        (
            "User initiated (2025-11-25 12:30:00 UTC)",
            "Client.UserInitiatedShutdown",
            Ending(by_api=True, at=AT),
        ),
        ("User initiated (2025-11-25 12:30:00 GMT)", None, Ending(by_api=True, at=AT)),
        ("User initiated", "Client.UserInitiatedShutdown", Ending(by_api=True, at=None)),
        ("User initiated (yesterday)", None, Ending(by_api=True, at=None)),
        ("User initiated (2025-11-25 12:30:00 CET)", None, Ending(by_api=True, at=None)),
        (
            "User initiated (2025-11-25 12:30:00 GMT)",
            "Client.InstanceInitiatedShutdown",
            Ending(by_api=False, at=AT),
        ),
        (
            "Server.SpotInstanceTermination: Instance terminated (2025-11-25 12:30:00 GMT)",
            "Server.SpotInstanceTermination",
            Ending(by_api=False, at=AT),
        ),
        (
            "User initiated (2025-11-25 12:30:00 GMT)",
            "Server.SpotInstanceTermination",
            Ending(by_api=False, at=AT),
        ),
        ("Server.InternalError", "Server.InternalError", Ending(by_api=False, at=None)),
        ("", "Client.UserInitiatedShutdown", Ending(by_api=False, at=None)),
        (None, None, Ending(by_api=False, at=None)),
    ],
)
@pytest.mark.parametrize("state", ["shutting-down", "terminated"])
def test_the_ending_says_who_and_when(
    ec2: Ec2, state: str, transition: str | None, code: str | None, ending: Ending
) -> None:
    """ec2.md: EC2 itself remembers when and how an instance ended."""
    raw = shown(state=state)
    if transition is not None:
        raw["StateTransitionReason"] = transition
    if code is not None:
        raw["StateReason"] = {"Code": code, "Message": f"{code}: words"}
    ec2.describes({"instance-id": [iid(1)]}, [raw])
    assert ec2.machines.look([iid(1)]).seen[iid(1)].ending == ending


@pytest.mark.parametrize("state", LIVE)
def test_a_live_instance_has_no_ending(ec2: Ec2, state: str) -> None:
    """A stopped one carries the reason of its stop."""
    raw = shown(state=state, StateTransitionReason="User initiated (2025-11-25 12:30:00 GMT)")
    ec2.describes({"instance-id": [iid(1)]}, [raw])
    assert ec2.machines.look([iid(1)]).seen[iid(1)].ending is None


@pytest.mark.parametrize("dry_run", [False, True])
def test_terminating_asks_for_ids_and_nothing_else(ec2: Ec2, *, dry_run: bool) -> None:
    """Neither Force nor SkipOsShutdown (ec2.md)."""
    change = {
        "InstanceId": iid(1),
        "PreviousState": {"Name": "running"},
        "CurrentState": {"Name": "shutting-down"},
    }
    ec2.ec2.add_response(
        "terminate_instances",
        {"TerminatingInstances": [change], "ResponseMetadata": {"RequestId": "req-1"}},
        {"InstanceIds": [iid(1)], "DryRun": dry_run},
    )
    answer = ec2.machines.terminate((iid(1),), dry_run=dry_run)
    assert answer == Accepted({iid(1): Change("running", "shutting-down")}, "req-1")


def test_a_dry_run_that_would_have_worked_is_accepted(ec2: Ec2) -> None:
    ec2.ec2.add_client_error("terminate_instances", "DryRunOperation", "would have", 412)
    answer = ec2.machines.terminate([iid(1)], dry_run=True)
    assert isinstance(answer, Accepted)
    assert answer.changes == {}


def test_a_dry_run_that_is_not_allowed_is_an_error(ec2: Ec2) -> None:
    ec2.ec2.add_client_error("terminate_instances", "UnauthorizedOperation", "no", 403)
    answer = ec2.machines.terminate([iid(1)], dry_run=True)
    assert isinstance(answer, AwsError)
    assert answer.kind is ErrorKind.REFUSED


def test_a_refusal_is_a_value_with_the_ids_that_it_names(ec2: Ec2) -> None:
    said = f"The instance ID '{iid(2)}' does not exist"
    ec2.ec2.add_client_error("terminate_instances", "InvalidInstanceID.NotFound", said, 400)
    answer = ec2.machines.terminate([iid(1), iid(2)], dry_run=False)
    assert isinstance(answer, AwsError)
    assert (answer.kind, answer.named) == (ErrorKind.MISSING, frozenset({iid(2)}))


def test_a_time_out_is_no_answer() -> None:
    client = ec2_client()

    def time_out(request: AWSRequest, **_: Any) -> None:
        raise ReadTimeoutError(endpoint_url=str(request.url))

    client.meta.events.register("before-send.ec2.TerminateInstances", time_out)
    answer = Ec2Machines(client, lambda: None).terminate([iid(1)], dry_run=False)  # type: ignore[arg-type, return-value]
    assert isinstance(answer, AwsError)
    assert (answer.kind, answer.code) == (ErrorKind.NO_ANSWER, "ReadTimeoutError")


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>portal</html>", b"<TerminateInstancesResponse>", b"ok", b"{}", b"\xff\xff"],
)
@pytest.mark.parametrize("call", ["terminate", "look", "cancel", "standing"])
def test_a_200_that_is_not_aws_s_is_no_answer_and_no_success(call: str, body: bytes) -> None:
    """Half a body, or a proxy's page: the call may or may not have been carried out."""
    client = ec2_client()

    class Raw:
        def stream(self, **_: Any) -> Iterator[bytes]:
            yield body

    def answer_so(request: AWSRequest, **_: Any) -> Any:
        return AWSResponse(str(request.url), 200, HTTPHeaders(), Raw())

    client.meta.events.register("before-send.ec2", answer_so)
    machines = Ec2Machines(client, lambda: None)  # type: ignore[arg-type, return-value]
    answer: object
    if call == "terminate":
        answer = machines.terminate([iid(1)], dry_run=False)
    elif call == "cancel":
        answer = machines.cancel_requests(["sir-12345678"], dry_run=False)
    elif call == "standing":
        answer = machines.standing_requests(["sir-12345678"])
    else:
        sight = machines.look([iid(1)])
        assert sight.seen == {}
        answer = sight.unreadable.get(iid(1))
    assert isinstance(answer, AwsError)
    assert answer.kind is ErrorKind.NO_ANSWER


def in_group(ec2: Ec2, *states: str) -> None:
    ec2.groups.add_response(
        "describe_auto_scaling_instances",
        {
            "AutoScalingInstances": [
                {
                    "InstanceId": iid(1),
                    "AutoScalingGroupName": "web",
                    "AvailabilityZone": "us-east-1a",
                    "LifecycleState": state,
                    "HealthStatus": "HEALTHY",
                    "ProtectedFromScaleIn": False,
                }
                for state in states
            ],
            "ResponseMetadata": {"RequestId": "req-0"},
        },
        {"InstanceIds": [iid(1)]},
    )


@pytest.mark.parametrize("states", [("InService",), ("Standby",), ()])
def test_a_group_is_made_smaller(ec2: Ec2, states: tuple[str, ...]) -> None:
    in_group(ec2, *states)
    ec2.groups.add_response(
        "terminate_instance_in_auto_scaling_group",
        {"ResponseMetadata": {"RequestId": "req-1"}},
        {"InstanceId": iid(1), "ShouldDecrementDesiredCapacity": True},
    )
    answer = ec2.machines.shrink(iid(1))
    assert answer == Accepted({iid(1): Change("running", "shutting-down")}, "req-1")


@pytest.mark.parametrize("state", ["Terminating", "Terminating:Wait", "Terminating:Proceed"])
def test_a_member_that_is_leaving_makes_its_group_smaller_once(ec2: Ec2, state: str) -> None:
    in_group(ec2, state)
    answer = ec2.machines.shrink(iid(1))
    assert answer == Accepted({iid(1): Change("running", "shutting-down")}, "req-0")


def test_a_group_that_refuses_is_a_value(ec2: Ec2) -> None:
    in_group(ec2, "InService")
    ec2.groups.add_client_error(
        "terminate_instance_in_auto_scaling_group", "ScalingActivityInProgress", "wait", 400
    )
    answer = ec2.machines.shrink(iid(1))
    assert isinstance(answer, AwsError)
    assert answer.code == "ScalingActivityInProgress"


def test_the_fleet_is_what_is_live_and_bears_every_tag(ec2: Ec2) -> None:
    filters = {"tag:A": ["1"], "tag:B": ["2"], "instance-state-name": LIVE}
    ec2.describes(filters, [shown(1), shown(2)], [shown(3)])
    assert ec2.machines.fleet_size({"A": "1", "B": "2"}) == 3


def test_without_tags_the_fleet_is_all_that_is_live(ec2: Ec2) -> None:
    ec2.describes({"instance-state-name": LIVE}, [shown(1)])
    assert ec2.machines.fleet_size({}) == 1


def test_a_fleet_that_cannot_be_counted_is_an_error_and_not_a_small_one(ec2: Ec2) -> None:
    page = {"Reservations": [{"Instances": [shown(1)]}], "NextToken": "1"}
    ec2.ec2.add_response("describe_instances", page)
    ec2.ec2.add_client_error("describe_instances", "RequestLimitExceeded", "slow down", 503)
    assert isinstance(ec2.machines.fleet_size({}), AwsError)


@pytest.mark.parametrize(
    ("value", "literal"), [("a*b", r"a\*b"), ("a?", r"a\?"), ("a\\b", r"a\\b"), ("plain", "plain")]
)
def test_wildcards_in_tag_values_are_taken_literally(ec2: Ec2, value: str, literal: str) -> None:
    """EC2, "Filter using wildcards": another workload's machine must not count as a peer."""
    ec2.describes({"tag:A": [literal], "instance-state-name": LIVE}, [])
    ec2.describes({"tag:A": [literal], "instance-state-name": ["running"]}, [])
    assert ec2.machines.fleet_size({"A": value}) == 0
    assert ec2.machines.running_with("A", [value]) == {}


def test_running_peers_come_with_their_workload(ec2: Ec2) -> None:
    tags = [{"Key": "Other", "Value": "x"}, {"Key": "LogicalAgentId", "Value": "shop"}]
    filters = {"tag:LogicalAgentId": ["shop"], "instance-state-name": ["running"]}
    ec2.describes(filters, [shown(1, Tags=tags)])
    assert ec2.machines.running_with("LogicalAgentId", ["shop"]) == {iid(1): "shop"}


def test_live_instances_come_with_their_request(ec2: Ec2) -> None:
    filters = {"spot-instance-request-id": ["sir-12345678"], "instance-state-name": LIVE}
    ec2.describes(filters, [shown(1, SpotInstanceRequestId="sir-12345678")])
    assert ec2.machines.live_from({"sir-12345678": 1}) == {iid(1): "sir-12345678"}


@pytest.mark.parametrize("call", ["running_with", "live_from"])
def test_a_look_up_that_fails_half_way_is_an_error(ec2: Ec2, call: str) -> None:
    values = [f"v{n}" for n in range(201)]
    ec2.ec2.add_response("describe_instances", {"Reservations": []})
    ec2.ec2.add_client_error("describe_instances", "InternalError", "oops", 500)
    arguments = ("A", values) if call == "running_with" else (values,)
    assert isinstance(getattr(ec2.machines, call)(*arguments), AwsError)


def test_only_persistent_requests_that_are_not_over_stand(ec2: Ec2) -> None:
    ec2.ec2.add_response(
        "describe_spot_instance_requests",
        {"SpotInstanceRequests": [{"SpotInstanceRequestId": "sir-12345678"}]},
        {
            "Filters": [
                {"Name": "spot-instance-request-id", "Values": ["sir-12345678", "sir-2"]},
                {"Name": "type", "Values": ["persistent"]},
                {"Name": "state", "Values": ["open", "active", "disabled"]},
            ]
        },
    )
    assert ec2.machines.standing_requests(["sir-12345678", "sir-2"]) == frozenset({"sir-12345678"})


def test_requests_that_cannot_be_looked_up_are_an_error(ec2: Ec2) -> None:
    ec2.ec2.add_client_error("describe_spot_instance_requests", "UnauthorizedOperation", "no", 403)
    assert isinstance(ec2.machines.standing_requests(["sir-12345678"]), AwsError)


def test_a_cancelled_request_comes_with_its_state(ec2: Ec2) -> None:
    done = {"SpotInstanceRequestId": "sir-12345678", "State": "cancelled"}
    ec2.ec2.add_response(
        "cancel_spot_instance_requests",
        {"CancelledSpotInstanceRequests": [done], "ResponseMetadata": {"RequestId": "req-1"}},
        {"SpotInstanceRequestIds": ["sir-12345678"], "DryRun": False},
    )
    answer = ec2.machines.cancel_requests(["sir-12345678"], dry_run=False)
    assert isinstance(answer, Accepted)
    assert answer.changes["sir-12345678"].current == "cancelled"


def test_a_dry_cancel_that_would_have_worked_is_accepted(ec2: Ec2) -> None:
    ec2.ec2.add_client_error("cancel_spot_instance_requests", "DryRunOperation", "would", 412)
    assert isinstance(ec2.machines.cancel_requests(["sir-12345678"], dry_run=True), Accepted)
