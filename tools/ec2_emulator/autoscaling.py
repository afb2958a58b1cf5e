"""Auto Scaling: the end of a member on the group's own terms."""

from collections.abc import Mapping
from typing import Any

from tools.ec2_emulator.clock import as_datetime
from tools.ec2_emulator.errors import AwsError
from tools.ec2_emulator.instance import USER
from tools.ec2_emulator.world import Handler, World


def terminate_instance_in_auto_scaling_group(
    world: World, parameters: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The group need not replace the member if its desired capacity shrinks with it.

    Neither EC2's termination protection nor the group's protection from scale-in keeps a member
    (https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-instance-protection.html).
    A second call for a member that waits in a hook shrinks the group once more: what EC2 does
    then is not documented, and this is the worst.
    """
    fleet = world.fleet
    fleet.settle()
    instance = fleet.get(parameters["InstanceId"])
    if instance is None or instance.group is None or not instance.live:
        raise AwsError(
            "ValidationError",
            "Instance Id not found - No managed instance found for instance ID: "
            f"{parameters['InstanceId']}",
        )
    group = fleet.groups[instance.group]
    if parameters["ShouldDecrementDesiredCapacity"]:
        if group.desired <= group.min_size:
            raise AwsError(
                "ValidationError",
                f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance "
                "without replacement will violate group's min size constraint. Either set "
                "shouldDecrementDesiredCapacity flag to false or lower group's min size.",
            )
        group.desired -= 1
    if group.hook and not group.retains(instance.id):
        group.waiting.add(instance.id)
    else:
        fleet.end(instance, USER)
    return {
        "Activity": {
            "ActivityId": f"00000000-0000-4000-9000-{instance.sequence:012x}",
            "AutoScalingGroupName": group.name,
            "Description": f"Terminating EC2 instance: {instance.id}",
            "Cause": f"instance {instance.id} was taken out of service in response to a user request.",
            "StartTime": as_datetime(world.clock()),
            "StatusCode": "InProgress",
            "Progress": 0,
        }
    }


def describe_auto_scaling_instances(
    world: World, parameters: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Members by their ids, with where each is in its life; ids of no member are left out."""
    fleet = world.fleet
    fleet.settle()
    members = [fleet.get(instance_id) for instance_id in parameters["InstanceIds"]]
    return {
        "AutoScalingInstances": [
            {
                "InstanceId": one.id,
                "AutoScalingGroupName": one.group,
                "AvailabilityZone": one.zone,
                "LifecycleState": fleet.groups[one.group].state_of(one.id),
                "HealthStatus": "HEALTHY",
                "ProtectedFromScaleIn": one.id in fleet.groups[one.group].protected_from_scale_in,
            }
            for one in members
            if one is not None and one.group is not None and one.live
        ]
    }


OPERATIONS: Mapping[str, Handler] = {
    "DescribeAutoScalingInstances": describe_auto_scaling_instances,
    "TerminateInstanceInAutoScalingGroup": terminate_instance_in_auto_scaling_group,
}
