"""Terminates what was decided: zone by zone, in batches, within the run's time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from handler.aws.errors import AwsError, ErrorKind
from handler.aws.retry import FRESH_FOR, Retry
from handler.instances.bisect import Answer, bisect
from handler.instances.model import State
from handler.instances.outcome import Ended, Left, Outcome, Result, Trace
from handler.instances.ports import Accepted, Change, Machines
from handler.instances.rules import Decision, ToProve, ToTerminate, defer, deny

if TYPE_CHECKING:
    from handler.deadline import Deadline

CALLS_PER_RUN = 200
"""Terminating calls in one run. EC2's bucket holds 100 and refills 5 a second (EC2 API throttling),
and others in the account drink from it too; what is left over is the next run's."""
BATCH = 350
"""Instances in one call. EC2 takes 1,000, but it has a bucket of instances, too, which refills by 20 a
second: a large batch waits long for its share, and leaves more of it unused when the time is up."""
UNEXPECTED = "UnexpectedState"
"""Code of a call that EC2 accepted, and whose answer does not say that the instance ends."""

JudgeAgain = Callable[[Sequence[ToTerminate]], Sequence[Decision]]
Answered = tuple[Sequence[str], Answer]


@dataclass(slots=True)
class Terminator:
    """The terminating part of one run.

    Args:
        machines: EC2.
        accepted: told at once of the ids that EC2 accepted, and of its request id.
        judge_again: decides anew about these, by what EC2 shows now.
        deadline: the run's time.
        clock: the time now (UTC).
        sleep: waits for so many seconds between tries.
        dry_run: EC2 is asked whether it would, and nothing more.
        confirm: success only once EC2 shows `terminated` (`CONFIRM_TERMINATION`).
    """

    machines: Machines
    accepted: Callable[[Sequence[str], str | None], None]
    judge_again: JudgeAgain
    deadline: Deadline
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    dry_run: bool
    confirm: bool
    retry: Retry = field(init=False)
    _fresh_until: dict[str, datetime] = field(default_factory=dict, init=False)
    _changed: dict[str, Decision] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.retry = Retry(self.deadline, self.sleep, CALLS_PER_RUN)

    def terminate(
        self, decisions: Sequence[ToTerminate], decided_at: datetime
    ) -> Iterator[list[Result]]:
        """Terminate these; yield results as EC2 answers, so that they are reported meanwhile.

        Every decision ends in exactly one result.
        """
        by_id = {one.marked.instance_id: one for one in decisions}
        self._fresh_until = dict.fromkeys(by_id, decided_at + FRESH_FOR)
        doubtful: list[tuple[ToTerminate, AwsError]] = []
        for ids, answer in self._answers(by_id):
            results: list[Result] = []
            for one in ids:
                result = self._read(by_id[one], answer)
                if isinstance(result, AwsError):
                    doubtful.append((by_id[one], result))
                else:
                    results.append(result)
            yield results
        yield self._look_again(doubtful)

    def still_to_terminate(self, decisions: Sequence[ToTerminate]) -> list[ToTerminate]:
        """Those of them that are still to go by what EC2 shows now; the others are remembered."""
        now = self.clock()
        going = []
        for before, decision in zip(decisions, self.judge_again(decisions), strict=True):
            instance_id = before.marked.instance_id
            if not isinstance(decision, ToTerminate):
                self._changed[instance_id] = decision
            elif decision.through_group != before.through_group:
                why = "it joined or left its Auto Scaling group meanwhile: the next run ends it"
                self._changed[instance_id] = defer(before, why)
            else:
                self._changed.pop(instance_id, None)
                self._fresh_until[instance_id] = now + FRESH_FOR
                going.append(decision)
        return going

    def changed(self, decision: ToTerminate) -> Result | None:
        """What became of a decision that was made again, where it is not to go any more."""
        again = self._changed.get(decision.marked.instance_id)
        return None if isinstance(again, ToTerminate | ToProve) else again

    def _answers(self, by_id: dict[str, ToTerminate]) -> Iterator[Answered]:
        """Ask for all of them: zones side by side, so that one zone's trouble is its own."""
        zones: dict[str, list[str]] = defaultdict(list)
        members = []
        for instance_id, decision in by_id.items():
            if decision.through_group:
                members.append(instance_id)
            else:
                zones[decision.instance.zone].append(instance_id)
        yield from _side_by_side(
            [
                partial(bisect, ids, partial(self._attempt, by_id=by_id), BATCH)
                for ids in zones.values()
            ]
        )
        for one in members:
            yield [one], self._attempt([one], by_id=by_id)

    def _attempt(self, ids: Sequence[str], *, by_id: dict[str, ToTerminate]) -> Answer:
        """Ask for these. What was asked before, or was decided a while ago, is judged again first."""
        going = list(ids)

        def look_again() -> Answer | None:
            going[:] = [
                one.marked.instance_id for one in self.still_to_terminate([by_id[i] for i in going])
            ]
            return None if going else Accepted({}, None, frozenset(ids))

        now = self.clock()
        stale = any(self._fresh_until.pop(one, now) <= now for one in ids)
        if stale and (nothing := look_again()) is not None:
            return nothing
        answer = self.retry(lambda: self._ask(going, by_id), look_again)
        left_out = frozenset(ids) - frozenset(going)
        return replace(answer, left_out=left_out) if isinstance(answer, Accepted) else answer

    def _ask(self, ids: Sequence[str], by_id: dict[str, ToTerminate]) -> Answer:
        for one in ids:
            self._fresh_until.pop(one, None)
        if (
            by_id[ids[0]].through_group and not self.dry_run
        ):  # Auto Scaling knows no DryRun: EC2's is the nearest
            answer = self.machines.terminate_in_group(ids[0])
        else:
            answer = self.machines.terminate(ids, dry_run=self.dry_run)
        if isinstance(answer, Accepted) and not self.dry_run:
            self.accepted(ids, answer.request_id)
        return answer

    def _read(self, decision: ToTerminate, answer: Answer) -> Result | AwsError:  # noqa: PLR0911 - one line each
        """The result by EC2's answer, or the error that only a second look resolves."""
        if (changed := self.changed(decision)) is not None:
            return changed
        if isinstance(answer, Accepted):
            if self.dry_run:
                return Left(decision.marked, Outcome.PLANNED, decision.marked.reason)
            change = answer.changes.get(decision.marked.instance_id)
            if change is not None and change.previous in {State.SHUTTING_DOWN, State.TERMINATED}:
                why = "EC2 says that it had ended before the call"
                return AwsError(
                    "AlreadyEnded", why, ErrorKind.NO_ANSWER, request_id=answer.request_id
                )
            if change is not None and change.current in {State.SHUTTING_DOWN, State.TERMINATED}:
                return self._ended(decision, change, answer.request_id)
            state = change.current if change else "no state"
            # Success is a returned state of shutting-down or terminated, not a call without error.
            message = (
                f"EC2 accepted the call and returned {state} for {decision.marked.instance_id}"
            )
            return AwsError(UNEXPECTED, message, ErrorKind.REFUSED, request_id=answer.request_id)
        if answer.kind is ErrorKind.THROTTLED:
            return defer(decision, str(answer), answer)
        if answer.kind is ErrorKind.LOCKED_OUT:
            return deny(decision, str(answer), answer)
        return answer

    def _ended(self, decision: ToTerminate, change: Change, request_id: str | None) -> Result:
        marked = decision.marked
        trace = Trace(None, change.previous, change.current, request_id)
        if self.confirm and change.current != State.TERMINATED:
            return Left(marked, Outcome.PENDING, marked.reason, trace)
        return Ended(marked, by_api=True, at=self.clock(), why=marked.reason, trace=trace)

    def _look_again(self, doubtful: Sequence[tuple[ToTerminate, AwsError]]) -> list[Result]:
        """Resolve what EC2 refused or did not answer by what EC2 shows now.

        A refused call may have met an instance that somebody else has just terminated, and a call
        that was not answered may have been carried out.
        """
        if not doubtful:
            return []
        self.still_to_terminate([decision for decision, _ in doubtful])
        return [self._resolve(decision, error) for decision, error in doubtful]

    def _resolve(self, decision: ToTerminate, error: AwsError) -> Result:
        again = self.changed(decision)
        if isinstance(again, Ended):
            trace = replace(again.trace, error_code=error.code, request_id=error.request_id)
            return replace(again, trace=trace)
        unseen = isinstance(again, Left) and again.outcome is Outcome.DEFERRED
        said_no = error.kind is ErrorKind.REFUSED and error.code != UNEXPECTED
        if again is not None and not (unseen and said_no):
            return again
        if error.kind is ErrorKind.MISSING:  # and yet it is shown, or nothing is: ask afresh
            return defer(decision, f"EC2 contradicts itself: {error}", error)
        if error.kind is ErrorKind.NO_ANSWER:
            return defer(decision, f"no answer from EC2: {error}", error)
        return deny(decision, explain(error, decision.marked.instance_id), error)


def explain(error: AwsError, instance_id: str) -> str:
    """What a failure report says: EC2's code and message, with the original daemon's words on a denial."""
    if error.code == "UnauthorizedOperation":
        denied = f"IAM permissions insufficient to terminate instance {instance_id}"
        return f"{error.code}: {denied}: {error.message}"
    return str(error)


def _side_by_side(askings: Sequence[Callable[[], Iterator[Answered]]]) -> Iterator[Answered]:
    """What all of them answer, as it comes; each is bounded by the run's time."""
    answers: SimpleQueue[Answered | BaseException | None] = SimpleQueue()

    def ask(asking: Callable[[], Iterator[Answered]]) -> None:
        try:
            for answered in asking():
                answers.put(answered)
        except BaseException as error:  # noqa: BLE001 - raised again where it is listened to
            answers.put(error)
        answers.put(None)

    for asking in askings:
        Thread(target=ask, args=(asking,), daemon=True).start()
    under_way = len(askings)
    while under_way:
        answered = answers.get()
        if answered is None:
            under_way -= 1
        elif isinstance(answered, BaseException):
            raise answered
        else:
            yield answered
