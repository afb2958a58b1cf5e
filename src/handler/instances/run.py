"""One run for all agents: who is marked, what is true now, decide, act, report, account.

Level-triggered: each run decides afresh from what the backend lists and what EC2 shows, so the
next run finishes what this one could not, and needs no memory of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from handler.aws.errors import AwsError
from handler.aws.look_ups import LookUps
from handler.deadline import Deadline, LateError, in_time
from handler.instances.judge import Judge
from handler.instances.listing import Fetched, failure, fetch, held_by
from handler.instances.model import Agent, Instance, State, UntaggedReplicas
from handler.instances.outcome import Denied, Ended, Left, Outcome, Result, Settled, Summary
from handler.instances.ownership import Agents, candidates
from handler.instances.ports import Dependencies, Machines
from handler.instances.reporter import Reporter
from handler.instances.rules import (
    REPLICA_TAGS,
    Decision,
    Policy,
    ToProve,
    ToTerminate,
    defer,
    fuse_blown,
    within_cap,
)
from handler.instances.spot_requests import StandingRequests, watch_cancelled_requests
from handler.instances.terminate import Terminator

T = TypeVar("T")
LONGEST_REMEMBERING = 2.0
"""Seconds for which the memory of first sight is waited for."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one run may do; each field is the environment variable of the same name."""

    auto_terminate_enabled: bool
    max_terminations_per_run: int
    max_fleet_percent: int
    backend_concurrency: int
    stuck_after_seconds: float
    overdue_after_seconds: float


