"""Any fleet, any list, any faults, any number of runs; then a calm period, and all is well."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.reliability import table, trouble
from tests.reliability.invariants import Book, Kind, check_calm, check_run
from tests.reliability.table import SOAK, Record
from tests.reliability.world import LAMBDA_SECONDS, MANAGED, PAUSE, Harness, Run, World
from tools.ec2_emulator import faults

EXAMPLES = 300 if SOAK else 24
STEPS = 20 if SOAK else 10
SEED = int(os.environ.get("SOAK_SEED", "1"))

ZONES = ["us-east-1a", "us-east-1b"]
KINDS: list[Kind] = [
    "plain",
    "plain",
    "plain",
    "plain",
    "plain",
    "plain",
    "one-time",
    "persistent",
    "group",
    "protected",
    "tagged",
    "theirs",
    "denied",
]
MARKS = ["zombie", "zombie", "zombie", "replica", "not"]
ONE = st.tuples(st.sampled_from(KINDS), st.sampled_from(ZONES), st.sampled_from(MARKS))
QUIRKS = [
    "naive_timestamps_only",
    "integer_booleans",
    "foreign_zombies",
    "confirmed_replicas_return",
    "report_moves_clock",
    "odd_entries",
]
POLICIES: dict[str, list[str]] = {
    "CONFIRM_TERMINATION": ["true", "false"],
    "MISSING_INSTANCE_POLICY": ["report_terminated", "verify", "ignore"],
    "MAX_FLEET_PERCENT": ["100", "30"],
    "MAX_TERMINATIONS_PER_RUN": ["500", "2"],
    "REQUIRE_RUNNING_PEER": ["true", "false"],
    "ASG_MEMBERS": ["refuse", "terminate_and_shrink"],
    "DRY_RUN": ["true", "false"],
    "AUTO_TERMINATE_ENABLED": ["true", "false"],
    "BACKEND_CONCURRENCY": ["8", "1"],
}
CALM = {
    "MAX_FLEET_PERCENT": "100",
    "MAX_TERMINATIONS_PER_RUN": "500",
    "REQUIRE_RUNNING_PEER": "false",
    "DRY_RUN": "false",
    "AUTO_TERMINATE_ENABLED": "true",
}
"""The rules that hold instances back are lifted; what protects for good stays as it was."""
OVERLAPPED_AT = ["DescribeInstances", "TerminateInstances", "PutItem", "TransactWriteItems"]


class Fleet(RuleBasedStateMachine):
    """One account and one backend, and everything that happens to them."""

    servers: ClassVar[Harness]
    tried: ClassVar[Counter[str]]

    world: World
    book: Book
    variables: dict[str, str]

    @initialize(
        lag=st.sampled_from([0, 0, 20]),
        shutdown=st.sampled_from([0, 40, 90]),
        relaunch=st.sampled_from([0, 30]),
        anonymous=st.booleans(),
        guarded=st.booleans(),
        fleet=st.lists(ONE, min_size=3, max_size=8),
        policy=st.fixed_dictionaries(
            {}, optional={name: st.sampled_from(values) for name, values in POLICIES.items()}
        ),
    )
    def begin(
        self,
        *,
        lag: float,
        shutdown: float,
        relaunch: float,
        anonymous: bool,
        guarded: bool,
        fleet: list[tuple[Kind, str, str]],
        policy: dict[str, str],
    ) -> None:
        self.world = self.servers.new()
        self.book = Book(self.world)
        ec2 = self.world.aws.fleet
        ec2.lag, ec2.shutdown_seconds, ec2.relaunch_seconds = lag, shutdown, relaunch
        self.world.aws.quirks.anonymous_errors = anonymous
        if guarded:  # the role's own condition; instances lose their tags after their end
            self.world.aws.policy.required_tags = dict(MANAGED)
        self.variables = dict(policy)
        self.enabled = True
        self.down = False
        self.tried["histories"] += 1
        self.launch(fleet)

    # What people and AWS do.

    @rule(kinds=st.lists(ONE, min_size=1, max_size=5))
    def launch_more(self, kinds: list[tuple[Kind, str, str]]) -> None:
        self.launch(kinds)

    def launch(self, kinds: list[tuple[Kind, str, str]]) -> None:
        for kind, zone, mark in kinds:
            given: dict[str, Any] = {"zone": zone, "tags": dict(MANAGED)}
            if kind == "theirs":
                given["tags"] = {"ManagedBy": "Somebody"}
            elif kind == "tagged":
                given["tags"]["DoNotTerminate"] = ""
            elif kind in {"one-time", "persistent"}:
                given["spot"] = kind
            elif kind == "group":
                given["asg"] = "workers"
            one = self.world.launch(**given, protected=kind == "protected")
            self.book.kinds[one] = kind
            if kind == "denied":
                self.world.aws.policy.denied_ids.add(one)
            if mark != "not":
                self.mark(one, replica=mark == "replica")

    @rule(workload=st.sampled_from(["w1", "w2"]), count=st.integers(1, 3), marked=st.integers(0, 3))
    def launch_peers(self, workload: str, count: int, marked: int) -> None:
        for number in range(count):
            one = self.world.launch(tags={**MANAGED, "LogicalAgentId": workload})
            self.book.kinds[one] = "plain"
            self.book.workloads[one] = workload
            if number < marked:
                self.mark(one, replica=False)

    def mark(self, one: str, *, replica: bool, zone: str | None = "us-east-1a") -> None:
        if one in self.book.marked:
            return
        if replica:
            self.world.mark_replicas(one, zone=zone)
            self.book.replicas.add(one)
        else:
            self.world.mark_zombies(one, zone=zone)
            self.book.zombies.add(one)

    @rule(which=st.integers(0, 99), replica=st.booleans())
    def mark_one(self, which: int, *, replica: bool) -> None:
        ours = [one for one in self.book.kinds if one not in self.book.marked]
        if ours:
            self.mark(ours[which % len(ours)], replica=replica)

    @rule(which=st.integers(0, 99))
    def place_one_in_another_region(self, which: int) -> None:
        ours = [one for one in self.book.kinds if one not in self.book.marked]
        if ours:
            one = ours[which % len(ours)]
            self.mark(one, replica=False, zone="us-west-2b")
            self.book.elsewhere.add(one)

    @rule(number=st.integers(0, 4))
    def mark_another_accounts(self, number: int) -> None:
        one = f"i-0f0f0f0f0f0f0f0f{number}"
        if one not in self.book.foreign:
            self.book.foreign.add(one)
            self.world.mark_zombies(one, theirs=True)

    @rule(names=st.sets(st.sampled_from(QUIRKS)))
    def show_quirks(self, names: set[str]) -> None:
        self.world.set_quirks(**dict.fromkeys(names, True), database_down=False)
        self.down = False
        self.book.vague = self.book.vague or "odd_entries" in names

    @rule()
    def lose_the_database(self) -> None:
        self.world.set_quirks(database_down=True)
        self.down = True
        self.tried["backend: its database is down"] += 1

    @rule()
    def switch_auto_terminate(self) -> None:
        self.enabled = not self.enabled
        self.world.set_auto_terminate(enabled=self.enabled)

    @rule(data=st.data(), name=st.sampled_from(sorted(POLICIES)))
    def change_policy(self, data: st.DataObject, name: str) -> None:
        self.variables[name] = data.draw(st.sampled_from(POLICIES[name]))

    @rule(
        which=st.integers(0, 99),
        how=st.sampled_from(["terminate", "interrupt", "shut_down_inside"]),
    )
    def somebody_ends_one(self, which: int, how: str) -> None:
        live = (
            [one for one in self.book.kinds if self.world.instances[one].live]
            if (self.book.kinds.keys() <= self.world.instances.keys())
            else []
        )
        if live:
            one = live[which % len(live)]
            getattr(self.world.aws.fleet, how)(one)
            self.book.ended_by_others.add(one)
            self.tried[f"an instance ends meanwhile: {how.replace('_', ' ')}"] += 1

    @rule(seconds=st.sampled_from([1, 20, PAUSE, 1_000, 4_000]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    @rule()
    def start_cold(self) -> None:
        self.world.cold_start()

    # What goes wrong.

    @rule(
        name=st.sampled_from(sorted(trouble.ALL)),
        times=st.sampled_from([1, 2, 4, 7, None]),
    )
    def something_fails(self, name: str, times: int | None) -> None:
        trouble.ALL[name].inject(self.world, times)
        self.tried[name] += 1

    @rule(
        name=st.sampled_from(sorted(trouble.ALL)),
        times=st.sampled_from([1, 2, 4, None]),
        kinds=st.lists(ONE, min_size=1, max_size=4),
    )
    def something_fails_with_work_at_hand(
        self, name: str, times: int | None, kinds: list[tuple[Kind, str, str]]
    ) -> None:
        self.launch(kinds)
        self.something_fails(name, times)

    @rule()
    def all_works_again(self) -> None:
        self.world.aws.faults.clear()
        self.world.gate.script.clear()

    # Runs.

    @invariant()
    def the_schedule_runs_it(self) -> None:
        """After each step, as every minute."""
        if hasattr(self, "world"):
            self.world.clock.advance(60)
            self.run(LAMBDA_SECONDS)

    @rule(timeout=st.sampled_from([12.0, 2.0, 0.5]))
    def run_with_little_time(self, timeout: float) -> None:
        self.run(timeout)

    def run(self, timeout: float) -> None:
        run = self.world.run(self.variables, timeout=timeout)
        self.tried["runs"] += 1
        self.tried["runs in which a fault was met"] += run.met_a_fault
        self.tried["runs that ended instances"] += bool(run.ended)
        check_run(self.book, run, enabled=self.enabled)
        self.excuse(run)

    @precondition(lambda self: not self.down)
    @rule(at=st.sampled_from(OVERLAPPED_AT), nth=st.sampled_from([1, 1, 2]))
    def run_twice_at_once(self, at: str, nth: int) -> None:
        inner: list[Run] = []
        alone = {**self.variables, "BACKEND_CONCURRENCY": "1"}

        def other() -> None:
            inner.append(self.world.run_in_another_environment(alone))

        line = self.world.aws.faults.add(at, faults.meanwhile(other), nth=nth)
        outer = self.world.run(alone)
        line.times = 0  # a later run is alone
        also = inner[0] if inner else None
        self.tried["runs"] += 1 + len(inner)
        self.tried["two runs at once"] += len(inner)
        check_run(self.book, outer, enabled=self.enabled, also=also)
        self.excuse(outer)

    def excuse(self, run: Run) -> None:
        """A run may fail only where the list or the token was not to be had."""
        if run.error is None:
            return
        token = [call for call in run.asked("GetParameter") if call.outcome != "ok"]
        told = [name for name in run.backend_faults if name.startswith("instances-to-terminate")]
        assert self.down or token or told, f"it failed without need: {run.error}"

    # The end.

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.set_quirks(foreign_zombies=True, confirmed_replicas_return=True)
        world.set_auto_terminate(enabled=True)
        world.aws.fleet.lag = 0
        variables = {**self.variables, **CALM}
        for run in world.calm(4, **variables):
            assert run.error is None
            check_run(self.book, run)
        self.tried["runs"] += 4
        ignores = variables.get("MISSING_INSTANCE_POLICY") == "ignore"
        check_calm(self.book, variables, forgets=ignores)


def test_whatever_happens_what_is_marked_and_ours_ends_once_and_nothing_else_does(
    servers: Harness, record_property: Record
) -> None:
    Fleet.servers, Fleet.tried = servers, Counter()
    run_state_machine_as_test(
        seed(SEED)(Fleet),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            print_blob=False,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
    for name, tries in Fleet.tried.items():
        what = f"anywhere in a history: {name}" if name in trouble.ALL else name
        table.add(record_property, "property", what, tries, "every invariant held")
    assert Fleet.tried["runs"] > EXAMPLES


if __name__ == "__main__":
    pytest.main([__file__])
