"""The termination function's week: an ordinary one, with a trouble a day."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import time_machine
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends

from backend.quirks import Quirks
from handler.termination import lambda_handler
from local.stack import MANAGED, Stack, run_stack
from tools.dashboard_preview.stage import START, Event, Stage, alone
from tools.dashboard_preview.widgets import Recorded

AGENT = "agent-1"
FLEET = 24
"""Instances that go on running."""
_PROTECTED = {**MANAGED, "DoNotTerminate": "debugging"}


def record(interval: timedelta) -> tuple[Recorded, int]:
    """Play the week on a stack of its own; also how many runs it were.

    The clock of the whole process is set: the handler, the backend and AWS live by it.
    """
    with (
        time_machine.travel(START, tick=True) as clock,
        run_stack(agent_id=AGENT) as stack,
        alone(stack, "reservations"),  # the fuse counts them
    ):
        stack.launch(count=FLEET)
        # A dry run to begin with, as the README has it.
        environment = stack.environment(MAX_FLEET_PERCENT="40", DRY_RUN="true")
        stage = Stage("TerminationFunction", lambda_handler, stack, clock, environment)
        return stage.play(list(_story(stack)), interval), stage.runs


def _story(stack: Stack) -> Iterator[Event]:
    yield from _ordinary(random.Random(7))  # noqa: S311 - the same week every time
    yield Event(_at(0, 0, 10), _zombies(3))
    yield Event(_at(0, 1, 30), lambda stage: stage.environment.update(DRY_RUN="false"))
    yield from _protected(_at(1, 8, 50), stack)
    yield from _while_quirks(_at(1, 13, 58), Quirks(latency_seconds=1.5))
    yield from _while_quirks(_at(2, 16, 58), Quirks(odd_entries=True))
    yield from _while_quirks(_at(3, 9, 58), Quirks(database_down=True))
    yield Event(_at(3, 16), _zombies(2, az="eu-west-1a"))  # another region's: listed for ever
    yield Event(_at(4, 10, 50), _zombies(20))  # more than 40 % of the fleet
    yield Event(_at(4, 12, 30), lambda stage: stage.environment.update(MAX_FLEET_PERCENT="100"))
    yield Event(_at(4, 15), _unknown_to_ec2)
    yield Event(_at(5, 7, 50), _zombies(6))
    yield from _while_quirks(_at(5, 7, 58), Quirks(pool_limit=1, latency_seconds=1.5))
    yield Event(_at(5, 8, 50), _stuck)
    yield from _termination_protection(_at(6, 12, 50), stack)


def _at(day: int, hour: int, minute: int = 0) -> timedelta:
    return timedelta(days=day, hours=hour, minutes=minute)


def _ordinary(chance: random.Random) -> Iterator[Event]:
    """Switches leave zombies, and replicas are switched off; more of it in working hours."""
    for day in range(7):
        for _ in range(chance.randint(4, 10)):
            hour = min(max(chance.gauss(13, 4), 2), 22)
            yield Event(timedelta(days=day, hours=hour), _zombies(chance.choice([1, 1, 2, 3])))
        for _ in range(chance.randint(1, 4)):
            yield Event(timedelta(days=day, hours=chance.uniform(7, 20)), _replica)


def _zombies(count: int, az: str = "us-east-1a") -> Callable[[Stage], None]:
    def happens(stage: Stage) -> None:
        ids = stage.stack.launch(count=count)
        stage.stack.operator.add_zombies(AGENT, ids, az=az)

    return happens


def _replica(stage: Stage) -> None:
    (replica,) = stage.stack.launch("b")
    operator = stage.stack.operator
    operator.enable_manual_replica(AGENT, replica)
    operator.replica_ready(AGENT, replica)
    operator.disable_manual_replica(AGENT)


def _protected(after: timedelta, stack: Stack) -> Iterator[Event]:
    """Somebody looks into a zombie for an hour and a half, and keeps it so long."""
    ids: list[str] = []

    def marked(_: Stage) -> None:
        ids.extend(stack.launch(tags=_PROTECTED))
        stack.operator.add_zombies(AGENT, ids)

    def done(_: Stage) -> None:
        stack.ec2.delete_tags(Resources=ids, Tags=[{"Key": "DoNotTerminate"}])

    yield Event(after, marked)
    yield Event(after + timedelta(minutes=90), done)


def _termination_protection(after: timedelta, stack: Stack) -> Iterator[Event]:
    """EC2 refuses: two instances have its own termination protection, for a while."""
    ids: list[str] = []

    def protect(on: bool) -> None:  # noqa: FBT001 - it reads as a sentence
        for one in ids:
            stack.ec2.modify_instance_attribute(InstanceId=one, DisableApiTermination={"Value": on})

    def marked(_: Stage) -> None:
        ids.extend(stack.launch(count=2))
        protect(True)
        stack.operator.add_zombies(AGENT, ids)

    yield Event(after, marked)
    yield Event(after + timedelta(minutes=45), lambda _: protect(False))


def _while_quirks(after: timedelta, quirks: Quirks) -> Iterator[Event]:
    """The backend has them for a quarter of an hour."""
    yield Event(after, lambda stage: stage.stack.operator.set_quirks(quirks))
    yield Event(
        after + timedelta(minutes=15), lambda stage: stage.stack.operator.set_quirks(Quirks())
    )


def _unknown_to_ec2(stage: Stage) -> None:
    stage.stack.operator.add_zombies(AGENT, ["i-0123456789abcdef0", "i-0123456789abcdef1"])


def _stuck(stage: Stage) -> None:
    """An instance that EC2 has been shutting down for 40 minutes; moto ends them at once."""
    (stuck,) = stage.stack.launch()
    instance: Any = ec2_backends[DEFAULT_ACCOUNT_ID][stage.stack.region].get_instance(stuck)
    began = START + _at(5, 8, 20)
    instance._state.name, instance._state.code = "shutting-down", 32  # noqa: SLF001 - no way in
    instance._reason = f"User initiated ({began:%Y-%m-%d %H:%M:%S} GMT)"  # noqa: SLF001 - no way in
    stage.stack.operator.add_zombies(AGENT, [stuck])
