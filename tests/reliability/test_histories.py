"""Any fleet, any list, any faults, in any order; then a calm period, and all is well.

A history that fails is cut down to the steps that it needs.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from tests.reliability import table, trouble
from tests.reliability.agents import (
    LOGICAL,
    MANAGED,
    PLAIN,
    SHOP,
    THEIRS,
    replica,
    switched,
    workers_replica,
)
from tests.reliability.book import CALM, SHRINK, Book, Kind
from tests.reliability.drawn import FITTING, ZONES, One, Step, history
from tests.reliability.invariants import check_calm, check_run
from tests.reliability.servers import Harness
from tests.reliability.table import SOAK, Record
from tests.reliability.world import LAMBDA_SECONDS, Run
from tools.ec2_emulator import faults

GROUPS, HISTORIES = (20, 150) if SOAK else (1, 4)
"""Groups, which several processes can share, and the histories in each."""
SEED = int(os.environ.get("SOAK_SEED", "1"))


class Player:
    """Plays a history in a new world; each step is a method, and a run follows it."""

    def __init__(self, servers: Harness, tried: Counter[str]) -> None:
        self.world = servers.new()
        self.book = Book(self.world)
        self.tried = tried
        self.variables: dict[str, str] = {}
        self.down = False
        self.book.vague = True  # until `begin` says
        self.primaries = {agent: self.book.launch("plain", switched(agent)) for agent in LOGICAL}

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

    def launch(self, some: Sequence[One]) -> None:
        for one in some:
            self.launch_marked(one)

    def launch_marked(self, one: One, row_zone: str | None = None) -> str:
        kind, zone, role, agent = one
        ours = agent if agent in LOGICAL else PLAIN
        tags = {
            "replica": replica(ours, self.primaries[ours]),
            "worker's": workers_replica(self.primaries[ours]),
            "first": {},
            "untagged": {"ManagedBy": "Somebody"},
        }.get(role, switched(agent))
        roles = {"replica": ["replica"], "worker's": ["replica"], "both": ["replica", "zombie"]}
        launched = self.book.launch(kind, tags, zone)
        return self.book.mark(launched, agent, *roles.get(role, ["zombie"]), zone=row_zone)

    def promote(self, agent: str, kind: Kind) -> None:
        """The old server becomes a zombie, the replica the live primary, and is marked all the same."""
        old = self.book.launch(kind, switched(agent))
        new = self.book.launch("plain", replica(agent, old))
        self.world.promote(agent, new, old)
        self.book.zombies[old] = agent
        self.book.replicas[new] = agent
        self.book.promoted[new] = old

    def late_replica(self) -> None:
        """EC2 does not show it yet; a longer lag is beyond what the function can know."""
        one = self.book.launch("plain", replica(SHOP, self.primaries[SHOP]))
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
        under_way = threading.Lock()
        alone = {**self.variables, "BACKEND_CONCURRENCY": "1"}

        def other() -> None:
            with under_way:
                inner.append(self.world.run_in_another_environment(alone))

        line = self.world.aws.faults.add(at, faults.meanwhile(other), nth=nth)
        outer = self.world.run(alone)
        line.times = 0  # a later run is alone
        with under_way:  # the outer run may not have waited for the call in which it is
            pass
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
        if table.time_is_over(f"histories {group}", 1 / GROUPS):
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
