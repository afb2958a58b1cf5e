"""EC2's operations on Spot requests."""

from collections.abc import Mapping, Sequence
from typing import Any

from tools.ec2_emulator import errors
from tools.ec2_emulator.clock import as_datetime
from tools.ec2_emulator.errors import AwsError
from tools.ec2_emulator.instance import USER
from tools.ec2_emulator.listing import Values, page, select, tag_list
from tools.ec2_emulator.spot import SpotRequest
from tools.ec2_emulator.world import Handler, World

_STATUS = {
    "active": "fulfilled",
    "open": "pending-evaluation",
    "disabled": "instance-stopped-by-user",
    "closed": "instance-terminated-by-user",
    "cancelled": "request-canceled-and-instance-running",
}
_FILTERS: Mapping[str, Values[SpotRequest]] = {
    "spot-instance-request-id": lambda request: [request.id],
    "instance-id": lambda request: [request.instance_id] if request.instance_id else [],
    "state": lambda request: [request.state],
    "type": lambda request: [request.type],
}


def describe_spot_instance_requests(
    world: World, parameters: Mapping[str, Any]
) -> Mapping[str, Any]:
    """What is known by now; by its id, too, a new one "does not exist" for a while.

    Seen by https://github.com/cloudfoundry/bosh/pull/577 and
    https://github.com/aws/aws-sdk-ruby/issues/1559. Old ones do not exist any more, while their
    instances run (https://github.com/NixOS/nixops/pull/1022).
    """
    world.fleet.settle()
    ids = parameters.get("SpotInstanceRequestIds", [])
    now = world.clock()
    known = {key: one for key, one in world.fleet.requests.items() if one.unseen_until <= now}
    requests = _named(known, ids) if ids else list(known.values())
    order = {key: number for number, key in enumerate(world.fleet.requests)}
    found = select(requests, parameters.get("Filters", []), _FILTERS, lambda each: each.tags)
    some, token = page(found, lambda each: order[each.id], parameters)
    return {"SpotInstanceRequests": [_described(each) for each in some], "NextToken": token}


def cancel_spot_instance_requests(world: World, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """One unknown id fails the whole call, and so does a request whose tags the role may not touch."""
    world.fleet.settle()
    requests = _named(world.fleet.requests, parameters.get("SpotInstanceRequestIds", []))
    world.policy.check_requests(
        "ec2:CancelSpotInstanceRequests", ((each.id, each.tags) for each in requests)
    )
    if parameters.get("DryRun"):
        raise errors.dry_run()
    return {
        "CancelledSpotInstanceRequests": [
            {"SpotInstanceRequestId": each.id, "State": _cancelled(world, each)}
            for each in requests
        ]
    }


def _cancelled(world: World, request: SpotRequest) -> str:
    odd = world.quirks.odd_cancellations
    if request.id in odd:
        return odd[request.id]
    instance = world.fleet.get(request.instance_id or "")
    ends = request.cancel() and not world.quirks.cancelling_keeps_stopped
    if ends and instance is not None:
        world.fleet.end(instance, USER)
    return request.state


def _named(known: Mapping[str, SpotRequest], ids: Sequence[str]) -> list[SpotRequest]:
    unknown = next((key for key in ids if key not in known), None)
    if unknown is not None:
        raise AwsError(
            "InvalidSpotInstanceRequestID.NotFound",
            f"The spot instance request ID '{unknown}' does not exist",
        )
    return [known[key] for key in dict.fromkeys(ids)]


def _described(request: SpotRequest) -> dict[str, Any]:
    code = _STATUS[request.state]
    return {
        "SpotInstanceRequestId": request.id,
        "InstanceId": request.instance_id,
        "State": request.state,
        "Type": request.type,
        "Status": {"Code": code, "Message": code, "UpdateTime": as_datetime(request.created_at)},
        "CreateTime": as_datetime(request.created_at),
        "LaunchSpecification": {"ImageId": request.image_id} if request.image_id else None,
        "Tags": tag_list(request.tags) or None,
    }


OPERATIONS: Mapping[str, Handler] = {
    "CancelSpotInstanceRequests": cancel_spot_instance_requests,
    "DescribeSpotInstanceRequests": describe_spot_instance_requests,
}
