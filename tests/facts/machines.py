"""What EC2 says of instances, and how it answers who terminates them."""

from collections.abc import Mapping
from typing import Any

from tests.facts.fact import CUSTODIAN, EC2_API, EC2_GUIDE, Fact, Refusal

ONE = "i-017cf4e2a33b853fe"
_DESCRIBE, _TERMINATE = "ec2.DescribeInstances", "ec2.TerminateInstances"
BY_USER = {"Code": "Client.UserInitiatedShutdown", "Message": "User initiated shutdown"}
_PLAIN = {"ended by a call": None, "ended at": None, "spot request": None, "operator": None}


def _instance(state: str, **members: Any) -> dict[str, Any]:
    codes = {"running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
    shown = {
        "InstanceId": ONE,
        "State": {"Code": codes.get(state, 0), "Name": state},
        "Placement": {"AvailabilityZone": "us-east-1a", "Tenancy": "default"},
    }
    return {"Reservations": [{"Instances": [shown | members]}]}


def _seen(state: str, **more: Any) -> dict[str, Any]:
    words = {key.replace("_", " "): value for key, value in more.items()}
    return {"state": state, "zone": "us-east-1a", **_PLAIN, **words}


def _shown(name: str, source: str, answer: Mapping[str, Any], reading: Mapping[str, Any]) -> Fact:
    return Fact(name, source, _DESCRIBE, answer, reading)


INSTANCES = (
    _shown(
        "a terminated instance tells who ended it and when",
        f"{CUSTODIAN}/test_ec2_terminate/ec2.DescribeInstances_2.json",
        _instance(
            "terminated",
            StateTransitionReason="User initiated (2017-02-12 21:33:48 GMT)",
            StateReason=BY_USER,
        ),
        _seen("terminated", ended_by_a_call=True, ended_at="2017-02-12T21:33:48+00:00"),
    ),
    _shown(
        "one that shuts down tells it already",
        f"{CUSTODIAN}/test_ec2_terminate/ec2.DescribeInstances_2.json",
        _instance(
            "shutting-down",
            StateTransitionReason="User initiated (2017-02-12 21:33:48 GMT)",
            StateReason=BY_USER,
        ),
        _seen("shutting-down", ended_by_a_call=True, ended_at="2017-02-12T21:33:48+00:00"),
    ),
    _shown(
        "a running instance keeps the reason of an earlier stop",
        f"{CUSTODIAN}/test_ec2_state_transition_age_filter/ec2.DescribeInstances_1.json",
        _instance(
            "running",
            StateTransitionReason="User initiated (2015-11-25 10:11:55 GMT)",
            StateReason=BY_USER,
        ),
        _seen("running"),
    ),
    _shown(
        "a terminated instance may give no reason at all",
        f"{CUSTODIAN}/test_ec2_has_specific_managed_policy/ec2.DescribeInstances_1.json",
        _instance("terminated", StateTransitionReason=""),
        _seen("terminated", ended_by_a_call=False),
    ),
    _shown(
        "a hibernating instance is no ended one",
        f"{CUSTODIAN}/test_ec2_stop_hibernate/ec2.DescribeInstances_2.json",
        _instance(
            "stopping",
            StateTransitionReason="User initiated (2020-02-14 22:03:45 GMT)",
            StateReason={"Code": "Client.UserInitiatedHibernate", "Message": "Hibernate"},
        ),
        _seen("stopping"),
    ),
    _shown(
        "a stopped instance is no ended one, whoever stopped it",
        f"{CUSTODIAN}/test_ec2_attached_ebs_filter/ec2.DescribeInstances_1.json",
        _instance(
            "stopped",
            StateTransitionReason="User initiated (2016-11-29 16:23:36 GMT)",
            StateReason=BY_USER,
        ),
        _seen("stopped"),
    ),
    _shown(
        "a Spot interruption is not ended by a call",
        f"{EC2_API}/API_StateReason.html",
        _instance(
            "terminated",
            StateTransitionReason="Service initiated (2023-05-04 11:02:33 GMT)",
            StateReason={
                "Code": "Server.SpotInstanceTermination",
                "Message": "Server.SpotInstanceTermination: Spot Instance termination",
            },
            InstanceLifecycle="spot",
            SpotInstanceRequestId="sir-rg1rrj3k",
        ),
        _seen(
            "terminated",
            ended_by_a_call=False,
            ended_at="2023-05-04T11:02:33+00:00",
            spot_request="sir-rg1rrj3k",
        ),
    ),
    _shown(
        "a shutdown from inside says user initiated all the same",
        f"{EC2_API}/API_StateReason.html",
        _instance(
            "terminated",
            StateTransitionReason="User initiated",
            StateReason={
                "Code": "Client.InstanceInitiatedShutdown",
                "Message": "Client.InstanceInitiatedShutdown: Instance initiated shutdown",
            },
        ),
        _seen("terminated", ended_by_a_call=False),
    ),
    _shown(
        "a volume limit ends an instance at once",
        f"{EC2_API}/API_StateReason.html",
        _instance(
            "terminated",
            StateTransitionReason="Server.InternalError",
            StateReason={"Code": "Client.VolumeLimitExceeded", "Message": "Volume limit exceeded"},
        ),
        _seen("terminated", ended_by_a_call=False),
    ),
    _shown(
        "a Spot instance shows its request and need not be tagged",
        f"{CUSTODIAN}/test_ec2_propagate_spot_tags/ec2.DescribeInstances_1.json",
        _instance(
            "running",
            StateTransitionReason="",
            InstanceLifecycle="spot",
            SpotInstanceRequestId="sir-rg1rrj3k",
        ),
        _seen("running", spot_request="sir-rg1rrj3k"),
    ),
    _shown(
        "an instance that nobody manages says so",
        f"{CUSTODIAN}/ec2_image_metadata_filter/ec2.DescribeInstances_1.json",
        _instance("running", Operator={"Managed": False}),
        _seen("running"),
    ),
    _shown(
        "a managed instance names its operator",
        f"{EC2_API}/API_OperatorResponse.html",
        _instance(
            "running",
            Operator={
                "Managed": True,
                "Principal": "eks.amazonaws.com",
                "HiddenByDefault": True,
            },
        ),
        _seen("running", operator="eks.amazonaws.com"),
    ),
    _shown(
        "an answer that does not speak of the instance says nothing of it",
        f"{EC2_API}/API_DescribeInstances.html",
        {"Reservations": []},
        {"known": False},
    ),
    _shown(
        "a state that is not known today decides nothing",
        f"{EC2_API}/API_InstanceState.html",
        _instance("hibernated"),
        {"known": False},
    ),
    Fact(
        "an unknown id is gone once EC2 names it",
        "https://github.com/boto/boto3/issues/2556",
        _DESCRIBE,
        Refusal("InvalidInstanceID.NotFound", f"The instance ID '{ONE}' does not exist"),
        {"gone": True},
        400,
    ),
    Fact(
        "a zone's disruption says nothing of the instance",
        f"{EC2_API}/API_DescribeInstances.html",
        _DESCRIBE,
        Refusal("Unavailable", "The service is unavailable. Please try again shortly."),
        {"known": False},
        503,
    ),
)


def _change(before: str, after: str, instance_id: str = ONE) -> dict[str, Any]:
    return {
        "InstanceId": instance_id,
        "PreviousState": {"Code": 16, "Name": before},
        "CurrentState": {"Code": 32, "Name": after},
    }


TERMINATIONS = (
    Fact(
        "a termination answers with both states",
        f"{CUSTODIAN}/test_ec2_terminate/ec2.TerminateInstances_1.json",
        _TERMINATE,
        {"TerminatingInstances": [_change("running", "shutting-down")]},
        {ONE: ("running", "shutting-down")},
    ),
    Fact(
        "what was stopped is terminated at once",
        f"{EC2_GUIDE}/terminating-instances.html",
        _TERMINATE,
        {"TerminatingInstances": [_change("stopped", "terminated")]},
        {ONE: ("stopped", "terminated")},
    ),
    Fact(
        "a second termination is no error",
        f"{EC2_API}/API_TerminateInstances.html",
        _TERMINATE,
        {"TerminatingInstances": [_change("terminated", "terminated")]},
        {ONE: ("terminated", "terminated")},
    ),
    Fact(
        "a dry run that would have succeeded is an error with its own status",
        f"{EC2_API}/API_TerminateInstances.html",
        _TERMINATE,
        Refusal("DryRunOperation", "Request would have succeeded, but DryRun flag is set."),
        {},
        412,
    ),
    Fact(
        "a page in the answer's place is no answer",
        "https://github.com/boto/botocore/blob/develop/botocore/parsers.py",
        _TERMINATE,
        "<html><body>Sign in</body></html>",
        {"error": "no-answer"},
    ),
)