@dataclass(slots=True)
class TerminationRun:
    """Everything that one run is made of.

    Args:
        to: what it talks to; what is not asked for is not made.
        agents: all of `AGENT_ID`, which own machines.
        acting: those whose lists are asked for.
        policy: what may be terminated.
        limits: how much of it.
        deadline: the run's time.
        clock: the time now (UTC).
        sleep: waits for so many seconds between tries.
    """

    to: Dependencies
    agents: Sequence[Agent]
    acting: Sequence[Agent]
    policy: Policy
    limits: Limits
    deadline: Deadline
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]

    def run(self) -> Summary:
        """Do one run. Raises BackendError when no agent's list could be had: nothing was done."""
        asked_at = self.clock()
        fetched = self._fetch()
        answered_in = self.clock() - asked_at
        look_ups = LookUps(self.deadline, self.to.journal.look_up_failed)
        watch_cancelled_requests(
            lambda: self.to.machines,
            self.to.cancelled,
            look_ups,
            self.to.journal.came_back,
            asked_at,
        )
        judge = self._judge(held_by(fetched.lists), look_ups)
        decided_at = self.clock()
        decisions = self._decide(judge, fetched)
        done = [one for one in decisions if isinstance(one, Ended | Denied | Left)]
        wanted = [one for one in decisions if isinstance(one, ToTerminate)]
        unproven = [one for one in decisions if isinstance(one, ToProve)]
        waited = self._seconds_here([one.marked.instance_id for one in decisions if _alive(one)])
        reporter = self._reporter()
        reporter.submit(self._timed(done))  # while the rest is acted on
        going, put_off = self._allowed(wanted, waited, look_ups)
        reporter.submit(put_off)
        for results in self._terminate(going, waited, judge, decided_at, look_ups):
            reporter.submit(self._timed(results))
        for results in self._prove(unproven, look_ups):
            reporter.submit(results)
        settled = reporter.finish()
        self._tell_overdue(settled, waited)
        if settled and not self.policy.dry_run:
            self.to.tell(settled)
        summary = self._summed_up(fetched, settled)
        self.to.journal.summary(summary, settled, answered_in)
        return summary

    def _fetch(self) -> Fetched:
        fetched = fetch(
            self.acting,
            self.to.list_of,
            self.deadline,
            self.limits.backend_concurrency,
            self.clock,
        )
        for one in fetched.lists:
            self.to.journal.list_received(one)
        for agent, error in fetched.failed:
            self.to.journal.list_failed(agent, error)
        if not fetched.lists:
            raise failure(fetched.failed)
        return fetched

    def _decide(self, judge: Judge, fetched: Fetched) -> Sequence[Decision]:
        """Look, and decide about every machine that is listed."""
        listed = candidates([(one.enabled, one.marked) for one in fetched.lists])
        if not self.limits.auto_terminate_enabled:
            why = "auto-terminate is off (AUTO_TERMINATE_ENABLED)"
            return [Left(one.first, Outcome.DEFERRED, why) for one in listed]
        decisions = judge.judge(listed)
        self._watch_stuck(judge.seen.values())
        return decisions

    def _reporter(self) -> Reporter:
        return Reporter(
            self.to.report_as,
            lambda: self.to.table,
            self.deadline,
            self.limits.backend_concurrency,
            self.to.journal.settled,
            dry_run=self.policy.dry_run,
            sleep=self.sleep,
        )

    def _judge(self, held: Collection[str], look_ups: LookUps) -> Judge:
        return Judge(
            lambda: self.to.machines,
            Agents(self.agents),
            self.policy,
            look_ups,
            self.clock,
            self.sleep,
            listed=held,
            listed_lately=self._listed_lately,
        )

    def _allowed(
        self, wanted: Sequence[ToTerminate], waited: Mapping[str, float], look_ups: LookUps
    ) -> tuple[Sequence[ToTerminate], Sequence[Left]]:
        """What is terminated in this run, within the cap and under the fuse, and what is put off."""
        going, over = within_cap(wanted, self.limits.max_terminations_per_run, waited)
        blown = self._fuse(len(going), look_ups) if going else None
        if blown is None:
            return going, over
        self.to.journal.fuse_blown(blown)
        return [], [*over, *(defer(one, blown) for one in going)]

    def _terminate(
        self,
        going: Sequence[ToTerminate],
        waited: Mapping[str, float],
        judge: Judge,
        decided_at: datetime,
        look_ups: LookUps,
    ) -> Iterator[Iterable[Result]]:
        """Cancel the Spot requests that would launch again, then terminate."""
        if not going:
            return
        terminator = Terminator(
            self.to.machines,
            self.to.journal.accepted,
            judge.again,
            self.deadline,
            self.clock,
            self.sleep,
            dry_run=self.policy.dry_run,
            confirm=self.policy.confirm_termination,
        )
        requests = StandingRequests(
            self.to.machines, look_ups, terminator, self.to.cancelled, waited
        )
        free, held_back = requests.cancel(going, decided_at)
        yield held_back
        yield from terminator.terminate(free, decided_at)

    def _prove(self, unproven: Sequence[ToProve], look_ups: LookUps) -> Iterator[Iterable[Result]]:
        """Last, since CloudTrail is slow: terminations do not wait for proofs."""
        if unproven:
            from handler.instances.provenance import prove

            yield from prove(unproven, lambda: self.to.history, look_ups)

    def _fuse(self, wanted: int, look_ups: LookUps) -> str | None:
        """Why nothing is terminated in this run, or None."""
        percent = self.limits.max_fleet_percent
        if percent >= 100:  # what is to be terminated is part of the fleet: it cannot be more
            return None
        fleet = look_ups("fleet", lambda: count_fleet(self.to.machines, self.policy))
        if isinstance(fleet, AwsError):
            return f"the fleet could not be counted: {fleet}"
        if fuse_blown(wanted, fleet, percent):
            return f"{wanted} terminations are more than {percent} % of {fleet} live instances"
        return None

    def _watch_stuck(self, seen: Iterable[Instance]) -> None:
        """Warn of those that EC2 began to end a long time ago."""
        now = self.clock()
        for one in seen:
            if one.state is State.SHUTTING_DOWN and one.ending and one.ending.at:
                seconds = (now - one.ending.at).total_seconds()
                if seconds > self.limits.stuck_after_seconds:
                    self.to.journal.stuck(one, seconds)

    def _listed_lately(self) -> Collection[str]:
        """Before this run, also to other execution environments."""
        memory = self.to.first_seen
        self._remember(memory.load)
        return memory.lately(self.clock())

    def _seconds_here(self, ids: Sequence[str]) -> dict[str, float]:
        """Seconds since each was first seen by this function, whatever the backend's clock says."""
        if not ids:
            return {}
        now = self.clock()
        first_seen = self._remember(lambda: self.to.first_seen.note(ids, now)) or {}
        return {one: (now - at).total_seconds() for one, at in first_seen.items()}

    def _remember(self, ask: Callable[[], T]) -> T | None:
        """None where the memory does not answer: then an alarm is late, and the run is not."""
        try:
            return in_time(ask, lambda: min(LONGEST_REMEMBERING, self.deadline.to_act() / 4))
        except LateError:
            return None

    def _timed(self, results: Iterable[Result]) -> Iterator[Result]:
        """Add the seconds from marking to the end; the backend counts up to its list."""
        for one in results:
            if isinstance(one, Ended) and one.marked.waited is not None:
                took = one.marked.waited + (one.at - one.marked.listed_at).total_seconds()
                if took >= 0:  # else it ended before its marking
                    one = replace(one, took=took)  # noqa: PLW2901
            yield one

    def _tell_overdue(self, settled: Sequence[Settled], waited: Mapping[str, float]) -> None:
        """Warn of those that have been listed for too long, and run on."""
        after = self.limits.overdue_after_seconds
        alive = [one.marked.instance_id for one in settled if one.outcome in NOT_ENDED]
        if overdue := [one for one in alive if waited.get(one, 0.0) > after]:
            self.to.journal.overdue(overdue, after)

    def _summed_up(self, fetched: Fetched, settled: Sequence[Settled]) -> Summary:
        counts = Counter(one.outcome for one in settled)
        placeholders = sum(one.placeholders for one in fetched.lists)
        counts[Outcome.INVALID] = placeholders + sum(one.invalid for one in fetched.lists)
        return Summary(
            counts,
            self.limits.auto_terminate_enabled and any(one.enabled for one in fetched.lists),
            self.policy.dry_run,
            agents_failed=len(fetched.failed),
            untagged=sum(one.untagged for one in settled),
            placeholders=placeholders,
        )


NOT_ENDED = frozenset({Outcome.PLANNED, Outcome.REFUSED, Outcome.FAILED, Outcome.DEFERRED})
"""Outcomes of a machine of ours that runs on."""


def count_fleet(machines: Machines, policy: Policy) -> int | AwsError:
    """The live machines that `MAX_FLEET_PERCENT` is a share of."""
    by_worker = policy.untagged_replicas is UntaggedReplicas.TERMINATE
    return machines.fleet_size(policy.required_tags, or_keys=REPLICA_TAGS if by_worker else ())


def _alive(decision: Decision) -> bool:
    """Whether EC2 shows it alive."""
    if isinstance(decision, Left):
        state = decision.trace.current_state
        return state is not None and not State(state).ended
    return isinstance(decision, ToTerminate | Denied)
