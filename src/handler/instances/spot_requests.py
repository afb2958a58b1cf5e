"""Cancels the Spot requests that would bring a terminated instance back, and watches that none does.

A persistent request launches another instance as soon as its own ends. So the request goes first,
and an instance whose request could not be cancelled is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from handler.aws.errors import AwsError, ErrorKind
from handler.aws.look_ups import LookUps
from handler.aws.retry import FRESH_FOR
from handler.instances.bisect import Answer, bisect
from handler.instances.model import Marked
from handler.instances.outcome import Result
from handler.instances.ports import Accepted, CancelledRequest, Machines
from handler.instances.rules import ToTerminate, defer, deny
from handler.instances.terminate import Terminator

OVER = frozenset({"cancelled", "closed", "completed", "failed"})
"""Spot request states from which nothing is launched any more (EC2, CancelSpotInstanceRequests, and
"Spot Instance request states")."""
HARMLESS = frozenset({"open", "active"})
"""States of a request whose cancellation leaves its instance alone. Of a `disabled` one it terminates the
stopped instance (EC2 User Guide, "Cancel a Spot Instance request"), and IAM looks at the request's
tags, not at the instance's."""
KNOWN_AFTER = 300.0
"""Seconds after an instance's marking, or after it was first seen here, in which EC2 may not know its Spot request yet: it has been seen to
take a minute. After that it is one that EC2 has forgotten, as it does once a request is over."""
NOT_YET = AwsError("NotShown", "EC2 may not show it yet", ErrorKind.NO_ANSWER)
CHANGED = AwsError("Changed", "its instance is not to go any more", ErrorKind.THROTTLED)
WATCHED_FOR = timedelta(minutes=10)
"""How long a cancelled request is watched; EC2 fulfils a request within minutes or not at all."""


@dataclass(slots=True)
class StandingRequests:
    """The requests behind the instances that a run is about to terminate.

    Args:
        machines: EC2.
        look_ups: asks which requests stand.
        terminator: makes calls again, and judges again, as for instances.
        memory: requests that were cancelled lately; filled here.
        waited: instance id → seconds since it was first seen here.
    """

    machines: Machines
    look_ups: LookUps
    terminator: Terminator
    memory: dict[str, CancelledRequest]
    waited: Mapping[str, float]
    _fresh_until: datetime = field(init=False)
    _errors: dict[str, AwsError] = field(default_factory=dict, init=False)

    def cancel(
        self, decisions: Sequence[ToTerminate], decided_at: datetime
    ) -> tuple[list[ToTerminate], list[Result]]:
        """Cancel those that would launch another; what may be terminated now, and what may not."""
        self._fresh_until = decided_at + FRESH_FOR
        behind = _behind(decisions)
        if not behind:
            return list(decisions), []
        states = self.look_ups(
            "Spot requests", lambda: self.machines.standing_requests(behind.keys())
        )
        if isinstance(states, AwsError):
            self._errors = dict.fromkeys(behind, states)
            return self._split(decisions)
        harmless = []
        for request in sorted(behind):
            state = states.get(request, NOT_YET)
            if isinstance(state, AwsError):
                self._doubt(request, state, behind[request])
            elif state in HARMLESS:
                harmless.append(request)
            elif state is not None:
                self._end_stopped(request, behind[request])
        self._cancel(harmless, behind)
        return self._split(decisions)

    def _doubt(self, request: str, error: AwsError, decisions: Sequence[ToTerminate]) -> None:
        """What EC2 does not know may be new; it goes on where EC2 has had the time to know it."""
        if error.kind is not ErrorKind.MISSING:
            self._errors[request] = error
        elif any(self._here(one.marked) < KNOWN_AFTER for one in decisions):
            self._errors[request] = NOT_YET

    def _here(self, marked: Marked) -> float:
        """Seconds for which it has been known, by the backend's clock or by this function's own."""
        return max(marked.waited or 0.0, self.waited.get(marked.instance_id, 0.0))

    def _end_stopped(self, request: str, decisions: Sequence[ToTerminate]) -> None:
        """A termination, with its guards: looked at anew, and TerminateInstances asked with DryRun."""
        going = self.terminator.still_to_terminate(decisions)
        if len(going) < len(decisions):
            return  # another decision by now, which `_split` finds
        ids = [one.marked.instance_id for one in going]
        allowed = self.terminator.retry(lambda: self.machines.terminate(ids, dry_run=True))
        if isinstance(allowed, AwsError):
            self._errors[request] = allowed
        else:
            self._cancel([request], _behind(going))

    def _cancel(self, requests: Sequence[str], behind: Mapping[str, Sequence[ToTerminate]]) -> None:
        dry_run = self.terminator.dry_run
        for group, answer in bisect(requests, lambda ids: self._ask(ids, behind)):
            for request in group:
                if (error := _still_standing(request, answer, dry_run=dry_run)) is not None:
                    self._errors[request] = error
                elif not dry_run:
                    ids = {one.marked.instance_id for one in behind[request]}
                    self.memory[request] = CancelledRequest(ids, self.terminator.clock())

    def _ask(self, requests: Sequence[str], behind: Mapping[str, Sequence[ToTerminate]]) -> Answer:
        """Cancel these. What was asked before, or was decided a while ago, is judged again first."""
        going = list(requests)

        def look_again() -> Answer | None:
            given = [one for request in going for one in behind[request]]
            to_go = {one.marked.instance_id for one in self.terminator.still_to_terminate(given)}
            going[:] = [
                request
                for request in going
                if all(one.marked.instance_id in to_go for one in behind[request])
            ]
            return None if going else Accepted({}, None, frozenset(requests))

        stale = self._fresh_until <= self.terminator.clock()
        if stale and (nothing := look_again()) is not None:
            return nothing
        answer = self.terminator.retry(
            lambda: self.machines.cancel_requests(going, dry_run=self.terminator.dry_run),
            look_again,
        )
        left_out = frozenset(requests) - frozenset(going)
        return replace(answer, left_out=left_out) if isinstance(answer, Accepted) else answer

    def _split(self, decisions: Sequence[ToTerminate]) -> tuple[list[ToTerminate], list[Result]]:
        free: list[ToTerminate] = []
        held_back: list[Result] = []
        for decision in decisions:
            request = decision.instance.spot_request
            if (changed := self.terminator.changed(decision)) is not None:
                held_back.append(changed)
            elif (error := self._errors.get(request or "")) is None:
                free.append(decision)
            else:
                why = f"its Spot request {request} could not be cancelled: {error}"
                no = error.kind in {ErrorKind.REFUSED, ErrorKind.LOCKED_OUT, ErrorKind.MISSING}
                held_back.append((deny if no else defer)(decision, why, error))
        return free, held_back


