"""One run: who is marked, what is true now, decide, act, report, account.

Level-triggered: each run decides afresh from what the backend lists and what EC2 shows, so the
next run finishes what this one could not, and needs no memory of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from handler.domain.deadline import Deadline
from handler.domain.errors import AwsError
from handler.domain.guard import (
    PEER_TAG,
    Action,
    Carried,
    Decision,
    Policy,
    decide,
    defer,
    fuse_blown,
    in_another_region,
    needs_peer,
    within_cap,
)
from handler.domain.model import Instance, Listing, Marked, Sight, State
from handler.domain.outcome import Outcome, Settled, Summary
from handler.domain.ports import Outside
from handler.jobs.act import OUT_OF_TIME, Act, all_settled
from handler.jobs.proof import prove
from handler.jobs.report import SUCCESSES, Reporting
from handler.jobs.spot import cancel_standing_requests, watch_cancelled_requests

LOOKED_AT_TOGETHER = 2000
"""Ids between two looks at the clock: ten DescribeInstances calls, side by side."""


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

    def run(self) -> Summary:
        """Do one run. Raises BackendError when the list is not to be had: nothing was done."""
        listing = self.outside.backend.marked()
        watch_cancelled_requests(self.outside, self.clock())
        listed_at = self.clock()
        enabled = listing.auto_terminate_enabled and self.limits.auto_terminate_enabled
        if enabled:
            decisions = self._decide(listing.marked)
            settled = [self._timed(one, listed_at) for one in self._act(decisions)]
        else:
            settled = [
                Settled(marked, Outcome.DEFERRED, "auto-terminate is off")
                for marked in listing.marked
            ]
        reported = self._report(settled)
        return self._account(listing, reported, enabled=enabled)

    def _decide(self, marked: Sequence[Marked]) -> list[Decision]:
        """Look at EC2, and decide about every entry."""
        region = self.policy.region
        ours = [m.instance_id for m in marked if not in_another_region(m.zone, region)]
        sight = self._look(ours)
        carried = self._carried(marked, sight)
        now = self.clock()
        decisions = []
        for entry in marked:
            seen = sight.seen.get(entry.instance_id)
            if seen is not None:
                self._watch_stuck(seen, now)
            if (error := sight.unreadable.get(entry.instance_id)) is not None:
                why = f"EC2 could not be asked: {error}"
                decisions.append(Decision(entry, Action.SETTLE, Outcome.DEFERRED, why))
            elif isinstance(carried, AwsError) and seen and needs_peer(entry, seen, self.policy):
                why = f"its peers could not be looked up: {carried}"
                decisions.append(Decision(entry, Action.SETTLE, Outcome.DEFERRED, why, seen))
            else:
                known = frozenset[str]() if isinstance(carried, AwsError) else carried
                decisions.append(decide(entry, seen, self.policy, known, now))
        return decisions

    def _look(self, ids: Sequence[str]) -> Sight:
        """Look at all of them, as far as the time goes: a list may hold 100,000."""
        seen: dict[str, Instance] = {}
        unreadable: dict[str, AwsError] = {}
        for start in range(0, len(ids), LOOKED_AT_TOGETHER):
            part = ids[start : start + LOOKED_AT_TOGETHER]
            if self.deadline.to_act() <= 0:
                unreadable |= dict.fromkeys(part, OUT_OF_TIME)
            else:
                sight = self.outside.machines.look(part)
                seen |= sight.seen
                unreadable |= sight.unreadable
        return Sight(seen, unreadable)

    def _carried(self, marked: Sequence[Marked], sight: Sight) -> Carried | AwsError:
        """The workloads in question that a running, unmarked instance carries."""
        workloads = {
            workload
            for entry in marked
            if (seen := sight.seen.get(entry.instance_id)) is not None
            and (workload := needs_peer(entry, seen, self.policy)) is not None
        }
        if not workloads:
            return frozenset()
        running = self.outside.machines.running_with(PEER_TAG, workloads)
        if isinstance(running, AwsError):
            return running
        listed = {entry.instance_id for entry in marked}
        return frozenset(value for one, value in running.items() if one not in listed)

    def _act(self, decisions: Sequence[Decision]) -> list[Settled]:
        """Terminate what may be terminated, within the cap and under the fuse."""
        destructive = [d for d in decisions if d.action in {Action.TERMINATE, Action.SHRINK}]
        unproven = [d for d in decisions if d.action is Action.PROVE]
        others = [d for d in decisions if d.action in {Action.REPORT, Action.SETTLE}]
        settled = all_settled(others)
        settled += all_settled(prove(unproven, self.outside, self.deadline))
        now, over = within_cap(destructive, self.limits.max_terminations_per_run)
        settled += all_settled(over)
        if not now:
            return settled
        if (blown := self._fuse(len(now))) is not None:
            self.outside.journal.fuse_blown(blown)
            return settled + all_settled(defer(d, blown) for d in now)
        act = Act(
            self.outside.machines,
            self.outside.journal,
            self.policy,
            self.deadline,
            self.clock,
            self.sleep,
        )
        free, held_back = cancel_standing_requests(now, act, self.outside.cancelled)
        return settled + held_back + act.terminate(free)

    def _fuse(self, wanted: int) -> str | None:
        """Why nothing is terminated in this run, or None."""
        percent = self.limits.max_fleet_percent
        if percent >= 100:  # what is to be terminated is part of the fleet: it cannot be more
            return None
        fleet = self.outside.machines.fleet_size(self.policy.required_tags)
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
        return replace(settled, took=max(waited + (ended_at - listed_at).total_seconds(), 0.0))

    def _report(self, settled: Sequence[Settled]) -> list[Settled]:
        reporting = Reporting(
            self.outside,
            self.deadline,
            self.limits.backend_concurrency,
            self.outside.journal.settled,
        )
        return reporting.deliver(settled, dry_run=self.policy.dry_run)

    def _account(self, listing: Listing, settled: Sequence[Settled], *, enabled: bool) -> Summary:
        for entry in listing.invalid:
            self.outside.journal.invalid(entry)
        summary = Summary.of(
            settled,
            invalid=len(listing.invalid),
            auto_terminate_enabled=enabled,
            dry_run=self.policy.dry_run,
        )
        self.outside.journal.summary(summary, settled)
        return summary
