"""Auto Scaling: the end of a member on the group's own terms."""

from collections.abc import Mapping
from typing import Any

from tests.emulator.clock import as_datetime
from tests.emulator.errors import AwsError
from tests.emulator.instance import USER
from tests.emulator.world import Handler, World


def terminate_instance_in_auto_scaling_group(
    world: World, parameters: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The group need not replace the member if its desired capacity shrinks with it."""
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


OPERATIONS: Mapping[str, Handler] = {
    "TerminateInstanceInAutoScalingGroup": terminate_instance_in_auto_scaling_group,
}
