"""From a signed request to an answer: which service, which operation, which fault."""

import re
import traceback
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tools.ec2_emulator import (
    autoscaling,
    ec2,
    ec2_fleets,
    ec2_image_access,
    ec2_images,
    ec2_spot,
    errors,
    image_users,
)
from tools.ec2_emulator.calls import OK, Call
from tools.ec2_emulator.errors import AwsError
from tools.ec2_emulator.faults import Fault
from tools.ec2_emulator.protocol import Wire, wire
from tools.ec2_emulator.world import Handler, World


def _transact_write_items(world: World, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """What allows the single writes allows this (DynamoDB, "IAM and transactions")."""
    for kind in {kind for one in given["TransactItems"] for kind in one}:
        world.policy.check_action(f"dynamodb:{kind}Item")
    return world.tables.transact_write_items(given)


OPERATIONS: Mapping[str, Mapping[str, Handler]] = {
    "ec2": {
        **ec2.OPERATIONS,
        **ec2_fleets.OPERATIONS,
        **ec2_spot.OPERATIONS,
        **ec2_images.OPERATIONS,
        **ec2_image_access.OPERATIONS,
    },
    "autoscaling": {**autoscaling.OPERATIONS, **image_users.AUTOSCALING},
    "cloudtrail": {"LookupEvents": lambda world, given: world.trail.lookup_events(given)},
    "ssm": {
        "GetParameter": lambda world, given: world.parameters.get_parameter(given),
        **image_users.SSM,
    },
    "dynamodb": {
        "PutItem": lambda world, given: world.tables.put_item(given),
        "GetItem": lambda world, given: world.tables.get_item(given),
        "UpdateItem": lambda world, given: world.tables.update_item(given),
        "DeleteItem": lambda world, given: world.tables.delete_item(given),
        "BatchGetItem": lambda world, given: world.tables.batch_get_item(given),
        "BatchWriteItem": lambda world, given: world.tables.batch_write_item(given),
        "TransactWriteItems": _transact_write_items,
    },
}
_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back over the socket; no body at all means that the connection closes."""

    status: int = 200
    content_type: str = "text/plain"
    request_id: str = ""
    body: bytes | None = None
    complete: bool = True  # False: the connection closes in the middle of the body
    headers: Mapping[str, str] = field(default_factory=dict)


CLOSED = Answer()


def answer(world: World, headers: Mapping[str, str], body: bytes) -> Answer:
    """Answer one request; it is logged before the client can know."""
    scope = _SCOPE.search(headers.get("Authorization", ""))
    if scope is None or scope["service"] not in OPERATIONS:
        asked = scope["service"] if scope else "unsigned requests"
        text = f"This emulator serves {', '.join(OPERATIONS)}; not {asked}.\n"
        return Answer(status=501, body=text.encode())
    spoken = wire(scope["service"])
    call = _logged(world, scope["service"], spoken.operation(headers, body))
    try:
        call.parameters = spoken.parse(call.operation, body)
    except AwsError as error:
        return _refusal(spoken, call, error)
    world.ended.wait(world.latency.get(call.operation, world.latency.get("*", 0.0)))
    fault = world.faults.take(call)
    if fault is not None and fault.action is not None:
        fault.action()
    if fault is None or fault.kind == "meanwhile":
        return _genuine(world, spoken, call, scope["region"])
    genuine = _genuine(world, spoken, call, scope["region"]) if fault.after_effect else CLOSED
    return _spoiled(world, spoken, call, fault, genuine)


def _logged(world: World, service: str, operation: str) -> Call:
    with world.fleet.lock:
        request_id = str(uuid.UUID(int=len(world.calls) + 1, version=4))
        call = Call(service, operation, {}, world.clock(), request_id)
        world.calls.add(call)
    return call


def _genuine(world: World, spoken: Wire, call: Call, region: str) -> Answer:
    """What the emulator has to say when nothing goes wrong on the way."""
    code: str | None = None
    with world.fleet.lock:
        try:
            output = _carried_out(world, call, region)
            call.outcome, call.effect = OK, True
            body = spoken.answer(call.operation, output, call.request_id)
        except AwsError as error:
            code = error.code
            return _refusal(spoken, call, _as_told(world, call, error))
        except Exception:  # noqa: BLE001 - a mistake of the emulator must show in the test's output
            code = "EmulatorError"
            return _refusal(spoken, call, AwsError(code, traceback.format_exc()))
        finally:
            _record(world, call, code)
    return Answer(200, spoken.content_type, call.request_id, body)


def _carried_out(world: World, call: Call, region: str) -> Mapping[str, Any]:
    if region != world.region:
        raise AwsError(
            "AuthFailure", f"Signed for {region}; this emulator is {world.region}.", status=401
        )
    handler = OPERATIONS[call.service].get(call.operation)
    if handler is None:
        raise AwsError("InvalidAction", f"The emulator does not implement {call.operation}.")
    world.buckets.take(call.service, call.operation, call.parameters)
    world.policy.check_action(f"{call.service}:{call.operation}")
    # What only looks needs nothing but the permission; the others check more before they say so.
    if call.operation.startswith("Describe") and call.parameters.get("DryRun"):
        raise errors.dry_run()
    return handler(world, call.parameters)


def _as_told(world: World, call: Call, error: AwsError) -> AwsError:
    if call.service == "ec2" and world.quirks.anonymous_errors:
        return AwsError(error.code, "The request was refused.", status=error.status)
    return error


def _record(world: World, call: Call, code: str | None) -> None:
    """CloudTrail records who ended what; a dry run ends nothing and is recorded as a failure."""
    named: Mapping[str, Iterable[str]] = {
        "TerminateInstances": call.parameters.get("InstanceIds", []),
        "TerminateInstanceInAutoScalingGroup": [call.parameters.get("InstanceId", "")],
    }
    if call.operation in named:
        source = f"{call.service}.amazonaws.com"
        world.trail.called(call.operation, source, named[call.operation], code)


def _refusal(spoken: Wire, call: Call, error: AwsError) -> Answer:
    call.outcome = error.code
    body = spoken.error(error, call.request_id)
    return Answer(error.status, spoken.content_type, call.request_id, body)


def _spoiled(world: World, spoken: Wire, call: Call, fault: Fault, genuine: Answer) -> Answer:
    """What the client gets in place of the genuine answer."""
    if fault.error is not None:
        return _refusal(spoken, call, fault.error)
    call.outcome = fault.kind
    if fault.kind == "raw":
        kind = fault.headers.get("Content-Type", "text/html")
        others = {key: each for key, each in fault.headers.items() if key != "Content-Type"}
        return Answer(fault.status, kind, call.request_id, fault.body, headers=others)
    if fault.kind == "silent":
        world.ended.wait(fault.seconds)
    body = genuine.body or b""
    if fault.kind == "truncated":
        return replace(genuine, body=body[: len(body) // 2])
    if fault.kind == "cut":
        return replace(genuine, complete=False)
    return CLOSED
