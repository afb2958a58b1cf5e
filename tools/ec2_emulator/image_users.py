"""Auto Scaling's and Parameter Store's lists, as far as they refer to images."""

import re
from collections.abc import Mapping
from typing import Any

from tools.ec2_emulator.errors import AwsError
from tools.ec2_emulator.listing import page
from tools.ec2_emulator.world import Handler, World

NAMES_AT_ONCE = 10
_NAME = re.compile(r"[\w.:/-]+")


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
    """A selector, `name:version`, is part of what is asked for, and a member of its own in the answer.

    One name that may not be read, or that cannot be one, costs the whole call
    (https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html).
    """
    names = parameters["Names"]
    for name in names:
        if not _NAME.fullmatch(name):
            raise AwsError("ValidationException", f"Parameter name: can't be {name}.")
    if denied := [one for one in names if one in world.library.unreadable or _public(one)]:
        raise AwsError(
            "AccessDeniedException",
            f"User: {world.policy.caller} is not authorized to perform: ssm:GetParameters on resource: "
            f"arn:aws:ssm:{world.region}::parameter{denied[0]} because no identity-based policy allows it",
        )
    if len(names) > NAMES_AT_ONCE:
        raise AwsError("ValidationException", "Member must have length less than or equal to 10")
    known = world.library.parameters
    return {
        "Parameters": [
            {
                "Name": name.partition(":")[0],
                "Selector": "".join(name.partition(":")[1:]) or None,
                "Type": known[name][0],
                "Value": known[name][1],
            }
            for name in names
            if name in known
        ],
        "InvalidParameters": [name for name in names if name not in known],
    }


def _public(name: str) -> bool:
    """AWS's own parameters, in no account: a role that may read the account's may not read these."""
    return name.startswith("/aws/service/")


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
