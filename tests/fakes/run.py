"""One run of the job over the fakes."""

from __future__ import annotations

from handler.instances.guard import Policy
from handler.instances.outcome import Summary
from handler.instances.run import Limits, TerminationJob
from handler.instances.terminate import Act
from tests.fakes.build import limits, policy
from tests.fakes.clock import FakeClock
from tests.fakes.outside import FakeOutside


def job(
    outside: FakeOutside,
    rules: Policy | None = None,
    bounds: Limits | None = None,
    clock: FakeClock | None = None,
) -> TerminationJob:
    """The job of one run, under the contract's defaults where nothing else is said."""
    clock = clock or FakeClock()
    outside.fleet.clock = clock
    return TerminationJob(
        outside, rules or policy(), bounds or limits(), clock.deadline(), clock, clock.sleep
    )


def run(
    outside: FakeOutside,
    rules: Policy | None = None,
    bounds: Limits | None = None,
    clock: FakeClock | None = None,
) -> Summary:
    """Do one run."""
    return job(outside, rules, bounds, clock).run()


def act(outside: FakeOutside, rules: Policy | None = None, clock: FakeClock | None = None) -> Act:
    """The terminating part of one run."""
    clock = clock or FakeClock()
    outside.fleet.clock = clock
    return Act(
        outside.fleet,
        outside.the_journal,
        rules or policy(),
        clock.deadline(),
        clock,
        clock.sleep,
    )
