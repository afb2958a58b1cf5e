"""What a run would make of the list, and why: decided as a run decides, but nothing is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from handler.aws.errors import AwsError
from handler.doctor.findings import Check, Finding, depends, failed, ok, warning
from handler.instances.decide import Decided, Judge
from handler.instances.guard import Action, Decision, fuse_blown
from handler.instances.model import Listing, Marked
from handler.instances.outcome import Outcome
from handler.instances.run import Limits

REASONS_SHOWN = 5
_WOULD = {
    Action.TERMINATE: "would be terminated",
    Action.SHRINK: "would be terminated through their Auto Scaling group",
    Action.REPORT: "have ended and would be reported",
    Action.PROVE: "are not known to EC2 and would be looked up in CloudTrail",
}
_HELD_BACK = frozenset({Outcome.REFUSED, Outcome.IGNORED})
NOTHING = (
    "nothing is listed. An instance is listed once terminate_wait_seconds have passed since it became "
    "a zombie, and not for five minutes after each report on it"
)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would become of the list."""

    decided: Decided
    fleet: int | AwsError | None
    """Live instances that the fuse counts by; None where it is not set."""


def foresee(judge: Judge, marked: Sequence[Marked], limits: Limits) -> Foreseen:
    """Decide about every entry as a run would."""
    fleet: int | AwsError | None = None
    if limits.max_fleet_percent < 100:
        tags = judge.policy.required_tags
        fleet = judge.patiently(lambda: judge.machines().fleet_size(tags))
    return Foreseen(judge.decide(marked), fleet)


def judge_marked(listing: Listing, foreseen: Foreseen, limits: Limits) -> Finding:
    """What a person at night wants to know: what of the list would not be terminated, and why."""
    if not listing.marked:
        if not listing.auto_terminate_enabled:
            return depends(Check.MARKED, Check.AUTO_TERMINATE_BACKEND)
        return ok(Check.MARKED, NOTHING)
    wanted = sum(d.action in {Action.TERMINATE, Action.SHRINK} for d in foreseen.decided.decisions)
    now = min(wanted, limits.max_terminations_per_run)
    found = f"of {len(listing.marked)} listed, {_told(foreseen.decided.decisions)}"
    if now < wanted:
        found += f"; {wanted - now} of them only by later runs (MAX_TERMINATIONS_PER_RUN)"
    if (blown := _fuse(now, foreseen.fleet, limits)) is not None:
        return failed(
            Check.MARKED,
            f"{found}; but {blown}",
            "the fuse MAX_FLEET_PERCENT has blown: runs terminate nothing",
            "ask whoever runs the backend whether so many are really meant; if they are, raise the "
            "stack's parameter MaxFleetPercent until they are gone",
        )
    if foreseen.decided.unreadable is not None:
        return warning(
            Check.MARKED,
            f"{found}; the rest could not be looked at: {foreseen.decided.unreadable}",
            "EC2 did not show all of them",
            "invoke the doctor again; runs leave these to the next run",
        )
    if any(
        d.action is Action.SETTLE and d.outcome in _HELD_BACK for d in foreseen.decided.decisions
    ):
        return warning(
            Check.MARKED,
            found,
            "the guards hold these back, and every run will",
            "if an instance is really to go, mend what the reason names: its tags, the settings, or "
            "the backend's row; else correct the backend, which lists it",
        )
    return ok(Check.MARKED, found)


def _told(decisions: Sequence[Decision]) -> str:
    """`3 would be terminated; 2 refused: protected by its tag Keep (i-1, i-2)`."""
    groups = Counter(map(_group, decisions))
    told = []
    for group, count in groups.most_common(REASONS_SHOWN):
        ids = [d.marked.instance_id for d in decisions if _group(d) == group]
        shown = ", ".join(ids[:2]) + (", ..." if len(ids) > 2 else "")
        told.append(f"{count} {group} ({shown})")
    if (more := len(groups) - len(told)) > 0:
        told.append(f"and {more} more reasons, each in the log of a run")
    return "; ".join(told) or "none could be looked at"


def _group(decision: Decision) -> str:
    if decision.action is Action.SETTLE:
        return f"would be {decision.outcome.key}: {decision.why}"
    return _WOULD[decision.action]


def _fuse(wanted: int, fleet: int | AwsError | None, limits: Limits) -> str | None:
    if fleet is None or not wanted:
        return None
    if isinstance(fleet, AwsError):
        return f"the fleet cannot be counted ({fleet})"
    if not fuse_blown(wanted, fleet, limits.max_fleet_percent):
        return None
    return f"{wanted} are more than {limits.max_fleet_percent} % of {fleet} live instances"
