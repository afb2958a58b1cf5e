"""One run: who is marked, what is true now, decide, act, report, account.

Level-triggered: each run decides afresh from what the backend lists and what EC2 shows, so the
next run finishes what this one could not, and needs no memory of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from handler.aws.errors import AwsError
from handler.aws.retry import Patience
from handler.deadline import Deadline
from handler.instances.decide import Judge, remember_listed
from handler.instances.guard import Action, Decision, Policy, defer, fuse_blown, within_cap
from handler.instances.model import Instance, Listing, Marked, State
from handler.instances.outcome import Outcome, Settled, Summary
from handler.instances.ports import Outside
from handler.instances.proof import prove
from handler.instances.report import SUCCESSES, Reporting
from handler.instances.spot_requests import cancel_standing_requests, watch_cancelled_requests
from handler.instances.terminate import Act, all_settled

TRIES_TO_LOOK = 5
"""How often a look-up is tried; with the pauses between, at most eight seconds."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one run may do; each field is the environment variable of the same name."""

    auto_terminate_enabled: bool
    max_terminations_per_run: int
    max_fleet_percent: int
    backend_concurrency: int
    stuck_after_seconds: float


@dataclass(frozen=True, slots=True)
class TerminationJob:
    """Everything that one run is made of.

    Args:
        outside: the ports; what is not asked for is not made.
        policy: what may be terminated.
        limits: how much of it.
        deadline: the run's time.
        clock: the time now (UTC).
        sleep: waits for so many seconds between tries.
    """

    outside: Outside
    policy: Policy
    limits: Limits
    deadline: Deadline
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]

    @property
    def patiently(self) -> Patience:
        """Asks AWS again a few times: one look-up's trouble must not take the others' time."""
        return Patience(self.deadline, self.sleep, tries=TRIES_TO_LOOK)

    def run(self) -> Summary:
        """Do one run. Raises BackendError when the list is not to be had: nothing was done."""
        asked_at = self.clock()
        listing = self.outside.backend.marked()
        listed_at = self.clock()
        watch_cancelled_requests(self.outside, self.patiently, listed_at)
        enabled = listing.auto_terminate_enabled and self.limits.auto_terminate_enabled
        if enabled:
            decisions = self._decide(listing.marked, listed_at)
            settled = [self._timed(one, listed_at) for one in self._act(decisions)]
        else:
            settled = [
                Settled(marked, Outcome.DEFERRED, "auto-terminate is off")
                for marked in listing.marked
            ]
        reported = self._report(settled)
        return self._account(listing, reported, listed_at - asked_at, enabled=enabled)

    def _decide(self, marked: Sequence[Marked], now: datetime) -> list[Decision]:
        """Decide about every entry, and watch those that EC2 does not finish."""
        hidden = remember_listed(self.outside.listed, marked, now)
        outside = self.outside
        judge = Judge(lambda: outside.machines, self.policy, self.patiently, self.clock, hidden)
        decisions = judge.decide(marked).decisions
        for decision in decisions:
            if decision.instance is not None:
                self._watch_stuck(decision.instance, self.clock())
        return decisions

    def _act(self, decisions: Sequence[Decision]) -> list[Settled]:
        """Do what was decided. Proofs come last: they are slow, and terminations do not wait."""
        destructive = [d for d in decisions if d.action in {Action.TERMINATE, Action.SHRINK}]
        unproven = [d for d in decisions if d.action is Action.PROVE]
        others = [d for d in decisions if d.action in {Action.REPORT, Action.SETTLE}]
        return [
            *all_settled(others),
            *self._terminate(destructive),
            *all_settled(prove(unproven, self.outside, self.patiently)),
        ]

    def _terminate(self, decisions: Sequence[Decision]) -> list[Settled]:
        """Terminate what may be terminated, within the cap and under the fuse."""
        now, over = within_cap(decisions, self.limits.max_terminations_per_run)
        if not now:
            return all_settled(over)
        if (blown := self._fuse(len(now))) is not None:
            self.outside.journal.fuse_blown(blown)
            return all_settled([*over, *(defer(d, blown) for d in now)])
        act = Act(
            self.outside.machines,
            self.outside.journal,
            self.policy,
            self.deadline,
            self.clock,
            self.sleep,
        )
        free, held_back = cancel_standing_requests(now, act, self.outside.cancelled)
        return [*all_settled(over), *held_back, *act.terminate(free)]

    def _fuse(self, wanted: int) -> str | None:
        """Why nothing is terminated in this run, or None."""
        percent = self.limits.max_fleet_percent
        if percent >= 100:  # what is to be terminated is part of the fleet: it cannot be more
            return None
        machines = self.outside.machines
        fleet = self.patiently(lambda: machines.fleet_size(self.policy.required_tags))
        if isinstance(fleet, AwsError):
            return f"the fleet could not be counted: {fleet}"
        if fuse_blown(wanted, fleet, percent):
            return f"{wanted} terminations are more than {percent} % of {fleet} live instances"
        return None

    def _watch_stuck(self, seen: Instance, now: datetime) -> None:
        if seen.state is State.SHUTTING_DOWN and seen.ending and seen.ending.at:
            seconds = (now - seen.ending.at).total_seconds()
            if seconds > self.limits.stuck_after_seconds:
                self.outside.journal.stuck(seen, seconds)

    def _timed(self, settled: Settled, listed_at: datetime) -> Settled:
        """Add the seconds from marking to EC2's acceptance; the backend counts up to its list."""
        waited, ended_at = settled.marked.waited, settled.ended_at
        if settled.outcome not in SUCCESSES or waited is None or ended_at is None:
            return settled
        took = waited + (ended_at - listed_at).total_seconds()
        return replace(settled, took=took) if took >= 0 else settled  # it ended before its marking

    def _report(self, settled: Sequence[Settled]) -> list[Settled]:
        reporting = Reporting(
            self.outside,
            self.deadline,
            self.limits.backend_concurrency,
            self.outside.journal.settled,
        )
        return reporting.deliver(settled, dry_run=self.policy.dry_run)

    def _account(
        self, listing: Listing, settled: Sequence[Settled], answered_in: timedelta, *, enabled: bool
    ) -> Summary:
        for entry in listing.invalid:
            self.outside.journal.invalid(entry)
        summary = Summary.of(
            settled,
            invalid=len(listing.invalid),
            auto_terminate_enabled=enabled,
            dry_run=self.policy.dry_run,
        )
        self.outside.journal.summary(summary, settled, answered_in)
        return summary
