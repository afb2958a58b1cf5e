"""Terminates what was decided: zone by zone, in batches, within the run's time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from handler.aws.errors import AwsError, ErrorKind
from handler.aws.retry import Patience
from handler.deadline import Deadline
from handler.instances.bisect import Answer, isolate
from handler.instances.guard import Action, Decision, Policy, decide
from handler.instances.look import look
from handler.instances.model import Sight, State
from handler.instances.outcome import Outcome, Settled
from handler.instances.ports import Accepted, Change, Journal, Machines

CALLS_PER_RUN = 200
"""Terminating calls in one run. EC2's bucket holds 100 and refills 5 a second (ec2 API throttling),
and others in the account drink from it too; what is left over is the next run's."""
ZONES_AT_ONCE = 8
BATCH = 350
"""Instances in one call. EC2 takes 1,000, but it has a bucket of instances, too, which refills by 20 a
second: a large batch waits long for its share, and leaves more of it unused when the time is up."""


@dataclass(slots=True)
class Act:
    """The terminating part of one run.

    Each decision of the kind TERMINATE or SHRINK comes out as one `Settled`; TERMINATED in it
    means that EC2 did its part, and the report is still to be made.
    """

    machines: Machines
    journal: Journal
    policy: Policy
    deadline: Deadline
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    patiently: Patience = field(init=False)

    def __post_init__(self) -> None:
        self.patiently = Patience(self.deadline, self.sleep, CALLS_PER_RUN)

    def terminate(self, decisions: Sequence[Decision]) -> list[Settled]:
        """Terminate these; every decision ends in exactly one of the returned values."""
        by_id = {decision.marked.instance_id: decision for decision in decisions}
        answered = list(self._answers(decisions))
        settled: list[Settled] = []
        doubtful: list[tuple[Decision, AwsError]] = []
        for ids, answer in answered:
            for one in ids:
                outcome = self._read(by_id[one], answer)
                if isinstance(outcome, AwsError):
                    doubtful.append((by_id[one], outcome))
                else:
                    settled.append(outcome)
        return settled + self._look_again(doubtful)

    def _answers(self, decisions: Sequence[Decision]) -> Iterator[tuple[Sequence[str], Answer]]:
        """Ask for all of them: zones side by side, so that one zone's trouble is its own."""
        zones: dict[str, list[str]] = defaultdict(list)
        for decision in decisions:
            if decision.action is Action.TERMINATE and decision.instance is not None:
                zones[decision.instance.zone].append(decision.marked.instance_id)
        if zones:
            with ThreadPoolExecutor(min(len(zones), ZONES_AT_ONCE)) as pool:
                for answers in pool.map(self._zone, zones.values()):
                    yield from answers
        for decision in decisions:
            if decision.action is Action.SHRINK:
                yield [decision.marked.instance_id], self._shrink(decision.marked.instance_id)

    def _zone(self, ids: Sequence[str]) -> list[tuple[Sequence[str], Answer]]:
        return list(isolate(ids, lambda group: self.patiently(lambda: self._ask(group)), BATCH))

    def _ask(self, ids: Sequence[str]) -> Answer:
        answer = self.machines.terminate(ids, dry_run=self.policy.dry_run)
        return self._noted(ids, answer)

    def _noted(self, ids: Sequence[str], answer: Answer) -> Answer:
        if isinstance(answer, Accepted) and not self.policy.dry_run:
            self.journal.accepted(ids, answer.request_id)
        return answer

    def _shrink(self, instance_id: str) -> Answer:
        ids = [instance_id]
        if self.policy.dry_run:  # Auto Scaling has no DryRun: EC2's is the nearest thing
            return self.patiently(lambda: self._ask(ids))
        return self.patiently(lambda: self._noted(ids, self.machines.shrink(instance_id)))

    def _read(self, decision: Decision, answer: Answer) -> Settled | AwsError:
        """Settle one by its answer, or hand back the error that only a second look resolves."""
        if isinstance(answer, Accepted):
            if self.policy.dry_run:
                return settle(decision, Outcome.PLANNED, decision.why)
            change = answer.changes.get(decision.marked.instance_id)
            if change is not None and _ending(change.current):
                return self._ended(decision, change, answer.request_id)
            state = change.current if change else "no state"
            # Success is a returned state of shutting-down or terminated, not a call without error.
            return AwsError(
                "UnexpectedState",
                f"EC2 accepted the call and returned {state} for {decision.marked.instance_id}",
                ErrorKind.REFUSED,
                request_id=answer.request_id,
            )
        if answer.kind is ErrorKind.THROTTLED:
            return settle(decision, Outcome.DEFERRED, str(answer), error=answer)
        if answer.kind is ErrorKind.LOCKED_OUT:
            return settle(decision, Outcome.FAILED, str(answer), error=answer)
        return answer

    def _ended(self, decision: Decision, change: Change, request_id: str | None) -> Settled:
        pending = self.policy.confirm_termination and change.current != State.TERMINATED
        ended_at = self.clock()
        return Settled(
            decision.marked,
            Outcome.PENDING if pending else Outcome.TERMINATED,
            decision.why,
            previous_state=change.previous,
            current_state=change.current,
            request_id=request_id,
            ended_at=ended_at,
        )

    def _look_again(self, doubtful: Sequence[tuple[Decision, AwsError]]) -> list[Settled]:
        """Settle what EC2 refused or did not answer by what EC2 shows now.

        A refused call may have met an instance that somebody else has just terminated, and a call
        that was not answered may have been carried out.
        """
        if not doubtful:
            return []
        sight = look([one.marked.instance_id for one, _ in doubtful], self.machines, self.patiently)
        return [self._resolve(decision, error, sight) for decision, error in doubtful]

    def _resolve(self, decision: Decision, error: AwsError, sight: Sight) -> Settled:
        marked = decision.marked
        seen = sight.seen.get(marked.instance_id)
        readable = marked.instance_id not in sight.unreadable
        gone = readable and seen is None and error.kind is ErrorKind.MISSING
        if gone or (seen is not None and seen.state.ended):
            again = decide(marked, seen, self.policy, frozenset(), self.clock())
            return from_decision(again, error)
        if error.kind is ErrorKind.MISSING:  # and yet it is shown, or nothing is: ask afresh
            why = f"EC2 contradicts itself: {error}"
            return settle(decision, Outcome.DEFERRED, why, error=error)
        if error.kind is ErrorKind.NO_ANSWER:
            return settle(decision, Outcome.DEFERRED, f"no answer from EC2: {error}", error=error)
        return settle(decision, Outcome.FAILED, explain(error, marked.instance_id), error=error)


