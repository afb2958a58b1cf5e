"""The faults that are tried, by the name that stands in the document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tests.reliability.gate import BackendFault, Call, Kind
from tests.reliability.world import TABLE, World
from tools.ec2_emulator import faults
from tools.ec2_emulator.faults import Fault

MANY = 10_000
PAGE = faults.raw(200, "<html>Sign in to the network</html>")
BUSY = faults.raw(503, "<html>busy</html>", {"Retry-After": "1m0s"})


@dataclass(frozen=True)
class Trouble:
    """One fault; `operation` is the call to AWS or to the backend that meets it."""

    operation: str
    inject: Callable[[World, int | None], None]
    """Lets so many calls meet it; None: all of them, until the calm."""


def _aws(operation: str, make: Callable[[World], Fault]) -> Trouble:
    return Trouble(operation, lambda world, n: _add(world, operation, make(world), n))


def _add(world: World, operation: str, fault: Fault, times: int | None) -> None:
    world.aws.faults.add(operation, fault, times=times)


def _plain(operation: str, fault: Fault) -> Trouble:
    return _aws(operation, lambda _: fault)


def _slow(operation: str) -> Trouble:
    """Carried out, but only after so long: by the clock that the run's limit goes by."""

    def take_long(world: World) -> None:
        world.clock.sleep(6)
        world.clock_jumps += 1

    return _aws(operation, lambda world: faults.meanwhile(lambda: take_long(world)))


def _of_ec2(operation: str) -> dict[str, Trouble]:
    kinds = {
        "throttled": faults.throttled(),
        "HTTP 500, nothing done": faults.server_error(500),
        "HTTP 503 after it was done": faults.server_error(503, after_effect=True),
        "connection lost before": faults.dropped(after_effect=False),
        "connection lost after it was done": faults.dropped(after_effect=True),
        "answer cut off": faults.cut(),
        "half of the answer": faults.truncated(),
        "somebody else's page": PAGE,
        "busy, with an odd Retry-After": BUSY,
        "credentials expired": faults.error("ExpiredToken", status=403),
        "permission withdrawn": faults.error("UnauthorizedOperation", status=403),
    }
    plain = {f"{operation}: {name}": _plain(operation, fault) for name, fault in kinds.items()}
    return {**plain, f"{operation}: 6 seconds slow": _slow(operation)}


def _of_json(operation: str) -> dict[str, Trouble]:
    kinds = {
        "throttled": faults.error("ThrottlingException", "Rate exceeded", status=400),
        "permission withdrawn": faults.error("AccessDeniedException", status=400),
        "HTTP 500": faults.error("InternalServerError", status=500),
        "somebody else's page": PAGE,
        "answer cut off": faults.cut(),
        "connection lost before": faults.dropped(after_effect=False),
        "connection lost after it was done": faults.dropped(after_effect=True),
    }
    return {f"{operation}: {name}": _plain(operation, fault) for name, fault in kinds.items()}


def _set_protect_tags(world: World) -> Fault:
    """EC2 throttles, and meanwhile an operator protects all that this call would have ended."""

    def protect() -> None:
        asked = world.aws.calls.of("TerminateInstances")[-1].parameters
        for one in asked.get("InstanceIds", []):
            if one in world.instances:
                world.aws.fleet.tag(one, "DoNotTerminate", "")

    return replace(faults.throttled(), action=protect)


def _zone_down(world: World, _: int | None) -> None:
    world.aws.quirks.disrupted_zones.add("us-east-1b")


def _other_transactions(world: World, times: int | None) -> None:
    world.aws.tables[TABLE].conflict_anywhere(MANY if times is None else times)
    world.table_is_busy = True


EC2: Mapping[str, Trouble] = {
    name: one
    for operation in (
        *("DescribeInstances", "TerminateInstances", "DescribeSpotInstanceRequests"),
        *("CancelSpotInstanceRequests", "DescribeFleets", "TerminateInstanceInAutoScalingGroup"),
        *("DescribeAutoScalingInstances", "DescribeInstanceAttribute"),
    )
    for name, one in _of_ec2(operation).items()
} | {
    "DescribeInstances: a zone is down": Trouble("DescribeInstances", _zone_down),
    "TerminateInstances: throttled, and protected meanwhile": _aws(
        "TerminateInstances", _set_protect_tags
    ),
}
SERVICES: Mapping[str, Trouble] = {
    name: one
    for operation in (
        *("PutItem", "UpdateItem", "TransactWriteItems", "DeleteItem", "GetItem"),
        *("LookupEvents", "GetParameter"),
    )
    for name, one in _of_json(operation).items()
} | {"TransactWriteItems: in other transactions' way": Trouble("PutItem", _other_transactions)}


def _of_backend(what: str, call: Call, kinds: Mapping[str, Kind]) -> dict[str, Trouble]:
    def injecting(kind: Kind) -> Callable[[World, int | None], None]:
        return lambda world, times: world.gate.script.append(
            BackendFault(call, kind, MANY if times is None else times, 6.0)
        )

    return {f"{what}: {name}": Trouble(call, injecting(kind)) for name, kind in kinds.items()}


_ANY: Mapping[str, Kind] = {
    "HTTP 500": "refused",
    "somebody else's page": "page",
    "busy, with an odd Retry-After": "busy",
    "answer cut off": "half",
    "6 seconds slow": "slow",
}
BACKEND: Mapping[str, Trouble] = {
    **_of_backend("list", "instances-to-terminate", _ANY),
    **_of_backend("report", "termination-report", {**_ANY, "recorded, its answer lost": "lost"}),
}
ALL: Mapping[str, Trouble] = {**EC2, **SERVICES, **BACKEND}
