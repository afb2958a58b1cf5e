"""The faults that are tried, by the name that stands in the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.reliability.gate import BackendFault
from tests.reliability.world import World
from tools.ec2_emulator import faults
from tools.ec2_emulator.faults import Fault


@dataclass(frozen=True)
class AwsFault:
    """What happens to calls of one operation."""

    operation: str
    make: Callable[[World], Fault]

    def inject(self, world: World, times: int | None) -> None:
        world.aws.faults.add(self.operation, self.make(world), times=times)


@dataclass(frozen=True)
class AtBackend:
    """What happens to tries of one call to the backend."""

    fault: BackendFault

    def inject(self, world: World, times: int | None) -> None:
        fault = self.fault
        many = 10_000 if times is None else times
        world.gate.script.append(BackendFault(fault.call, fault.kind, many, fault.seconds))


Trouble = AwsFault | AtBackend


def _plain(operation: str, fault: Fault) -> AwsFault:
    return AwsFault(operation, lambda _: fault)


def _slow(operation: str, seconds: float) -> AwsFault:
    """Carried out, but only after so long: by the clock that the run's limit goes by."""
    return AwsFault(operation, lambda world: faults.meanwhile(lambda: world.clock.sleep(seconds)))


def _of_ec2(operation: str) -> dict[str, Trouble]:
    return {
        f"{operation}: throttled": _plain(operation, faults.throttled()),
        f"{operation}: HTTP 500, nothing done": _plain(operation, faults.server_error(500)),
        f"{operation}: HTTP 503 after it was done": _plain(
            operation, faults.server_error(503, after_effect=True)
        ),
        f"{operation}: connection lost before": _plain(
            operation, faults.dropped(after_effect=False)
        ),
        f"{operation}: connection lost after it was done": _plain(
            operation, faults.dropped(after_effect=True)
        ),
        f"{operation}: answer cut off": _plain(operation, faults.cut()),
        f"{operation}: credentials expired": _plain(
            operation, faults.error("ExpiredToken", status=403)
        ),
        f"{operation}: permission withdrawn": _plain(
            operation, faults.error("UnauthorizedOperation", status=403)
        ),
        f"{operation}: 6 seconds slow": _slow(operation, 6),
    }


def _of_json(operation: str) -> dict[str, Trouble]:
    return {
        f"{operation}: throttled": _plain(
            operation, faults.error("ThrottlingException", "Rate exceeded", status=400)
        ),
        f"{operation}: permission withdrawn": _plain(
            operation, faults.error("AccessDeniedException", status=400)
        ),
        f"{operation}: HTTP 500": _plain(
            operation, faults.error("InternalServerError", status=500)
        ),
        f"{operation}: connection lost before": _plain(
            operation, faults.dropped(after_effect=False)
        ),
        f"{operation}: connection lost after it was done": _plain(
            operation, faults.dropped(after_effect=True)
        ),
    }


EC2: Mapping[str, Trouble] = {
    **_of_ec2("DescribeInstances"),
    **_of_ec2("TerminateInstances"),
    **_of_ec2("DescribeSpotInstanceRequests"),
    **_of_ec2("CancelSpotInstanceRequests"),
    **_of_ec2("TerminateInstanceInAutoScalingGroup"),
}
SERVICES: Mapping[str, Trouble] = {
    **_of_json("PutItem"),
    **_of_json("UpdateItem"),
    **_of_json("TransactWriteItems"),
    **_of_json("DeleteItem"),
    **_of_json("LookupEvents"),
    **_of_json("GetParameter"),
}
BACKEND: Mapping[str, Trouble] = {
    "list: HTTP 500": AtBackend(BackendFault("instances-to-terminate", "refused")),
    "list: somebody else's page": AtBackend(BackendFault("instances-to-terminate", "page")),
    "list: answer cut off": AtBackend(BackendFault("instances-to-terminate", "half")),
    "list: 6 seconds slow": AtBackend(BackendFault("instances-to-terminate", "slow", seconds=6)),
    "report: HTTP 500": AtBackend(BackendFault("termination-report", "refused")),
    "report: somebody else's page": AtBackend(BackendFault("termination-report", "page")),
    "report: recorded, its answer lost": AtBackend(BackendFault("termination-report", "lost")),
    "report: recorded, its answer cut off": AtBackend(BackendFault("termination-report", "half")),
    "report: 6 seconds slow": AtBackend(BackendFault("termination-report", "slow", seconds=6)),
}
ALL: Mapping[str, Trouble] = {**EC2, **SERVICES, **BACKEND}
