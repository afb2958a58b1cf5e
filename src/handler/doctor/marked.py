"""What a run would make of the list, and why: decided as a run decides, but nothing is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from handler.aws.errors import AwsError
from handler.aws.retry import Patience
from handler.doctor.backend import LIST, SWITCH
from handler.doctor.dependencies import Dependencies, examines
from handler.doctor.ec2 import DESCRIBE
from handler.doctor.findings import Check, Finding, depends, failed, ok, warning
from handler.instances.decide import Decided, Judge
from handler.instances.guard import Action, Decision, fuse_blown
from handler.instances.model import Listing
from handler.instances.outcome import Outcome
from handler.instances.run import Limits

MARKED = Check("marked_instances", "What would a run make of each instance that is listed now?")
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


@examines(MARKED, needs=(DESCRIBE,))
def examine(it: Dependencies) -> list[Finding]:
    """Decide about every entry as a run would."""
    listing = it.listings.get(it.settings.agent_id)
    if listing is None:
        return [depends(MARKED, LIST)]
    machines, limits = it.environment.machines, it.limits(it.settings)
    patiently = Patience(it.deadline, it.sleep, tries=2)
    judge = Judge(lambda: machines, it.policy(it.settings), patiently, it.clock)
    return [foresee(judge, listing, limits)]


def foresee(judge: Judge, listing: Listing, limits: Limits) -> Finding:
    """What a person at night wants to know: what of the list would not be terminated, and why."""
    if not listing.marked and not listing.auto_terminate_enabled:
        return depends(MARKED, SWITCH)
    if not listing.marked:
        return ok(MARKED, NOTHING)
    fleet: int | AwsError | None = None
    if limits.max_fleet_percent < 100:
        tags = judge.policy.required_tags
        fleet = judge.patiently(lambda: judge.machines().fleet_size(tags))
    return judge_decided(judge.decide(listing.marked), fleet, limits)


def judge_decided(decided: Decided, fleet: int | AwsError | None, limits: Limits) -> Finding:
    """Tell it, with the cause and the cure of what is held back.

    Args:
        decided: one decision for each entry.
        fleet: live instances that the fuse counts by; None where it is not set.
        limits: the cap and the fuse.
    """
    decisions = decided.decisions
    wanted = sum(d.action in {Action.TERMINATE, Action.SHRINK} for d in decisions)
    now = min(wanted, limits.max_terminations_per_run)
    found = f"of {len(decisions)} listed, {_told(decisions)}"
    if now < wanted:
        found += f"; {wanted - now} of them only by later runs (MAX_TERMINATIONS_PER_RUN)"
    if (blown := _fuse(now, fleet, limits)) is not None:
        return failed(
            MARKED,
            f"{found}; but {blown}",
            "the fuse MAX_FLEET_PERCENT has blown: runs terminate nothing",
            "ask whoever runs the backend whether so many are really meant; if they are, raise the "
            "stack's parameter MaxFleetPercent until they are gone",
        )
    if decided.unreadable is not None:
        return warning(
            MARKED,
            f"{found}; the rest could not be looked at: {decided.unreadable}",
            "EC2 did not show all of them",
            "invoke the doctor again; runs leave these to the next run",
        )
    if any(d.action is Action.SETTLE and d.outcome in _HELD_BACK for d in decisions):
        return warning(
            MARKED,
            found,
            "the guards hold these back, and every run will",
            "if an instance is really to go, mend what the reason names: its tags, the settings, or "
            "the backend's row; else correct the backend, which lists it",
        )
    return ok(MARKED, found)


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
