"""Cancels the Spot requests that would bring a terminated instance back, and watches that none does.

A persistent request launches another instance as soon as its own ends. So the request goes first,
and an instance whose request could not be cancelled is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from handler.aws.errors import AwsError, ErrorKind
from handler.aws.retry import Patience
from handler.instances.bisect import Answer, isolate
from handler.instances.guard import Decision, defer
from handler.instances.outcome import Outcome, Settled
from handler.instances.ports import CancelledRequest, Outside
from handler.instances.terminate import Act, from_decision, settle

OVER = frozenset({"cancelled", "closed", "completed"})
"""Spot request states from which nothing is launched any more (EC2, CancelSpotInstanceRequests)."""
WATCHED_FOR = timedelta(minutes=10)
"""How long a cancelled request is watched; EC2 fulfils a request within minutes or not at all."""


def cancel_standing_requests(
    decisions: Sequence[Decision], act: Act, memory: dict[str, CancelledRequest]
) -> tuple[list[Decision], list[Settled]]:
    """Cancel the requests behind these instances, where they would launch another.

    Returns what may be terminated now, and what is held back since its request stands.
    """
    behind = _requests(decisions)
    if not behind:
        return list(decisions), []
    standing = act.patiently(lambda: act.machines.standing_requests(behind))
    if isinstance(standing, AwsError):
        return _split(decisions, dict.fromkeys(behind, standing))
    errors: dict[str, AwsError] = {}
    for requests, answer in isolate(
        sorted(standing),
        lambda group: act.patiently(
            lambda: act.machines.cancel_requests(group, dry_run=act.policy.dry_run)
        ),
    ):
        for request in requests:
            if (error := _standing(request, answer, dry_run=act.policy.dry_run)) is not None:
                errors[request] = error
            elif not act.policy.dry_run:
                memory[request] = CancelledRequest(behind[request], act.clock())
    return _split(decisions, errors)


def watch_cancelled_requests(outside: Outside, patiently: Patience, now: datetime) -> None:
    """Warn of live instances that a request launched although this function had cancelled it.

    Known from the execution environment's memory: for ten minutes after a cancellation, EC2 is
    asked which live instances come from the request, and those that were not known then are new.
    They are not terminated: the backend has not marked them.
    """
    memory = outside.cancelled
    for request in [r for r, known in memory.items() if now - known.at > WATCHED_FOR]:
        del memory[request]
    if not memory:
        return
    live = patiently(lambda: outside.machines.live_from(memory))
    if isinstance(live, AwsError):
        return  # the next run asks again
    for instance_id, request in live.items():
        if instance_id not in memory[request].instances:
            memory[request].instances.add(instance_id)
            outside.journal.came_back(instance_id, request)


def _standing(request: str, answer: Answer, *, dry_run: bool) -> AwsError | None:
    """Why a request may still launch: success is a returned state, not a call without error."""
    if isinstance(answer, AwsError):
        return answer
    if dry_run:
        return None
    change = answer.changes.get(request)
    state = change.current if change else "no state"
    if state in OVER:
        return None
    message = f"EC2 accepted the call and returned {state} for {request}"
    return AwsError("UnexpectedState", message, ErrorKind.REFUSED, request_id=answer.request_id)


def _requests(decisions: Sequence[Decision]) -> dict[str, set[str]]:
    behind: dict[str, set[str]] = {}
    for decision in decisions:
        if decision.instance and decision.instance.spot_request:
            instances = behind.setdefault(decision.instance.spot_request, set())
            instances.add(decision.instance.instance_id)
    return behind


def _split(
    decisions: Sequence[Decision], errors: Mapping[str, AwsError]
) -> tuple[list[Decision], list[Settled]]:
    free: list[Decision] = []
    held_back: list[Settled] = []
    for decision in decisions:
        request = decision.instance.spot_request if decision.instance else None
        error = errors.get(request or "")
        if error is None:
            free.append(decision)
            continue
        why = f"its Spot request {request} could not be cancelled: {error}"
        if error.kind in {ErrorKind.REFUSED, ErrorKind.LOCKED_OUT, ErrorKind.MISSING}:
            held_back.append(settle(decision, Outcome.FAILED, why, error=error))
        else:
            held_back.append(from_decision(defer(decision, why), error))
    return free, held_back
