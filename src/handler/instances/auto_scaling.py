"""Members of Auto Scaling groups: how they stand, and how they are terminated."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from handler.aws import error_codes
from handler.aws.errors import AwsError
from handler.aws.lists import AT_ONCE, sound
from handler.aws.retry import OUT_OF_TIME
from handler.deadline import side_by_side
from handler.instances.calls import chunks, once, read_all, request_id
from handler.instances.model import State
from handler.instances.ports import Accepted, Change
from handler.instances.surroundings import Leaving, Member

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_ec2 import EC2Client

MEMBERS = 50
"""Ids of one DescribeAutoScalingInstances call (Auto Scaling API)."""
LEAVING = {
    "Terminating": Leaving.BY_ITSELF,
    "Terminating:Wait": Leaving.BY_ITSELF,
    "Terminating:Proceed": Leaving.BY_ITSELF,
    "Terminated": Leaving.BY_ITSELF,
    "Warmed:Terminating": Leaving.BY_ITSELF,
    "Warmed:Terminating:Wait": Leaving.BY_ITSELF,
    "Warmed:Terminating:Proceed": Leaving.BY_ITSELF,
    "Warmed:Terminated": Leaving.BY_ITSELF,
    "Terminating:Retained": Leaving.RETAINED,
    "Warmed:Terminating:Retained": Leaving.RETAINED,
}
"""Lifecycle states of a member on its way out (Auto Scaling API, LifecycleState), each compared whole."""


def members(
    autoscaling: AutoScalingClient,
    ec2: EC2Client,
    ids: Collection[str],
    left: Callable[[], float],
) -> dict[str, Member | AwsError]:
    """What Auto Scaling shows of each, and EC2 of its termination protection; one not shown is absent.

    EC2's termination protection does not keep Auto Scaling from terminating, so it is asked for: one
    by one, several at once. Those for which the seconds `left` do not suffice are `OUT_OF_TIME`.
    """
    answers: dict[str, Member | AwsError] = dict.fromkeys(ids, OUT_OF_TIME)
    shown: list[dict[str, Any]] = []
    for chunk, found in side_by_side(
        lambda some: _shown(autoscaling, some),
        list(chunks(ids, MEMBERS)),
        at_once=AT_ONCE,
        left=left,
    ):
        if isinstance(found, AwsError):
            answers |= dict.fromkeys(chunk, found)
            continue
        shown += found
        for absent in {*chunk} - {raw["InstanceId"] for raw in found}:
            del answers[absent]
    for raw, protected in side_by_side(
        lambda raw: sound(lambda: _termination_protected(ec2, raw["InstanceId"])),
        shown,
        at_once=AT_ONCE,
        left=left,
    ):
        answers[raw["InstanceId"]] = (
            protected
            if isinstance(protected, AwsError)
            else Member(_leaving(raw), bool(raw.get("ProtectedFromScaleIn")), protected)
        )
    return answers


def terminate_member(autoscaling: AutoScalingClient, instance_id: str) -> Accepted | AwsError:
    """TerminateInstanceInAutoScalingGroup: with decrement, so that the group does not replace it.

    A member that leaves by itself waits in a lifecycle hook for up to 48 hours (AWS, "Lifecycle
    hooks"). It is not asked for again: nobody promises that the group would not get smaller once
    more. A retained one has been replaced already and no longer counts (AWS, "Manage retained
    instances"): it is terminated without decrement.
    """
    shown = _shown(autoscaling, [instance_id])
    if isinstance(shown, AwsError):
        return shown
    leaving = _leaving(shown[0]) if shown else Leaving.NO
    request = None
    if leaving is not Leaving.BY_ITSELF:
        answer = once(
            lambda: autoscaling.terminate_instance_in_auto_scaling_group(
                InstanceId=instance_id, ShouldDecrementDesiredCapacity=leaving is Leaving.NO
            ),
            "Activity",
        )
        if isinstance(answer, AwsError):
            return answer
        request = request_id(answer)
    # The group terminates it after its hooks; accepted is all that there is to know now.
    return Accepted({instance_id: Change(State.RUNNING, State.SHUTTING_DOWN)}, request)


def _shown(autoscaling: AutoScalingClient, ids: Sequence[str]) -> list[dict[str, Any]] | AwsError:
    call, key = "describe_auto_scaling_instances", "AutoScalingInstances"
    return read_all(autoscaling, call, key, InstanceIds=list(ids))


def _termination_protected(ec2: EC2Client, instance_id: str) -> bool | AwsError:
    answer = once(
        lambda: ec2.describe_instance_attribute(
            InstanceId=instance_id, Attribute="disableApiTermination"
        ),
        "DisableApiTermination",
    )
    if isinstance(answer, AwsError):
        return answer
    value = answer["DisableApiTermination"].get("Value")
    return value if isinstance(value, bool) else error_codes.NOT_AWS


def _leaving(raw: Mapping[str, Any]) -> Leaving:
    return LEAVING.get(raw.get("LifecycleState", ""), Leaving.NO)
