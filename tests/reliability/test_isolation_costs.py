"""What isolating the bad ones costs, on an account with EC2's own rules."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from unittest.mock import patch

import pytest

from handler.instances.wire import TerminationReports
from tests.reliability import table
from tests.reliability.table import SOAK, Record
from tests.reliability.world import MANAGED, Run, World
from tools.ec2_emulator import faults

pytestmark = pytest.mark.usefixtures("no_reports")

BUDGET = 120
"""TerminateInstances calls for 12 bad among 1,000: the budget that the design gives."""


@pytest.fixture
def no_reports() -> Iterator[None]:
    """A thousand reports take ten seconds, and say nothing about the calls to EC2."""

    with patch.object(TerminationReports, "report", lambda *_: None):
        yield


def zombies(world: World, count: int, zones: str = "a") -> list[str]:
    ids = [world.launch(zone=f"us-east-1{zones[n % len(zones)]}") for n in range(count)]
    world.mark_zombies(*ids)
    return ids


def calls(*runs: Run) -> int:
    return sum(len(run.asked("TerminateInstances")) for run in runs)


def states(world: World, ids: list[str]) -> Counter[str | None]:
    now = world.instances
    return Counter(now[one].state if one in now else None for one in ids)


def test_of_300_with_one_protected_299_end(world: World, record_property: Record) -> None:
    ids = [*zombies(world, 299, "abc"), world.launch(protected=True, zone="us-east-1b")]
    world.mark_zombies(ids[-1])
    run = world.run()
    assert states(world, ids) == {"terminated": 299, "running": 1}
    assert run.counts == {"listed": 300, "terminated": 299, "failed": 1}
    assert calls(run) == 4  # a call a zone, and the zone of the protected one again without it
    result = f"299 terminated, the protected one reported as failed; {calls(run)} calls"
    table.add(record_property, "cost", "1 of 300 has termination protection", 1, result)


@pytest.mark.parametrize("seed", range(10 if SOAK else 2))
def test_12_nameless_bad_ones_among_1000_stay_within_the_budget(
    world: World, seed: int, record_property: Record
) -> None:
    bad = set(random.Random(seed).sample(range(1_000), 12))
    world.aws.quirks.anonymous_errors = True
    ids = [world.launch(protected=n in bad) for n in range(1_000)]
    world.mark_zombies(*ids)
    run = world.run(MAX_TERMINATIONS_PER_RUN="1000")
    assert states(world, ids) == {"terminated": 988, "running": 12}
    assert run.counts == {"listed": 1_000, "terminated": 988, "failed": 12}
    assert calls(run) <= BUDGET
    what = f"12 of 1,000 are protected, EC2 does not say which (seed {seed})"
    result = f"988 terminated, 12 reported as failed; {calls(run)} calls, {BUDGET} allowed"
    table.add(record_property, "cost", what, 1, result)


def test_what_vanishes_between_look_and_call_costs_the_others_nothing(
    world: World, record_property: Record
) -> None:
    ids = zombies(world, 100)
    gone = ids[10:15]

    def vanish() -> None:
        for one in gone:
            world.aws.fleet.forget(one)

    world.aws.faults.add("TerminateInstances", faults.meanwhile(vanish))
    run = world.run()
    assert states(world, ids) == {"terminated": 95, None: 5}
    assert run.counts == {"listed": 100, "terminated": 95, "already_gone": 5}
    assert calls(run) == 2
    result = f"95 terminated, 5 reported as gone; {calls(run)} calls"
    table.add(record_property, "cost", "5 of 100 vanish after they were looked at", 1, result)


@pytest.mark.parametrize("nameless", [False, True])
def test_single_instances_that_the_role_may_not_touch_are_set_apart(
    world: World, nameless: bool, record_property: Record
) -> None:
    ids = zombies(world, 200, "ab")
    world.aws.policy.encoded_messages = nameless
    world.aws.policy.denied_ids = set(ids[7:200:60])
    run = world.run()
    assert states(world, ids) == {"terminated": 196, "running": 4}
    assert run.counts == {"listed": 200, "terminated": 196, "failed": 4}
    assert calls(run) <= BUDGET
    how = "does not say which" if nameless else "names each"
    what = f"4 of 200 are denied by IAM, which {how}"
    table.add(record_property, "cost", what, 1, f"196 terminated; {calls(run)} calls")


def test_all_kinds_of_trouble_at_once_are_told_apart(world: World, record_property: Record) -> None:
    ids = zombies(world, 120, "ab")
    protected = [world.launch(protected=True) for _ in range(3)]
    tagged = [world.launch(tags={**MANAGED, "DoNotTerminate": ""}) for _ in range(3)]
    theirs = [world.launch(tags={}) for _ in range(3)]
    persistent = [world.launch(spot="persistent") for _ in range(3)]
    world.mark_zombies(*protected, *tagged, *theirs, *persistent)
    denied, vanishing = ids[5], ids[6]
    world.aws.policy.denied_ids.add(denied)
    world.aws.faults.add(
        "TerminateInstances", faults.meanwhile(lambda: world.aws.fleet.forget(vanishing))
    )
    run = world.run()
    assert run.counts == {
        "listed": 132,
        "terminated": 118 + 3,
        "already_gone": 1,
        "failed": 1 + 3,
        "refused": 6,
    }
    assert states(world, protected + tagged + theirs) == {"running": 9}
    assert calls(run) <= 20
    what = "protected, denied, vanishing, tagged, untagged and persistent Spot in one list of 132"
    result = f"each with its own outcome; {calls(run)} calls"
    table.add(record_property, "cost", what, 1, result)


def test_an_accepted_call_that_ended_nothing_is_a_failure(
    world: World, record_property: Record
) -> None:
    (one,) = zombies(world, 1)
    state = "<code>16</code><name>running</name>"
    body = (
        '<TerminateInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        f"<requestId>r</requestId><instancesSet><item><instanceId>{one}</instanceId>"
        f"<currentState>{state}</currentState><previousState>{state}</previousState>"
        "</item></instancesSet></TerminateInstancesResponse>"
    )
    world.aws.faults.add("TerminateInstances", faults.raw(200, body))
    run = world.run()
    assert run.counts == {"listed": 1, "failed": 1}
    assert world.state(one) == "running"
    what = "EC2 accepts the call and returns the state running"
    table.add(record_property, "cost", what, 1, "reported as failed, not as terminated")


def test_throttling_never_splits_a_batch(world: World, record_property: Record) -> None:
    ids = zombies(world, 200)
    world.aws.faults.add("TerminateInstances", faults.throttled(), times=5)
    run = world.run()
    sizes = [len(call.parameters["InstanceIds"]) for call in run.asked("TerminateInstances")]
    assert sizes == [200] * 6
    assert states(world, ids) == {"terminated": 200}
    assert run.counts == {"listed": 200, "terminated": 200}
    result = f"the same 200 ids in each of {len(sizes)} calls; all terminated"
    table.add(record_property, "cost", "5 throttles in a row", 1, result)


def test_a_throttle_that_lasts_defers_the_batch_whole(
    world: World, record_property: Record
) -> None:
    ids = zombies(world, 200)
    world.aws.faults.add("TerminateInstances", faults.throttled(), times=None)
    run = world.run()
    assert {len(c.parameters["InstanceIds"]) for c in run.asked("TerminateInstances")} == {200}
    assert run.counts == {"listed": 200, "deferred": 200}
    assert states(world, ids) == {"running": 200}
    result = "the same 200 ids in every call; all deferred, none reported as failed"
    table.add(record_property, "cost", "EC2 throttles for the whole run", 1, result)


@pytest.mark.parametrize("zones", ["a", "abc"])
def test_a_drain_of_1600_takes_little_longer_than_ec2s_buckets_do(
    world: World, zones: str, record_property: Record
) -> None:
    ids = zombies(world, 1_600, zones)
    world.aws.buckets.enable()
    began, runs = world.clock(), list[Run]()
    while world.aws.fleet.live:
        at = world.clock()
        runs.append(world.run(MAX_TERMINATIONS_PER_RUN="1600"))
        assert len(runs) < 10
        if world.aws.fleet.live:
            world.clock.advance(max(0.0, 60 - (world.clock() - at)))  # the next schedule
    accepted = [c.at for run in runs for c in run.asked("TerminateInstances") if c.effect]
    took, least = max(accepted) - began, (1_600 - 1_000) / 20
    assert took <= 1.25 * least
    assert all("failed" not in run.counts for run in runs), "throttled is not failed"
    assert states(world, ids) == {"terminated": 1_600}
    share = round(100 * took / least)
    what = f"a drain of 1,600 in {len(zones)} zone(s) under EC2's documented buckets"
    result = f"{share} % of the least time that the buckets allow; none reported as failed"
    table.add(record_property, "cost", what, 1, result)
