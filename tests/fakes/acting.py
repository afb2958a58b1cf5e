"""What a run does about what it has decided to terminate, over the fakes."""

from __future__ import annotations

from dataclasses import replace

from handler.instances.outcome import Ended, Outcome, Result
from handler.instances.rules import GROUP_TAG, AsgMembers, Policy, ToTerminate
from tests.fakes.build import OURS, decision, instance, policy
from tests.fakes.clock import FakeClock
from tests.fakes.fleet import FakeFleet
from tests.fakes.outside import FakeDependencies
from tests.fakes.run import terminator

GROUP = OURS | {GROUP_TAG: "web"}


def outside(count: int = 1, zones: int = 1) -> FakeDependencies:
    return FakeDependencies(
        FakeFleet(instance(n, zone=f"us-east-1{'abcdef'[n % zones]}") for n in range(count))
    )


def decisions(around: FakeDependencies) -> list[ToTerminate]:
    return [
        replace(decision(int(one.instance_id.removeprefix("i-"), base=16)), instance=one)
        for one in around.fleet.instances.values()
    ]


def acted(
    around: FakeDependencies,
    given: list[ToTerminate] | None = None,
    rules: Policy | None = None,
    clock: FakeClock | None = None,
) -> list[Result]:
    given = decisions(around) if given is None else given
    doing = terminator(around, given, rules, clock)
    return [one for results in doing.terminate(given, doing.clock()) for one in results]


def outcome(one: Result) -> Outcome:
    """What it ends in, once its report is acknowledged."""
    return one.acknowledged if isinstance(one, Ended) else one.outcome


def settled(around: FakeDependencies, found: list[Result]) -> dict[str, Outcome]:
    outcomes = {one.marked.instance_id: outcome(one) for one in found}
    assert len(found) == len(outcomes) == len(around.fleet.instances)
    return outcomes


SHRINK = policy(asg_members=AsgMembers.TERMINATE_AND_SHRINK)


def group(count: int) -> FakeDependencies:
    return FakeDependencies(FakeFleet(instance(n, tags=GROUP) for n in range(count)))
