"""What stands around an instance: Spot requests, fleets, groups, protection, the event history."""

import json
from datetime import UTC, datetime
from typing import Any

from tests.facts.fact import CUSTODIAN, EC2_API, EC2_GUIDE, Fact, Refusal
from tests.facts.machines import ONE

_REQUEST, _FLEET, _SPOT_FLEET = "sir-rg1rrj3k", "fleet-1a2b", "sfr-20704b88"
_GROUPS = "https://docs.aws.amazon.com/autoscaling/ec2"
_TRAIL = "https://docs.aws.amazon.com/awscloudtrail/latest"


def _request(state: str, kind: str, name: str, source: str, standing: str | None) -> Fact:
    shown = {"SpotInstanceRequestId": _REQUEST, "State": state, "Type": kind, "InstanceId": ONE}
    return Fact(
        name,
        source,
        "ec2.DescribeSpotInstanceRequests",
        {"SpotInstanceRequests": [shown]},
        {_REQUEST: standing},
    )


REQUESTS = (
    _request(
        "active",
        "persistent",
        "an active persistent request stands",
        f"{EC2_GUIDE}/spot-request-status.html",
        "active",
    ),
    _request(
        "disabled",
        "persistent",
        "a stopped instance's request is disabled and stands",
        f"{EC2_GUIDE}/using-spot-instances-cancel.html",
        "disabled",
    ),
    Fact(
        "cancelling answers with the state that follows",
        f"{EC2_API}/API_CancelledSpotInstanceRequest.html",
        "ec2.CancelSpotInstanceRequests",
        {
            "CancelledSpotInstanceRequests": [
                {"SpotInstanceRequestId": _REQUEST, "State": "cancelled"}
            ]
        },
        {_REQUEST: "cancelled"},
    ),
    Fact(
        "cancelling may answer that the request is active still",
        f"{EC2_API}/API_CancelledSpotInstanceRequest.html",
        "ec2.CancelSpotInstanceRequests",
        {"CancelledSpotInstanceRequests": [{"SpotInstanceRequestId": _REQUEST, "State": "active"}]},
        {_REQUEST: "active"},
    ),
)


def _fleet(kind: str | None, state: str, *, name: str, replaces: bool) -> Fact:
    shown = {"FleetId": _FLEET, "FleetState": state, **({"Type": kind} if kind else {})}
    source = f"{EC2_API}/API_FleetData.html"
    return Fact(name, source, "ec2.DescribeFleets", {"Fleets": [shown]}, {_FLEET: replaces})


def _spot_fleet(kind: str, state: str, *, name: str, replaces: bool) -> Fact:
    shown = {
        "SpotFleetRequestId": _SPOT_FLEET,
        "SpotFleetRequestState": state,
        "SpotFleetRequestConfig": {
            "Type": kind,
            "TargetCapacity": 1,
            "FulfilledCapacity": 0.0,
            "IamFleetRole": "arn:aws:iam::111122223333:role/aws-ec2-spot-fleet-tagging-role",
        },
    }
    source = f"{CUSTODIAN}/test_ec2_spot_fleet_request_query/ec2.DescribeSpotFleetRequests_1.json"
    answer = {"SpotFleetRequestConfigs": [shown]}
    return Fact(name, source, "ec2.DescribeSpotFleetRequests", answer, {_SPOT_FLEET: replaces})


FLEETS = (
    _fleet("maintain", "active", name="a fleet that maintains replaces", replaces=True),
    _fleet("instant", "active", name="an instant fleet does not", replaces=False),
    _fleet("request", "active", name="a requesting fleet does not", replaces=False),
    _fleet("maintain", "modifying", name="a fleet that is modified replaces", replaces=True),
    *(
        _fleet("maintain", state, name=f"a fleet that is {state} does not", replaces=False)
        for state in ("deleted", "deleted_running", "deleted_terminating")
    ),
    _fleet(None, "active", name="a fleet of no type may", replaces=True),
    _spot_fleet("maintain", "active", name="a maintaining Spot Fleet replaces", replaces=True),
    *(
        _spot_fleet(
            "maintain", state, name=f"a Spot Fleet that is {state} does not", replaces=False
        )
        for state in ("cancelled", "cancelled_running", "cancelled_terminating")
    ),
    _spot_fleet("request", "active", name="a requesting Spot Fleet does not", replaces=False),
    Fact(
        "a fleet that EC2 does not know is not answered for",
        "https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ec2/errors.go",
        "ec2.DescribeFleets",
        Refusal("InvalidFleetId.NotFound", f"The fleet ID '{_FLEET}' does not exist"),
        {_FLEET: "unknown"},
        400,
    ),
)


