"""Every policy over fleets at random: its bound holds in each run, and the calm period ends it all."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.reliability import table
from tests.reliability.invariants import SHRINK, Book, Kind, check_calm, check_run
from tests.reliability.table import SOAK, Record
from tests.reliability.world import MANAGED, Harness
from tools.ec2_emulator import faults

FLEETS = 40 if SOAK else 4
KINDS: list[Kind] = ["plain", "plain", "plain", "one-time", "persistent", "group", "tagged"]
POLICIES: dict[str, dict[str, str]] = {
    "at most two a run": {"MAX_TERMINATIONS_PER_RUN": "2"},
    "at most 30 % of the fleet": {"MAX_FLEET_PERCENT": "30"},
    "at most 60 % of the fleet": {"MAX_FLEET_PERCENT": "60"},
    "only with a running peer": {"REQUIRE_RUNNING_PEER": "true"},
    "confirmed by EC2": {"CONFIRM_TERMINATION": "true"},
    "groups shrink": SHRINK,
    "dry run": {"DRY_RUN": "true"},
    "switched off by the operator": {"AUTO_TERMINATE_ENABLED": "false"},
    "gone only with proof": {"MISSING_INSTANCE_POLICY": "verify"},
}
CALM = {
    "MAX_FLEET_PERCENT": "100",
    "REQUIRE_RUNNING_PEER": "false",
    "DRY_RUN": "false",
    "AUTO_TERMINATE_ENABLED": "true",
}


def fleet(book: Book, chance: random.Random) -> None:
    world = book.world
    world.aws.fleet.shutdown_seconds = chance.choice([0, 40])
    for number in range(chance.randint(4, 12)):
        kind = chance.choice(KINDS)
        given: dict[str, Any] = {
            "tags": {**MANAGED, **({"DoNotTerminate": ""} if kind == "tagged" else {})},
            "zone": f"us-east-1{chance.choice('ab')}",
        }
        if kind in {"one-time", "persistent"}:
            given["spot"] = kind
        if kind == "group":
            given["asg"] = "workers"
        workload = chance.choice(["w1", "w2", None])
        if kind == "plain" and workload:
            given["tags"]["LogicalAgentId"] = workload
        one = world.launch(**given)
        book.kinds[one] = kind
        if kind == "plain" and workload:
            book.workloads[one] = workload
        if number < 3 or chance.random() < 0.7:
            book.zombies.add(one)
    world.mark_zombies(*sorted(book.zombies))


@pytest.mark.parametrize("name", POLICIES)
def test_a_policys_bound_holds_in_every_run_whatever_ec2_does(
    servers: Harness, name: str, record_property: Record
) -> None:
    variables = POLICIES[name]
    runs = 0
    for number in range(FLEETS):
        chance = random.Random(number)
        world = servers.new()
        book = Book(world)
        fleet(book, chance)
        for trouble in (None, faults.throttled(), faults.dropped(after_effect=True)):
            if trouble:
                world.aws.faults.add("TerminateInstances", trouble, times=chance.randint(1, 4))
            check_run(book, world.run(variables))
            world.clock.advance(60)
        calm = {**variables, **CALM}
        for run in world.calm(8 if "MAX_TERMINATIONS_PER_RUN" in variables else 3, **calm):
            check_run(book, run)
        check_calm(book, calm)
        runs += len(world.runs)
    result = "the bound held in each run, and after it was lifted nothing was left undone"
    table.add(record_property, "property", f"policy: {name} (runs)", runs, result)
