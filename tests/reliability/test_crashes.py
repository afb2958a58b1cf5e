"""The built artifact, killed anywhere, stopped by the time limit, and run twice at once."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.reliability import table
from tests.reliability.agents import DEPOT, MAIL, PLAIN, SHOP, STRANGER, replica, switched
from tests.reliability.fake_time import MovedTime
from tests.reliability.servers import Harness, harness
from tests.reliability.table import SOAK, Record
from tests.reliability.world import PAUSE, World
from tests.support.artifact import artifact
from tests.support.built import Artifact
from tests.support.lambda_runtime import LambdaRuntime, Result
from tools.ec2_emulator.calls import PENDING

__all__ = ["artifact"]

pytestmark = pytest.mark.artifact

GROUPS, KILLS = (20, 100) if SOAK else (1, 2)
"""Groups, which several processes can share, and the kills in each."""
OVERLAPS = 300 if SOAK else 2
TIMEOUT = 20
PLACES = (
    "before it asked EC2 anything",
    "after its look, before anything was terminated",
    "after instances were terminated, before any report",
    "in the middle of the reports",
    "after the last report",
)


@pytest.fixture(scope="module")
def servers() -> Iterator[Harness]:
    """Servers that keep the machine's time, as the function's process does."""
    with harness(MovedTime()) as running:
        yield running


def runtime(world: World, built: Artifact, timeout: int = TIMEOUT) -> LambdaRuntime:
    return LambdaRuntime(env=world.environment(), timeout=timeout, built=built)


@pytest.fixture(scope="module")
def calm(servers: Harness, artifact: Artifact) -> Iterator[LambdaRuntime]:
    """An execution environment that nobody kills: the next schedule's."""
    with runtime(servers.world, artifact) as function:
        yield function


def marked(world: World) -> tuple[list[str], list[str]]:
    """Instances that must end, and others that must not."""
    ours = [
        world.launch(zone=f"us-east-1{zone}", tags=switched(agent))
        for zone, agent in (("a", SHOP), ("a", MAIL), ("b", PLAIN), ("b", SHOP))
    ]
    parent = world.launch()
    ours += [world.launch(spot="persistent"), world.launch(tags=replica(SHOP, parent))]
    spared = [
        world.launch(protected=True, zone="us-east-1b"),
        world.launch(tags={**switched(MAIL), "DoNotTerminate": ""}),
        world.launch(tags=switched(DEPOT)),
        world.launch(tags=switched(STRANGER)),
        world.launch(tags={}),
    ]
    world.mark_zombies(*ours[:-1], *spared)
    world.mark_replicas(ours[-1])
    return ours, [*spared, parent]


def started(function: LambdaRuntime) -> tuple[threading.Thread, list[Result]]:
    results: list[Result] = []
    call = threading.Thread(target=lambda: results.append(function.invoke({})))
    call.start()
    return call, results


def place(world: World) -> str:
    """Where a run was stopped, by what it had asked for by then."""
    reports = len(world.gate.recorded)
    if reports >= 8:  # six successes and two failures
        return PLACES[4]
    if reports:
        return PLACES[3]
    if any(call.effect for call in world.aws.calls.of("TerminateInstances")):
        return PLACES[2]
    return PLACES[1] if world.aws.calls.count("DescribeInstances") else PLACES[0]


def set_right(
    world: World, function: LambdaRuntime, ours: list[str], spared: list[str], *, killed: bool
) -> None:
    """One calm run, and the invariants."""
    come_to_rest(world)
    world.expire_claims()
    world.clock.advance(PAUSE)
    result = function.invoke({})
    assert result.ok, result.error_message
    returned = dict(result.payload)
    enabled, dry = returned.pop("auto_terminate_enabled"), returned.pop("dry_run")
    assert (enabled, dry) == (True, False)
    returned.pop("untagged", None)
    assert returned.pop("listed") == sum(returned.values())
    assert {world.state(one) for one in ours} == {"terminated"}
    assert {world.state(one) for one in spared} == {"running"}
    assert world.confirmed() == set(ours)
    *zombies, replica_again = [world.successes(one) for one in ours]
    assert zombies == [1] * len(zombies)
    # A replica that comes back (quirk 4) is told again where the dead run kept no record of it.
    assert replica_again in ({1, 2} if killed else {1})
    assert [world.successes(one) for one in spared] == [0] * len(spared)
    (request,) = world.aws.fleet.requests.values()
    assert request.state == "cancelled"
    assert world.token not in function.logs


