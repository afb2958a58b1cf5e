"""Any fleet, any list, any faults, in any order; then a calm period, and all is well.

A history is drawn from a seed, evenly, before it is played: each step names its machines by number,
so that a part of it can be played as well. One that fails is cut down to the steps that it needs.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any, TypeAlias

import pytest

from tests.reliability import table, trouble
from tests.reliability.invariants import (
    CALM,
    SHRINK,
    WORKERS_TOO,
    Book,
    Kind,
    check_calm,
    check_run,
)
from tests.reliability.table import SOAK, Record
from tests.reliability.world import (
    LAMBDA_SECONDS,
    LOGICAL,
    MANAGED,
    PLAIN,
    SHOP,
    STRANGER,
    THEIRS,
    Harness,
    Run,
    replica,
    switched,
    workers_replica,
)
from tools.ec2_emulator import faults

GROUPS, HISTORIES = (20, 150) if SOAK else (1, 14)
"""Groups, which several processes can share, and the histories in each."""
STEPS = 20 if SOAK else 10
SEED = int(os.environ.get("SOAK_SEED", "1"))

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


class Player:
    """Plays a history in a new world; each step is a method, and a run follows it."""

    def __init__(self, servers: Harness, tried: Counter[str]) -> None:
        self.world = servers.new()
        self.book = Book(self.world)
        self.tried = tried
        self.variables: dict[str, str] = {}
        self.down = False
        self.book.vague = True  # until `begin` says
        self.primaries = {agent: self.launch_one("plain", switched(agent)) for agent in LOGICAL}

    def play(self, steps: Sequence[Step]) -> None:
        for name, arguments in steps:
            getattr(self, name)(*arguments)
            self.world.clock.advance(60)
            self.run()
        self.end_well()

    # What people and AWS do.

    def begin(self, seconds: Sequence[float], oddities: Sequence[bool]) -> None:
        ec2, aws = self.world.aws.fleet, self.world.aws
        ec2.lag, ec2.shutdown_seconds, ec2.relaunch_seconds = seconds
        aws.quirks.anonymous_errors, guarded, self.book.vague = oddities
        self.world.set_quirks(odd_entries=self.book.vague)
        if guarded:  # the role's own condition; instances lose their tags after their end
            aws.policy.required_tags = dict(MANAGED)

    def launch_one(self, kind: Kind, tags: dict[str, str], zone: str = ZONES[0]) -> str:
        more: dict[str, Any] = {"tags": tags, "zone": zone}
        if kind in {"one-time", "persistent"}:
            more["spot"] = kind
        elif kind == "group":
            more["asg"] = "workers"
        elif kind == "fleet":
            more["fleet"] = self.world.aws.fleet.create_fleet()
        elif kind == "managed":
            more["operator"] = "eks.amazonaws.com"
        one = self.world.launch(**more, protected=kind == "protected")
        self.book.kinds[one] = kind
        if kind == "denied":
            self.world.aws.policy.denied_ids.add(one)
        return one

    def launch(self, some: Sequence[One]) -> None:
        for one in some:
            self.launch_marked(one)

    def launch_marked(self, one: One, row_zone: str | None = None) -> str:
        kind, zone, role, agent = one
        parent = self.primaries[agent if agent in LOGICAL else PLAIN]
        tags = {
            "replica": replica(agent if agent in LOGICAL else PLAIN, parent),
            "worker's": workers_replica(parent),
            "first": {},
            "untagged": {"ManagedBy": "Somebody"},
        }.get(role, switched(agent))
        launched = self.launch_one(kind, tags, zone)
        if role in {"replica", "worker's", "both"}:
            self.world.mark_replicas(launched, agent=agent, age=100, zone=row_zone)
            self.book.replicas[launched] = agent
        if role not in {"replica", "worker's"}:
            self.world.mark_zombies(launched, agent=agent, zone=row_zone)
            self.book.zombies[launched] = agent
        return launched

    def promote(self, agent: str, kind: Kind) -> None:
        """The old server becomes a zombie, the replica the live primary, and is marked all the same."""
        old = self.launch_one(kind, switched(agent))
        new = self.launch_one("plain", replica(agent, old))
        self.world.promote(agent, new, old)
        self.book.zombies[old] = agent
        self.book.replicas[new] = agent
        self.book.promoted[new] = old

    def late_replica(self) -> None:
        """EC2 does not show it yet; a longer lag is beyond what the function can know."""
        one = self.launch_one("plain", replica(SHOP, self.primaries[SHOP]))
        self.world.aws.fleet.unsee(one, 2)
        self.world.mark_replicas(one)
        self.book.replicas[one] = SHOP
        self.run()

    def mark_another_accounts(self, which: int) -> None:
        one = f"i-0f0f0f0f0f0f0f0f{which}"
        if one not in self.book.foreign:
            self.book.foreign.add(one)
            self.world.mark_zombies(one, agent=THEIRS)

    def place_elsewhere(self, one: One) -> None:
        self.book.elsewhere.add(self.launch_marked(one, "us-west-2b"))

    def vague(self, vague: bool) -> None:
        """Whether the backend leaves out zones and seconds; most of the time it does not."""
        self.book.vague = self.book.vague or vague
        self.world.set_quirks(odd_entries=vague)

    def database(self, down: bool) -> None:
        self.down = down
        self.world.set_quirks(database_down=down, odd_entries=False)
        self.tried["backend: its database is down"] += down

    def switch(self, agent: str, on: bool) -> None:
        self.world.switch(agent, on=on)

    def change_policy(self, name: str, value: str) -> None:
        if name != "UNTAGGED_REPLICAS" or not self.world.aws.policy.required_tags:
            self.variables[name] = value  # the template's role follows that one

    def live(self, which: int) -> str | None:
        known = self.world.instances
        live = [one for one in self.book.kinds if one in known and known[one].live]
        return live[which % len(live)] if live else None

    def protect(self, which: int) -> None:
        if one := self.live(which):
            self.world.aws.fleet.tag(one, "DoNotTerminate", "")

    def stop(self, which: int) -> None:
        if one := self.live(which):
            self.world.aws.fleet.stop(one)

    def end(self, which: int, how: str) -> None:
        if one := self.live(which):
            getattr(self.world.aws.fleet, how)(one)
            self.book.ended_by_others.add(one)
            self.tried[f"an instance ends meanwhile: {how.replace('_', ' ')}"] += 1

    def wait(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    def cold_start(self) -> None:
        self.world.cold_start()

    # What goes wrong.

    def fail(self, name: str, times: int | None) -> None:
        trouble.ALL[name].inject(self.world, times)
        self.tried[name] += 1

    def fail_with_work(self, name: str, times: int | None, some: Sequence[One]) -> None:
        operation = trouble.ALL[name].operation
        if operation in FITTING:
            self.launch_marked((FITTING[operation], ZONES[0], "switched", SHOP))
            self.variables |= SHRINK
        elif operation == "LookupEvents":
            self.variables["MISSING_INSTANCE_POLICY"] = "verify"
            self.mark_another_accounts(len(self.book.foreign) % 10)
        elif operation in {"GetParameter", "GetItem"}:
            self.cold_start()
        self.launch(some)
        self.fail(name, times)

    def all_works(self) -> None:
        self.world.all_works()

    # Runs.

    def run_briefly(self, timeout: float) -> None:
        self.run(timeout)

    def run_for_one(self, agent: str) -> None:
        self.run(event={"agent_id": agent})

    def run(self, timeout: float = LAMBDA_SECONDS, event: dict[str, Any] | None = None) -> None:
        run = self.world.run(self.variables, timeout=timeout, event=event)
        self.tried["runs"] += 1
        self.tried["runs in which a fault was met"] += run.met_a_fault
        self.tried["runs that ended instances"] += bool(run.ended)
        check_run(self.book, run)
        self.excuse(run, timeout)

    def run_twice(self, at: str, nth: int, some: Sequence[One]) -> None:
        self.launch(some)
        inner: list[Run] = []
        alone = {**self.variables, "BACKEND_CONCURRENCY": "1"}

        def other() -> None:
            inner.append(self.world.run_in_another_environment(alone))

        line = self.world.aws.faults.add(at, faults.meanwhile(other), nth=nth)
        outer = self.world.run(alone)
        line.times = 0  # a later run is alone
        self.tried["runs"] += 1 + len(inner)
        self.tried["two runs at once"] += len(inner)
        check_run(self.book, outer, also=inner[0] if inner else None)
        self.excuse(outer)

    def excuse(self, run: Run, timeout: float = LAMBDA_SECONDS) -> None:
        """A run may fail only where no list or no token was to be had."""
        if run.error is None:
            return
        token = [call for call in run.asked("GetParameter") if call.outcome != "ok"]
        told = [name for name in run.backend_faults if name.startswith("instances-to-terminate")]
        assert self.down or token or told or timeout < 10, f"it failed without need: {run.error}"

    def end_well(self) -> None:
        self.database(down=False)
        self.world.aws.fleet.lag = 0
        for agent in LOGICAL:
            self.world.switch(agent, on=agent != "agent-depot")
        variables = {**self.variables, **CALM}
        for run in self.world.calm(5, variables):
            assert run.error is None
            assert "agents_failed" not in run.counts
            check_run(self.book, run)
        self.tried["runs"] += 5
        check_calm(self.book, variables)


def play(servers: Harness, steps: Sequence[Step], tried: Counter[str]) -> Exception | None:
    """What the history ended in."""
    try:
        Player(servers, tried).play(steps)
    except Exception as error:  # noqa: BLE001 - whatever it is, the history has failed
        return error
    return None


def cut_down(servers: Harness, steps: Sequence[Step]) -> list[Step]:
    """The steps without which it would not fail, as far as half a minute tells."""
    needed, until = list(steps), time.monotonic() + 30
    for step in list(needed):
        without = [each for each in needed if each is not step]
        if time.monotonic() < until and play(servers, without, Counter()) is not None:
            needed = without
    return needed


@pytest.mark.parametrize("group", range(GROUPS))
def test_whatever_happens_what_is_ours_ends_once_and_nothing_else_does(
    servers: Harness, group: int, record_property: Record
) -> None:
    tried: Counter[str] = Counter()
    for index in range(HISTORIES):
        if table.time_is_over():
            break
        seed = f"{SEED}/{group}/{index}"
        steps = history(Random(seed))
        error = play(servers, steps, tried)
        if error is not None:
            needed = cut_down(servers, steps)
            shown = "\n".join(f"  {step}" for step in needed)
            raise AssertionError(f"history {seed}: {error}\nit takes:\n{shown}") from error
        tried["histories"] += 1
    for name, tries in tried.items():
        what = f"anywhere in a history: {name}" if name in trouble.ALL else name
        table.add(record_property, "history", what, tries, "every invariant held")
    assert SOAK or tried["runs that ended instances"] > HISTORIES
