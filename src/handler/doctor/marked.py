"""What a run would make of the list, and why: decided as a run decides, but nothing is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from handler.aws.errors import AwsError
from handler.aws.look_ups import LookUps
from handler.doctor.advice import Advice
from handler.doctor.backend import LIST, SWITCH
from handler.doctor.dependencies import Dependencies, examines
from handler.doctor.ec2 import DESCRIBE
from handler.doctor.findings import Check, Finding, depends, failed, ok, warning
from handler.doctor.untagged import advise
from handler.instances.judge import Judge
from handler.instances.listing import held_by
from handler.instances.outcome import Ended
from handler.instances.ownership import Agents, candidates
from handler.instances.rules import Decision, ToProve, ToTerminate, fuse_blown
from handler.instances.run import Limits, count_fleet

MARKED = Check("marked_instances", "What would a run make of each instance that is listed now?")
REASONS_SHOWN = 5
NOTHING = (
    "nothing is listed. An instance is listed once terminate_wait_seconds have passed since it became "
    "a zombie, and not for five minutes after each report on it"
)
HELD_BACK = Advice(
    "a guard holds some back for the reason that is told, and every run will",
    "if such an instance is really to go, mend what the reason names: its tags, the settings, or "
    "the backend's row; else correct the backend, which lists it",
)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a run would decide about each listed machine.

    Attributes:
        decisions: one for each.
        unreadable: why EC2 does not show some of them.
        advice: on those that no tag gives to anybody.
        held_back: whether another guard holds some back.
    """

    decisions: Sequence[Decision]
    unreadable: AwsError | None = None
    advice: Sequence[Advice] = ()
    held_back: bool = False


@examines(MARKED, needs=(DESCRIBE,))
def examine(it: Dependencies) -> list[Finding]:
    """Decide about every machine as a run for all agents would."""
    lists = [found for one in it.settings.acting if (found := it.listings.get(one.agent_id))]
    if not lists:
        return [depends(MARKED, LIST)]
    listed = candidates([(one.enabled, one.marked) for one in lists])
    if not listed:
        off = not any(one.enabled for one in lists)
        return [depends(MARKED, SWITCH) if off else ok(MARKED, NOTHING)]
    machines, limits, policy = (
        it.environment.machines,
        it.limits(it.settings),
        it.policy(it.settings),
    )
    agents = Agents(it.settings.agents)
    errors: list[AwsError] = []
    judge = Judge(
        lambda: machines,
        agents,
        policy,
        LookUps(it.deadline, lambda _, error: errors.append(error)),
        it.clock,
        it.sleep,
        listed=held_by(lists),
        listed_lately=lambda: _listed_lately(it),
    )
    decisions = judge.judge(listed)
    advice, held_back = advise(decisions, judge.seen, agents, policy)
    counted = limits.max_fleet_percent < 100
    fleet = it.look(lambda: count_fleet(machines, policy)) if counted else None
    unreadable = errors[0] if errors else None
    foreseen = Foreseen(decisions, unreadable, advice, held_back)
    return [judge_decided(foreseen, fleet, limits)]


def _listed_lately(it: Dependencies) -> Collection[str]:
    memory = it.environment.first_seen
    it.look(memory.load)
    return memory.lately(it.clock())


def judge_decided(foreseen: Foreseen, fleet: int | AwsError | None, limits: Limits) -> Finding:
    """Tell it, with the cause and the cure of what is held back.

    Args:
        foreseen: one decision for each machine.
        fleet: live instances that the fuse counts by; None where it is not set.
        limits: the cap and the fuse.
    """
    decisions = foreseen.decisions
    wanted = sum(isinstance(one, ToTerminate) for one in decisions)
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
    if foreseen.unreadable is not None:
        return warning(
            MARKED,
            f"{found}; the rest could not be looked at: {foreseen.unreadable}",
            "EC2 did not show all of them",
            "invoke the doctor again; runs leave these to the next run",
        )
    advice = list(foreseen.advice)
    if foreseen.held_back:
        advice.append(HELD_BACK)
    if advice:
        causes, cures = zip(*advice, strict=True)
        return warning(MARKED, found, "; ".join(causes), "; ".join(cures))
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
    if isinstance(decision, ToTerminate):
        if decision.through_group:
            return "would be terminated through their Auto Scaling group"
        return "would be terminated"
    if isinstance(decision, ToProve):
        return "are not known to EC2 and would be looked up in CloudTrail"
    if isinstance(decision, Ended):
        return "have ended and would be reported"
    return f"would be {decision.outcome.key}: {decision.why}"


def _fuse(wanted: int, fleet: int | AwsError | None, limits: Limits) -> str | None:
    if fleet is None or not wanted:
        return None
    if isinstance(fleet, AwsError):
        return f"the fleet cannot be counted ({fleet})"
    if not fuse_blown(wanted, fleet, limits.max_fleet_percent):
        return None
    return f"{wanted} are more than {limits.max_fleet_percent} % of {fleet} live instances"