def length_of_a_run(servers: Harness, built: Artifact) -> float:
    """Seconds that a run takes, cold for AWS, as the ones that are killed."""
    world = servers.new()
    with runtime(world, built) as function:
        function.invoke({})
        marked(world)
        began = time.monotonic()
        assert function.invoke({}).ok
        return time.monotonic() - began


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_run_that_is_killed_anywhere_is_finished_by_the_next(
    servers: Harness,
    artifact: Artifact,
    calm: LambdaRuntime,
    group: int,
    record_property: Record,
) -> None:
    chance = random.Random(group)
    length = length_of_a_run(servers, artifact)
    landed: Counter[str] = Counter()
    for _ in range(KILLS):
        if table.time_is_over(f"kills {group}", 0.7 / GROUPS):
            break
        world = servers.new()
        # Of an event that the backend lost (quirk 8), a run that is dead cannot tell again.
        world.set_quirks(event_lost_every=0)
        with runtime(world, artifact) as function:
            function.invoke({})  # what only loads code is over when the run begins
            world.aws.calls.clear()
            ours, spared = marked(world)
            call, results = started(function)
            time.sleep(chance.uniform(0, 1.1) * length)
            function.kill()
            call.join()
        where = place(world)
        landed[where if not results[0].ok else PLACES[4]] += 1
        set_right(world, calm, ours, spared, killed=True)
    for where, times in landed.items():
        what = f"SIGKILL {where}"
        table.add(
            record_property, "crash", what, times, "finished by one calm run; zombies reported once"
        )
    assert SOAK or sum(landed.values()) == KILLS


def test_two_runs_at_once_in_two_processes_report_each_instance_once(
    servers: Harness, artifact: Artifact, calm: LambdaRuntime, record_property: Record
) -> None:
    chance = random.Random(5)
    shared = tries = 0
    with runtime(servers.new(), artifact) as first, runtime(servers.world, artifact) as second:
        for _ in range(OVERLAPS):
            if table.time_is_over("overlaps", 0.3):
                break
            tries += 1
            world = servers.new()
            world.set_quirks(latency_seconds=0.01, event_lost_every=0)
            first.invoke({})
            second.invoke({})
            ours, spared = marked(world)
            call, results = started(first)
            time.sleep(chance.uniform(0, 0.1))
            other, also = started(second)
            call.join()
            other.join()
            assert results[0].ok
            assert also[0].ok
            counts = Counter(results[0].payload) + Counter(also[0].payload)
            assert counts["terminated"] == len(ours), "counted twice, or not at all"
            shared += counts["listed"] > max(run[0].payload["listed"] for run in (results, also))
            set_right(world, calm, ours, spared, killed=False)
    what = "two runs at once in two processes"
    result = f"reported and counted once each; in {shared} of them both had instances in hand"
    table.add(record_property, "crash", what, tries, result)
    assert shared or not tries, "the runs never overlapped"


def come_to_rest(world: World) -> None:
    """Wait for what the dead run had sent: the next schedule is a minute away, not a millisecond."""
    seen: tuple[int, int] | None = None
    for _ in range(200):
        now = len(world.aws.calls), world.gate.calls
        if now == seen and not (
            world.gate.under_way or any(call.outcome == PENDING for call in world.aws.calls)
        ):
            return
        seen = now
        time.sleep(0.05)
    raise AssertionError("requests never ended")
