"""What may be terminated, decided per instance: pure, and every answer carries its reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum, auto

from handler.instances.model import REPLICA, ZOMBIE, Instance, Marked, State
from handler.instances.outcome import Outcome

GROUP_TAG = "aws:autoscaling:groupName"
"""The tag that EC2 Auto Scaling puts on its members; nobody else can set an `aws:` tag."""
PEER_TAG = "LogicalAgentId"
"""The tag that the machines of one workload share across a switch."""
A_ZONE = re.compile(r"([a-z]{2,}(?:-[a-z]+)+-\d+)(?:[a-z]|-[a-z0-9-]+)")
"""A zone's name: its region, then a letter, or a Local or Wavelength Zone's own part."""


class MissingPolicy(StrEnum):
    """What an id that EC2 does not know means (`MISSING_INSTANCE_POLICY`)."""

    REPORT_TERMINATED = "report_terminated"
    IGNORE = "ignore"
    VERIFY = "verify"


class AsgMembers(StrEnum):
    """What happens to members of Auto Scaling groups (`ASG_MEMBERS`)."""

    REFUSE = "refuse"
    TERMINATE_AND_SHRINK = "terminate_and_shrink"


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's rules; each field is the environment variable of the same name."""

    region: str
    required_tags: Mapping[str, str]
    protect_tag: str
    missing_instance: MissingPolicy
    asg_members: AsgMembers
    require_running_peer: bool
    confirm_termination: bool
    dry_run: bool


class Action(Enum):
    """What to do about an entry."""

    TERMINATE = auto()
    """Terminate it through EC2."""
    SHRINK = auto()
    """Terminate it through its Auto Scaling group, which gets smaller by one."""
    REPORT = auto()
    """It has ended: report success."""
    PROVE = auto()
    """EC2 does not know it: it counts as gone once it is proven that it lived in this account."""
    SETTLE = auto()
    """Nothing is done; `outcome` says how it ends."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about one entry, and why.

    `outcome` is how the entry ends: at once for SETTLE, when the report is acknowledged for the
    others.
    """

    marked: Marked
    action: Action
    outcome: Outcome
    why: str
    instance: Instance | None = None
    ended_at: datetime | None = None


Carried = frozenset[str]
"""The workloads (`LogicalAgentId`) that a running instance which is not itself marked carries."""


def decide(
    marked: Marked, instance: Instance | None, policy: Policy, carried: Carried, now: datetime
) -> Decision:
    """Decide about one entry from what EC2 shows of it.

    Args:
        marked: the backend's entry.
        instance: what EC2 shows, or None where EC2 does not know the id.
        policy: the operator's rules.
        carried: the workloads that go on without the marked instances; it matters only with
            `require_running_peer`.
        now: the time that stands for the end where EC2 gives none (UTC).
    """
    if in_another_region(marked.zone, policy.region):
        return _settle(
            marked, Outcome.IGNORED, f"zone {marked.zone} is not in {policy.region}", instance
        )
    if instance is None:
        return _missing(marked, policy, now)
    if instance.state.ended:
        return _ended(marked, instance, policy, now)
    refusal = _refusal(marked, instance, policy, carried)
    if refusal is not None:
        return _settle(marked, Outcome.REFUSED, refusal, instance)
    action = Action.SHRINK if GROUP_TAG in instance.tags else Action.TERMINATE
    return Decision(marked, action, Outcome.TERMINATED, marked.reason, instance)


def in_another_region(zone: str | None, region: str) -> bool:
    """Whether the zone's name belongs to another region; a name of no known form does not."""
    match = A_ZONE.fullmatch(zone or "")
    return match is not None and match[1] != region


def _missing(marked: Marked, policy: Policy, now: datetime) -> Decision:
    if policy.missing_instance is MissingPolicy.IGNORE:
        return _settle(
            marked, Outcome.IGNORED, "EC2 does not know it (MISSING_INSTANCE_POLICY=ignore)", None
        )
    if policy.dry_run:
        return _settle(marked, Outcome.DEFERRED, "dry run: EC2 does not know it", None)
    why = "EC2 does not know it"
    # A replica is the agent's own by the backend's rules; only zombies are listed across tenants.
    proof = policy.missing_instance is MissingPolicy.VERIFY and marked.reason != REPLICA
    action = Action.PROVE if proof else Action.REPORT
    return Decision(marked, action, Outcome.ALREADY_GONE, why, None, now)


def _ended(marked: Marked, instance: Instance, policy: Policy, now: datetime) -> Decision:
    if policy.dry_run:
        return _settle(
            marked, Outcome.DEFERRED, f"dry run: it is {instance.state} already", instance
        )
    if policy.confirm_termination and instance.state is not State.TERMINATED:
        return _settle(marked, Outcome.PENDING, "EC2 is shutting it down", instance)
    ending = instance.ending
    by_api = ending is not None and ending.by_api
    ended_at = (ending.at if ending else None) or now
    outcome = Outcome.TERMINATED if by_api else Outcome.ALREADY_GONE
    why = "it was terminated before this run" if by_api else "it ended by itself"
    return Decision(marked, Action.REPORT, outcome, why, instance, ended_at)


def _refusal(marked: Marked, instance: Instance, policy: Policy, carried: Carried) -> str | None:
    if policy.protect_tag in instance.tags:
        return f"protected by its tag {policy.protect_tag}"
    lacking = [
        f"{key}={value}"
        for key, value in policy.required_tags.items()
        if instance.tags.get(key) != value
    ]
    if lacking:
        return f"required tag missing: {', '.join(lacking)}"
    group = instance.tags.get(GROUP_TAG)
    if group is not None and policy.asg_members is AsgMembers.REFUSE:
        return f"member of the Auto Scaling group {group}, which would replace it"
    workload = needs_peer(marked, instance, policy)
    if workload is not None and workload not in carried:
        return f"no other running instance carries {PEER_TAG}={workload}"
    return None


def needs_peer(marked: Marked, instance: Instance, policy: Policy) -> str | None:
    """The workload that must go on elsewhere before this instance may end, if there is one.

    With `REQUIRE_RUNNING_PEER`, a zombie whose promotion went wrong may be the workload's only
    machine. Marked instances do not count as peers: two zombies must not vouch for each other.
    """
    if not policy.require_running_peer or marked.reason != ZOMBIE or instance.state.ended:
        return None
    return instance.tags.get(PEER_TAG)


def within_cap(decisions: Iterable[Decision], cap: int) -> tuple[list[Decision], list[Decision]]:
    """Split what is to be terminated at the cap: the longest-waiting first, the rest deferred."""
    longest_first = sorted(decisions, key=lambda d: -(d.marked.waited or 0.0))
    return longest_first[:cap], [
        defer(d, "over MAX_TERMINATIONS_PER_RUN") for d in longest_first[cap:]
    ]


def fuse_blown(wanted: int, fleet: int, percent: int) -> bool:
    """Whether `wanted` terminations are more than `percent` of a fleet of `fleet` instances."""
    return wanted * 100 > percent * fleet


def defer(decision: Decision, why: str) -> Decision:
    """The same entry, left to the next run."""
    return _settle(decision.marked, Outcome.DEFERRED, why, decision.instance)


def _settle(marked: Marked, outcome: Outcome, why: str, instance: Instance | None) -> Decision:
    return Decision(marked, Action.SETTLE, outcome, why, instance)
