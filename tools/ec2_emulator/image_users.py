"""Auto Scaling's and Parameter Store's lists, as far as they refer to images."""

from collections.abc import Mapping
from typing import Any

from tools.ec2_emulator.errors import AwsError
from tools.ec2_emulator.listing import page
from tools.ec2_emulator.world import Handler, World

NAMES_AT_ONCE = 10


def describe_launch_configurations(
    world: World, parameters: Mapping[str, Any]
) -> Mapping[str, Any]:
    some, token = _records(world.library.configurations, parameters)
    return {
        "LaunchConfigurations": [
            {"LaunchConfigurationName": name, "ImageId": image} for name, image in some
        ],
        "NextToken": token,
    }


def describe_auto_scaling_groups(world: World, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    some, token = _records(world.library.groups, parameters)
    return {
        "AutoScalingGroups": [
            {
                "AutoScalingGroupName": name,
                "MixedInstancesPolicy": {"LaunchTemplate": {"Overrides": [{"ImageId": image}]}},
            }
            for name, image in some
        ],
        "NextToken": token,
    }


def describe_parameters(world: World, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    kinds = {"String", "StringList", "SecureString"}
    for each in parameters.get("ParameterFilters", []):
        if each["Key"] == "Type":
            kinds &= set(each["Values"])
    found = {name: kind for name, (kind, _) in world.library.parameters.items() if kind in kinds}
    some, token = page(
        list(enumerate(sorted(found))), lambda pair: pair[0], parameters, smallest=1, largest=50
    )
    answer = {"Parameters": [{"Name": name, "Type": found[name]} for _, name in some]}
    return answer if token is None else {**answer, "NextToken": token}


def get_parameters(world: World, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """A selector, `name:version`, is part of what is asked for."""
    names = parameters["Names"]
    if len(names) > NAMES_AT_ONCE:
        raise AwsError("ValidationException", "Member must have length less than or equal to 10")
    known = world.library.parameters
    return {
        "Parameters": [
            {"Name": name, "Type": known[name][0], "Value": known[name][1]}
            for name in names
            if name in known
        ],
        "InvalidParameters": [name for name in names if name not in known],
    }


def _records(
    records: Mapping[str, str], parameters: Mapping[str, Any]
) -> tuple[list[tuple[str, str]], str | None]:
    given = {
        "MaxResults": parameters.get("MaxRecords"),
        "NextToken": parameters.get("NextToken"),
    }
    numbered = list(enumerate(sorted(records.items())))
    some, token = page(numbered, lambda pair: pair[0], given, smallest=1, largest=100)
    return [record for _, record in some], token


AUTOSCALING: Mapping[str, Handler] = {
    "DescribeLaunchConfigurations": describe_launch_configurations,
    "DescribeAutoScalingGroups": describe_auto_scaling_groups,
}
SSM: Mapping[str, Handler] = {
    "DescribeParameters": describe_parameters,
    "GetParameters": get_parameters,
}