def watch_cancelled_requests(
    machines: Callable[[], Machines],
    memory: dict[str, CancelledRequest],
    look_ups: LookUps,
    came_back: Callable[[str, str], None],
    now: datetime,
) -> None:
    """Warn of live instances that a request launched although this function had cancelled it.

    Known from the execution environment's memory: for ten minutes after a cancellation, EC2 is
    asked which live instances come from the request, and those that were not known then are new.
    They are not terminated: the backend has not marked them.
    """
    for request in [r for r, known in memory.items() if now - known.at > WATCHED_FOR]:
        del memory[request]
    if not memory:
        return
    live = look_ups("cancelled Spot requests", lambda: machines().live_from(memory.keys()))
    if isinstance(live, AwsError):
        return  # the next run asks again
    for instance_id, request in live.items():
        known = memory.get(request)
        if known is not None and instance_id not in known.instances:
            known.instances.add(instance_id)
            came_back(instance_id, request)


def _still_standing(request: str, answer: Answer, *, dry_run: bool) -> AwsError | None:
    """Why a request may still launch: success is a returned state, not a call without error."""
    if isinstance(answer, AwsError):
        return answer
    if request in answer.left_out:
        return CHANGED
    if dry_run:
        return None
    change = answer.changes.get(request)
    state = change.current if change else "no state"
    if state in OVER:
        return None
    message = f"EC2 accepted the call and returned {state} for {request}"
    return AwsError("UnexpectedState", message, ErrorKind.REFUSED, request_id=answer.request_id)


def _behind(decisions: Sequence[ToTerminate]) -> dict[str, list[ToTerminate]]:
    behind: dict[str, list[ToTerminate]] = {}
    for decision in decisions:
        if decision.instance.spot_request:
            behind.setdefault(decision.instance.spot_request, []).append(decision)
    return behind