def _member(state: str, *, name: str, source: str, leaving: str, guarded: bool = False) -> Fact:
    shown = {
        "InstanceId": ONE,
        "AutoScalingGroupName": "web",
        "AvailabilityZone": "us-east-1a",
        "LifecycleState": state,
        "HealthStatus": "HEALTHY",
        "ProtectedFromScaleIn": guarded,
    }
    return Fact(
        name,
        source,
        "autoscaling.DescribeAutoScalingInstances",
        {"AutoScalingInstances": [shown]},
        {"leaving": leaving, "protected from scale-in": guarded},
    )


_STATES = f"{_GROUPS}/userguide/ec2-auto-scaling-lifecycle.html"
_RETAINED = f"{_GROUPS}/userguide/manage-retained-instances.html"
MEMBERS = (
    _member("InService", name="a member in service stays", source=_STATES, leaving="no"),
    _member("Standby", name="a member in standby stays", source=_STATES, leaving="no"),
    *(
        _member(
            state, name=f"a member {state} leaves by itself", source=_STATES, leaving="by itself"
        )
        for pool in ("", "Warmed:")
        for state in (
            *(f"{pool}Terminating{hook}" for hook in ("", ":Wait", ":Proceed")),
            f"{pool}Terminated",
        )
    ),
    _member(
        "Terminating:Retained",
        name="a retained member waits to be terminated",
        source=_RETAINED,
        leaving="retained",
    ),
    _member(
        "Warmed:Terminating:Retained",
        name="so does one of a warm pool",
        source=_RETAINED,
        leaving="retained",
    ),
    _member(
        "InService",
        name="a member can be protected from scale-in",
        source=f"{_GROUPS}/userguide/ec2-auto-scaling-instance-protection.html",
        leaving="no",
        guarded=True,
    ),
)


def _protection(value: bool, number: int) -> Fact:
    return Fact(
        f"termination protection is {'on' if value else 'off'}",
        f"{CUSTODIAN}/test_ec2_termination-protected_filter/ec2.DescribeInstanceAttribute_{number}.json",
        "ec2.DescribeInstanceAttribute",
        {"InstanceId": ONE, "DisableApiTermination": {"Value": value}},
        {"protected": value},
    )


PROTECTIONS = (_protection(value=True, number=2), _protection(value=False, number=1))


def _event(name: str, record: dict[str, Any], *, read_only: str = "false") -> dict[str, Any]:
    return {
        "EventId": "1",
        "EventName": name,
        "ReadOnly": read_only,
        "EventTime": datetime(2026, 5, 4, tzinfo=UTC),
        "CloudTrailEvent": json.dumps({"eventName": name} | record),
    }


def _history(name: str, source: str, events: list[dict[str, Any]], *, lived_here: bool) -> Fact:
    reading = {"lived here": lived_here}
    return Fact(name, source, "cloudtrail.LookupEvents", {"Events": events}, reading)


_FLAWS = (
    "https://summitroute.com/blog/2020/10/09/public_dataset_of_cloudtrail_logs_from_flaws_cloud/"
)
_SESSION = {"roleArn": "arn:aws:iam::111122223333:role/machine", "roleSessionName": ONE}
HISTORY = (
    _history(
        "a launch proves that it lived here",
        f"{_TRAIL}/userguide/cloudtrail-event-reference-record-contents.html",
        [_event("RunInstances", {})],
        lived_here=True,
    ),
    _history(
        "a failed call may name anybody's instance",
        f"{_TRAIL}/userguide/cloudtrail-event-reference-record-contents.html",
        [_event("TerminateInstances", {"errorCode": "Client.InvalidInstanceID.NotFound"})],
        lived_here=False,
    ),
    _history(
        "EC2 that assumes the instance's role proves it",
        _FLAWS,
        [
            _event(
                "AssumeRole",
                {
                    "userIdentity": {"type": "AWSService", "invokedBy": "ec2.amazonaws.com"},
                    "requestParameters": _SESSION,
                },
                read_only="true",
            )
        ],
        lived_here=True,
    ),
    _history(
        "a user who names a session after an instance proves nothing",
        "https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html",
        [
            _event(
                "AssumeRole",
                {
                    "userIdentity": {"type": "IAMUser", "userName": "somebody"},
                    "requestParameters": _SESSION,
                },
                read_only="true",
            )
        ],
        lived_here=False,
    ),
    _history(
        "a look at an instance proves nothing",
        f"{_TRAIL}/userguide/view-cloudtrail-events.html",
        [_event("DescribeInstanceAttribute", {}, read_only="true")],
        lived_here=False,
    ),
)
