"""EC2's operations on instances, with the checks in the order in which EC2 makes them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tools.ec2_emulator import errors
from tools.ec2_emulator.clock import as_datetime
from tools.ec2_emulator.errors import AwsError
from tools.ec2_emulator.instance import STATE_CODES, USER, Instance, View
from tools.ec2_emulator.life_size import members
from tools.ec2_emulator.listing import Values, page, select, tag_list
from tools.ec2_emulator.world import Handler, World

MAX_IDS = 1_000
_ID = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")
# Seen by https://github.com/aws/eks-node-monitoring-agent/pull/151: refused by a resource's policy.
_MANAGED_BY_A_SERVICE = (
    "of an explicit deny in a resource-based policy: the instance is managed by an AWS service"
)
_Shown = tuple[Instance, View]

_FILTERS: Mapping[str, Values[_Shown]] = {
    "instance-id": lambda shown: [shown[0].id],
    "instance-state-name": lambda shown: [shown[1].state],
    "instance-type": lambda shown: [shown[0].type],
    "availability-zone": lambda shown: [shown[0].zone],
    "image-id": lambda shown: [shown[0].image_id],
    "instance-lifecycle": lambda shown: ["spot"] if shown[0].spot_request_id else [],
    "spot-instance-request-id": lambda shown: [shown[0].spot_request_id or ""],
}


def describe_instances(world: World, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is visible, by ids or by filters.

    Two rules are the API reference's, of ids that the caller does not own and of disrupted zones
    (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html), and one is
    the user guide's, of what an AWS service manages
    (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/amazon-ec2-managed-instances.html): hidden
    unless it is asked for by id or with IncludeManagedResources.
    """
    ids = parameters.get("InstanceIds", [])
    if ids and parameters.get("MaxResults") is not None:
        raise AwsError(
            "InvalidParameterCombination",
            "The parameter instancesSet cannot be used with the parameter maxResults",
        )
    _check_form(ids)
    shown = world.fleet.visible(ids or None)
    missing = [key for key in ids if key not in shown and key not in world.fleet.elsewhere]
    if missing:
        raise _not_found(world, missing)
    disrupted = world.quirks.disrupted_zones
    if disrupted and (not ids or any(each.zone in disrupted for each, _ in shown.values())):
        raise AwsError("Unavailable", f"Disrupted: {', '.join(sorted(disrupted))}.")
    candidates = [shown[key] for key in dict.fromkeys(ids) if key in shown]
    if not ids:
        managed_too = parameters.get("IncludeManagedResources", False)
        candidates = [each for each in shown.values() if managed_too or not each[0].hidden]
    found = select(candidates, parameters.get("Filters", []), _FILTERS, lambda each: each[1].tags)
    some, token = page(found, lambda each: each[0].sequence, parameters)
    return {"Reservations": [_reservation(world, each) for each in some], "NextToken": token}


def describe_instance_attribute(world: World, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Termination protection, which no other answer tells."""
    key = parameters["InstanceId"]
    _check_form([key])
    instance = world.fleet.get(key)
    if instance is None:
        raise _not_found(world, [key])
    if parameters["Attribute"] != "disableApiTermination":
        raise AwsError("InvalidParameterValue", "The emulator knows disableApiTermination only.")
    return {"InstanceId": key, "DisableApiTermination": {"Value": instance.protected}}


def terminate_instances(world: World, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """None, all, or all but the zones of protected instances are terminated."""
    ids = list(dict.fromkeys(parameters.get("InstanceIds", [])))
    if not ids:
        raise AwsError("InvalidParameterCombination", "No instances specified")
    if len(ids) > MAX_IDS:
        raise AwsError(
            "InvalidParameterValue", f"Too many instance IDs: {len(ids)}, at most {MAX_IDS} a call"
        )
    _check_form(ids)
    fleet, now = world.fleet, world.clock()
    fleet.settle()
    known = {key: fleet.get(key) for key in ids}
    instances = [each for each in known.values() if each is not None]
    if len(instances) < len(ids):
        raise _not_found(world, [key for key, each in known.items() if each is None])
    for each in instances:
        if each.operator is not None:
            raise world.policy.denied(
                "ec2:TerminateInstances", "instance", each.id, _MANAGED_BY_A_SERVICE
            )
    world.policy.check_instances(
        "ec2:TerminateInstances", ((each.id, fleet.tags_of(each, now)) for each in instances)
    )
    # An instance that has ended is beyond protection.
    guarded = [each for each in instances if each.protected and each.live]
    dry_run = parameters.get("DryRun", False)
    if guarded and (not dry_run or world.quirks.dry_run_sees_protection):
        if not dry_run:
            spared = {each.zone for each in guarded}
            _end(world, [each for each in instances if each.zone not in spared])
        raise errors.protected(guarded[0].id)
    if dry_run:
        raise errors.dry_run()
    return {"TerminatingInstances": _end(world, instances)}


def _end(world: World, instances: Iterable[Instance]) -> list[dict[str, Any]]:
    changes = []
    for instance in instances:
        before = instance.state
        after: str | None = world.fleet.end(instance, USER)
        after = world.quirks.odd_states.get(instance.id, after)
        if after is not None:
            changes.append(
                {
                    "InstanceId": instance.id,
                    "CurrentState": _state(after),
                    "PreviousState": _state(before),
                }
            )
    return changes


def _check_form(ids: Sequence[str]) -> None:
    for each in ids:
        if not _ID.fullmatch(each):
            raise errors.malformed(each)


def _not_found(world: World, ids: Iterable[str]) -> AwsError:
    return errors.not_found(ids, named=not world.quirks.unnamed_not_found)


def _state(name: str) -> dict[str, Any]:
    return {"Code": STATE_CODES[name], "Name": name}


def _reservation(world: World, shown: _Shown) -> dict[str, Any]:
    instance, view = shown
    cause = view.cause
    described = members(instance, world.account, world.region) if world.life_size else {}
    described |= {
        "InstanceId": instance.id,
        "ImageId": instance.image_id,
        "InstanceType": instance.type,
        "State": _state(view.state),
        "StateTransitionReason": view.transition_reason,
        "StateReason": {"Code": cause.code, "Message": cause.message} if cause else None,
        "LaunchTime": as_datetime(instance.launched_at),
        "Placement": {"AvailabilityZone": instance.zone, "Tenancy": "default"},
        "InstanceLifecycle": "spot" if instance.spot_request_id else None,
        "SpotInstanceRequestId": instance.spot_request_id,
        "Tags": tag_list(view.tags) or None,
        "Operator": _operator(instance),
    }
    return {
        "ReservationId": instance.reservation_id,
        "OwnerId": world.account,
        "Instances": [described],
    }


def _operator(instance: Instance) -> dict[str, Any]:
    operator = instance.operator
    if operator is None:
        return {"Managed": False}
    return {
        "Managed": True,
        "Principal": operator.principal,
        "HiddenByDefault": operator.hidden,
    }


OPERATIONS: Mapping[str, Handler] = {
    "DescribeInstanceAttribute": describe_instance_attribute,
    "DescribeInstances": describe_instances,
    "TerminateInstances": terminate_instances,
}