def explain(error: AwsError, instance_id: str) -> str:
    """What a failure report says: the original daemon's words, or EC2's code and message."""
    if error.code == "UnauthorizedOperation":
        return f"{error.code}: IAM permissions insufficient to terminate instance {instance_id}"
    return str(error)


def from_decision(decision: Decision, error: AwsError | None = None) -> Settled:
    """A decision that needs no terminating, as the value that the reporting part takes."""
    state = decision.instance.state.value if decision.instance else None
    return Settled(
        decision.marked,
        decision.outcome,
        decision.why,
        error_code=error.code if error else None,
        previous_state=state,
        current_state=state,
        request_id=error.request_id if error else None,
        ended_at=decision.ended_at,
    )


def all_settled(decisions: Iterable[Decision]) -> list[Settled]:
    """The same for many."""
    return [from_decision(decision) for decision in decisions]


def _ending(state: str) -> bool:
    return state in {State.SHUTTING_DOWN, State.TERMINATED}


def settle(
    decision: Decision, outcome: Outcome, why: str, *, error: AwsError | None = None
) -> Settled:
    state = decision.instance.state.value if decision.instance else None
    return Settled(
        decision.marked,
        outcome,
        why,
        error_code=error.code if error else None,
        previous_state=state,
        current_state=state,
        request_id=error.request_id if error else None,
    )
