"""One run over the fakes."""

from __future__ import annotations

from collections.abc import Sequence

from handler.aws.look_ups import LookUps
from handler.instances.judge import Judge
from handler.instances.model import Agent, Candidate
from handler.instances.outcome import Summary
from handler.instances.ownership import Agents
from handler.instances.rules import Policy, ToTerminate
from handler.instances.run import Limits, TerminationRun
from handler.instances.terminate import Terminator
from tests.fakes.build import AGENT, instance, limits, listing, marked, policy
from tests.fakes.clock import FakeClock
from tests.fakes.fleet import FakeFleet
from tests.fakes.outside import FakeDependencies


def run(
    to: FakeDependencies,
    rules: Policy | None = None,
    bounds: Limits | None = None,
    clock: FakeClock | None = None,
    acting: Sequence[Agent] | None = None,
) -> Summary:
    """Do one run, under the contract's defaults where nothing else is said."""
    clock = clock or FakeClock()
    to.fleet.clock = clock
    return TerminationRun(
        to,
        to.agents,
        to.agents if acting is None else acting,
        rules or policy(),
        bounds or limits(),
        clock.deadline(),
        clock,
        clock.sleep,
    ).run()


def judge(
    to: FakeDependencies, candidates: Sequence[Candidate], rules: Policy, clock: FakeClock
) -> Judge:
    """What decides about these."""
    look_ups = LookUps(clock.deadline(), to.journal.look_up_failed)
    listed = {one.instance_id for one in candidates}
    agents = Agents([AGENT])
    return Judge(lambda: to.fleet, agents, rules, look_ups, clock, clock.sleep, listed, set)


def terminator(
    to: FakeDependencies,
    decisions: Sequence[ToTerminate],
    rules: Policy | None = None,
    clock: FakeClock | None = None,
) -> Terminator:
    """The terminating part of one run, about these decisions."""
    clock, rules = clock or FakeClock(), rules or policy()
    to.fleet.clock = clock
    candidates = [Candidate(one.marked.instance_id, (one.marked,)) for one in decisions]
    deciding = judge(to, candidates, rules, clock)
    deciding.remember(candidates)
    return Terminator(
        to.fleet,
        to.journal.accepted,
        deciding.again,
        clock.deadline(),
        clock,
        clock.sleep,
        dry_run=rules.dry_run,
        confirm=rules.confirm_termination,
    )


def outside(*numbers: int, listed: int | None = None) -> FakeDependencies:
    """These instances, of which the first so many are listed; all unless told."""
    around = FakeDependencies(FakeFleet(instance(n) for n in numbers))
    count = len(numbers) if listed is None else listed
    around.lists(listing(*(marked(n) for n in numbers[:count])))
    return around
