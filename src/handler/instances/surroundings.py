"""What is around a machine that nothing else speaks against: pure, like `rules.py`.

A replica's primary, a zombie's peers, fleets and groups that would replace it: looked up only for
what would be terminated, and judged here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from handler.aws.errors import AwsError
from handler.instances.model import Instance, State
from handler.instances.outcome import Denied, Left, Outcome
from handler.instances.ownership import LOGICAL_ID_TAG, logical_id
from handler.instances.rules import GROUP_TAG, PARENT_TAG, Decision, Policy, ToTerminate, shown

FLEET_TAGS = ("aws:ec2:fleet-id", "aws:ec2spot:fleet-request-id")
"""The tags of members of an EC2 Fleet and of a Spot Fleet, of whatever type it is."""


class Leaving(Enum):
    """Where an Auto Scaling group's member stands on its way out."""

    NO = auto()
    BY_ITSELF = auto()
    """The group terminates it after its hooks; it is not asked again."""
    RETAINED = auto()
    """Kept until somebody terminates it through the group, which has replaced it."""


@dataclass(frozen=True, slots=True)
class Member:
    """An Auto Scaling group's member, as the group and EC2 show it."""

    leaving: Leaving
    protected_from_scale_in: bool
    termination_protected: bool


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was looked up for those that would be terminated; an error stands for what is not known.

    Attributes:
        neighbours: running machines of the workloads in question, and parents.
        listed: ids that stand in a list of this run.
        listed_lately: ids that stood in one in the last twelve hours, and may be marked still.
        fleets: fleet id → whether it replaces its members; missing: EC2 does not show it.
        members: instance id → what its Auto Scaling group shows; missing: it is not shown.
    """

    neighbours: Iterable[Instance] | AwsError = ()
    listed: Collection[str] = ()
    listed_lately: Collection[str] = ()
    fleets: Mapping[str, bool | AwsError] = field(default_factory=dict)
    members: Mapping[str, Member | AwsError] = field(default_factory=dict)

    def marked(self, instance: Instance) -> bool:
        """Whether it may be marked: then it vouches for no other machine.

        The backend hides a marked one for five minutes after each report (quirk 5).
        """
        return instance.instance_id in self.listed or instance.instance_id in self.listed_lately


def hold_back(decision: ToTerminate, around: Surroundings, policy: Policy) -> Decision:
    """Decide about one that `decide` lets go, from what is around it."""
    refusal = (
        _promoted(decision, around)
        or _without_peer(decision, around, policy)
        or _in_fleet(decision, around)
        or _in_group(decision, around)
    )
    if refusal is None:
        return decision
    trace = shown(decision.instance)
    if isinstance(refusal, _Unknown):
        code = refusal.error.code if refusal.error else None
        return Left(decision.marked, Outcome.DEFERRED, refusal.why, replace(trace, error_code=code))
    return Denied(decision.marked, Outcome.REFUSED, refusal, trace)


def needs_neighbours(decision: ToTerminate, policy: Policy) -> bool:
    """Whether other machines decide about it: a replica's parent, a zombie's peers."""
    return _may_be_promoted(decision) or _workload(decision, policy) is not None


@dataclass(frozen=True, slots=True)
class _Unknown:
    """It cannot be known now; the next run asks again."""

    why: str
    error: AwsError | None = None


def _may_be_promoted(decision: ToTerminate) -> bool:
    return decision.owned.as_replica and PARENT_TAG in decision.instance.tags


def _promoted(decision: ToTerminate, around: Surroundings) -> str | _Unknown | None:
    """A promoted replica is listed as terminated while it is the live primary (quirk 10).

    What cannot be known: until its old primary is listed, that one looks like a primary.
    """
    if not _may_be_promoted(decision):
        return None
    if isinstance(around.neighbours, AwsError):
        why = f"its parent and its workload could not be looked up: {around.neighbours}"
        return _Unknown(why, around.neighbours)
    instance = decision.instance
    parent, workload = instance.tags[PARENT_TAG], logical_id(instance)
    for one in around.neighbours:
        if one.state is not State.RUNNING or around.marked(one):
            continue
        carries = workload is not None and logical_id(one) == workload
        if one.instance_id == parent or (carries and PARENT_TAG not in one.tags):
            return None
    return (
        f"it may have been promoted: neither its parent {parent or '(none)'} nor another primary of its "
        "workload is running"
    )


def _workload(decision: ToTerminate, policy: Policy) -> str | None:
    """The workload that must go on elsewhere before this machine may end, if there is one.

    With `REQUIRE_RUNNING_PEER`, a zombie whose promotion went wrong may be the workload's only
    machine. An unknown reason counts as a zombie's.
    """
    if not policy.require_running_peer or not decision.owned.as_zombie:
        return None
    return logical_id(decision.instance)


def _without_peer(
    decision: ToTerminate, around: Surroundings, policy: Policy
) -> str | _Unknown | None:
    workload = _workload(decision, policy)
    if workload is None:
        return None
    if isinstance(around.neighbours, AwsError):
        return _Unknown(f"its peers could not be looked up: {around.neighbours}", around.neighbours)
    for one in around.neighbours:
        # A stranger must not vouch for ours.
        carries = logical_id(one) == workload and not policy.lacking(one.tags)
        if one.state is State.RUNNING and carries and not around.marked(one):
            return None
    return f"no other running instance carries {LOGICAL_ID_TAG}={workload}"


def fleets_of(instance: Instance) -> list[str]:
    """The fleets that may replace it; a member of an Auto Scaling group is the group's."""
    if GROUP_TAG in instance.tags:
        return []
    return [instance.tags[tag] for tag in FLEET_TAGS if instance.tags.get(tag)]


def _in_fleet(decision: ToTerminate, around: Surroundings) -> str | _Unknown | None:
    for fleet in fleets_of(decision.instance):
        replaces = around.fleets.get(fleet)
        if replaces is None:
            return _Unknown(f"EC2 does not show its fleet {fleet}, which may replace it")
        if isinstance(replaces, AwsError):
            return _Unknown(f"its fleet {fleet} could not be looked up: {replaces}", replaces)
        if replaces:
            return f"member of the fleet {fleet}, which maintains its size and would replace it"
    return None


def _in_group(decision: ToTerminate, around: Surroundings) -> str | _Unknown | None:
    if not decision.through_group:
        return None
    group = decision.instance.tags[GROUP_TAG]
    member = around.members.get(decision.instance.instance_id)
    if member is None:
        return _Unknown(f"Auto Scaling does not show it as a member of its group {group}")
    if isinstance(member, AwsError):
        return _Unknown(f"its Auto Scaling group {group} could not be asked: {member}", member)
    if member.termination_protected:
        return "EC2's termination protection is on, which does not keep its Auto Scaling group from ending it"
    if member.protected_from_scale_in and member.leaving is Leaving.NO:
        return f"its Auto Scaling group {group} protects it from scale-in"
    return None
