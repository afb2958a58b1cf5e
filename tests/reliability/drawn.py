"""Histories, drawn evenly from a seed.

Before anything is played: each step names its machines by number, so that a part can be played, too.
"""

from __future__ import annotations

from random import Random
from typing import Any, TypeAlias

from tests.reliability import trouble
from tests.reliability.agents import LOGICAL, SHOP, STRANGER
from tests.reliability.book import SHRINK, WORKERS_TOO, Kind
from tests.reliability.table import SOAK

STEPS = 20 if SOAK else 10
ZONES = ["us-east-1a", "us-east-1b"]
GUARDED_OR_SPOT: list[Kind] = [
    *("one-time", "persistent", "persistent", "group", "fleet", "protected", "denied", "managed"),
]
ROLES = [*["switched"] * 5, "replica", "replica", "worker's", "both", "first", "untagged"]
FITTING: dict[str, Kind] = {
    "DescribeSpotInstanceRequests": "persistent",
    "CancelSpotInstanceRequests": "persistent",
    "DescribeFleets": "fleet",
    "TerminateInstanceInAutoScalingGroup": "group",
    "DescribeAutoScalingInstances": "group",
    "DescribeInstanceAttribute": "group",
}
"""Without such a machine the call is not made at all."""
POLICIES: dict[str, list[str]] = {
    "CONFIRM_TERMINATION": ["true", "false"],
    "MISSING_INSTANCE_POLICY": ["report_terminated", "verify", "ignore"],
    "MAX_FLEET_PERCENT": ["100", "30", "60"],
    "MAX_TERMINATIONS_PER_RUN": ["500", "2"],
    "REQUIRE_RUNNING_PEER": ["true", "false"],
    "ASG_MEMBERS": ["refuse", SHRINK["ASG_MEMBERS"]],
    "UNTAGGED_REPLICAS": ["refuse", WORKERS_TOO["UNTAGGED_REPLICAS"]],
    "DRY_RUN": ["true", "false", "false", "false"],
    "AUTO_TERMINATE_ENABLED": ["true", "true", "true", "false"],
    "BACKEND_CONCURRENCY": ["8", "1"],
}
OVERLAPPED_AT = ["DescribeInstances", "TerminateInstances", "PutItem", "TransactWriteItems"]
ENDS = ["terminate", "interrupt", "shut_down_inside"]
One: TypeAlias = tuple[Kind, str, str, str]
Step: TypeAlias = tuple[str, tuple[Any, ...]]


def machine(chance: Random) -> One:
    """What it is, where, in which role, and whose."""
    agents = [*[*LOGICAL] * 3, SHOP, SHOP, STRANGER]
    kind = "plain" if chance.random() < 0.6 else chance.choice(GUARDED_OR_SPOT)
    return kind, chance.choice(ZONES), chance.choice(ROLES), chance.choice(agents)


def machines(chance: Random, most: int) -> tuple[One, ...]:
    return tuple(machine(chance) for _ in range(chance.randint(1, most)))


def number(chance: Random) -> int:
    return chance.randrange(100)


def fault(chance: Random) -> tuple[str, int | None]:
    operation = chance.choice(sorted({one.operation for one in trouble.ALL.values()}))
    names = [name for name, one in trouble.ALL.items() if one.operation == operation]
    return chance.choice(names), chance.choice([1, 2, 4, 7, None])


def policy(chance: Random) -> tuple[str, str]:
    name = chance.choice(sorted(POLICIES))
    return name, chance.choice(POLICIES[name])


STEPS_BY_NAME: dict[str, tuple[int, Any]] = {
    "launch": (4, lambda c: (machines(c, 5),)),
    "fail": (3, fault),
    "fail_with_work": (9, lambda c: (*fault(c), machines(c, 4))),
    "all_works": (2, lambda _: ()),
    "promote": (2, lambda c: (c.choice([*LOGICAL]), machine(c)[0])),
    "late_replica": (1, lambda _: ()),
    "mark_another_accounts": (1, lambda c: (c.randrange(5),)),
    "place_elsewhere": (1, lambda c: (machine(c),)),
    "vague": (1, lambda c: (c.random() < 0.5,)),
    "database": (1, lambda c: (c.random() < 0.5,)),
    "switch": (1, lambda c: (c.choice([*LOGICAL]), c.random() < 0.6)),
    "change_policy": (2, policy),
    "protect": (1, lambda c: (number(c),)),
    "stop": (1, lambda c: (number(c),)),
    "end": (2, lambda c: (number(c), c.choice(ENDS))),
    "wait": (2, lambda c: (c.choice([1, 20, 301, 1_000, 4_000]),)),
    "cold_start": (1, lambda _: ()),
    "run_briefly": (2, lambda c: (c.choice([12.0, 4.0, 1.0]),)),
    "run_for_one": (1, lambda c: (c.choice([*LOGICAL]),)),
    "run_twice": (3, lambda c: (c.choice(OVERLAPPED_AT), c.choice([1, 1, 2]), machines(c, 5))),
}
"""Of each step its weight, and how its arguments are drawn."""


def history(chance: Random) -> list[Step]:
    """The world's beginning, and what happens then."""
    names = [name for name, (weight, _) in STEPS_BY_NAME.items() for _ in range(weight)]
    seconds = chance.choice([0, 0, 0, 20]), chance.choice([0, 40, 90]), chance.choice([0, 30])
    began = seconds, [chance.random() < share for share in (0.5, 0.3, 0.3)]
    some = [policy(chance) for _ in range(chance.randint(0, 3))]
    steps: list[Step] = [("begin", began), *(("change_policy", each) for each in some)]
    steps.append(("launch", (machines(chance, 8),)))
    for _ in range(STEPS):
        name = chance.choice(names)
        steps.append((name, STEPS_BY_NAME[name][1](chance)))
    return steps
