"""What may be terminated, decided per machine: pure, and every answer carries its reason.

By what EC2 shows of the machine itself. What is around it (`surroundings.py`) is looked up, and judged,
only for those that are left.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from handler.aws.errors import AwsError
from handler.instances.model import Candidate, Instance, Marked, State, UntaggedReplicas
from handler.instances.outcome import Denied, Ended, Left, Outcome, Result, Trace
from handler.instances.ownership import Agents, Foreign, Owned

GROUP_TAG = "aws:autoscaling:groupName"
"""The tag that EC2 Auto Scaling puts on its members; nobody else can set an `aws:` tag."""
PARENT_TAG = "ParentInstance"
REPLICA_TAGS = ("ReplicaId", PARENT_TAG)
"""What the original agent's polling worker puts on its replicas (contract section 1)."""
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
    untagged_replicas: UntaggedReplicas
    protect_tag: str
    missing_instance: MissingPolicy
    asg_members: AsgMembers
    require_running_peer: bool
    confirm_termination: bool
    dry_run: bool

    def tagged(self, tags: Mapping[str, str], *, as_replica: bool) -> bool:
        """Whether what bears these tags may be touched as far as tags go."""
        if not self.lacking(tags):
            return True
        by_worker = self.untagged_replicas is UntaggedReplicas.TERMINATE and as_replica
        return by_worker and all(tag in tags for tag in REPLICA_TAGS)

    def lacking(self, tags: Mapping[str, str]) -> list[str]:
        """The required tags that are not among these, as `key=value`."""
        return [
            f"{key}={value}" for key, value in self.required_tags.items() if tags.get(key) != value
        ]


@dataclass(frozen=True, slots=True)
class ToTerminate:
    """Nothing is known that speaks against it; `owned` says as what it is judged."""

    owned: Owned
    instance: Instance

    @property
    def marked(self) -> Marked:
        """The owner's entry."""
        return self.owned.entry

    @property
    def through_group(self) -> bool:
        """Whether its Auto Scaling group is asked to terminate it."""
        return GROUP_TAG in self.instance.tags


@dataclass(frozen=True, slots=True)
class ToProve:
    """EC2 does not know it: it counts as gone once it is proven that it lived in this account."""

    ended: Ended

    @property
    def marked(self) -> Marked:
        """The owner's entry."""
        return self.ended.marked


Decision: TypeAlias = ToTerminate | ToProve | Result


def decide(  # noqa: PLR0911 - each rule is one line, in its order
    candidate: Candidate,
    instance: Instance | AwsError | None,
    agents: Agents,
    policy: Policy,
    now: datetime,
) -> Decision:
    """Decide about one machine from what EC2 shows of it; the first rule that speaks holds.

    Args:
        candidate: its entries in this run's lists.
        instance: what EC2 shows; None where EC2 says that the id does not exist; an error where
            nothing is known.
        agents: those of `AGENT_ID`.
        policy: the operator's rules.
        now: the time now (UTC).
    """
    first = candidate.first
    if not candidate.listed:
        return Left(first, Outcome.DEFERRED, "auto-terminate is off for every agent that lists it")
    if elsewhere(candidate, policy.region):
        return _ignored(first, f"zone {first.zone} is not in {policy.region}")
    if isinstance(instance, AwsError):
        why = f"EC2 could not be asked: {instance}"
        return Left(first, Outcome.DEFERRED, why, Trace(error_code=instance.code))
    owned = agents.owner(candidate, instance)
    if isinstance(owned, Foreign):
        return _ignored(owned.entry, owned.why, instance, untagged=owned.untagged)
    entry = owned.entry
    if in_another_region(entry.zone, policy.region):
        return _ignored(entry, f"zone {entry.zone} is not in {policy.region}", instance)
    if instance is None:
        return _missing(entry, policy, now)
    if instance.state.ended:
        return _ended(entry, instance, policy, now)
    if not owned.as_replica and (lacking := policy.lacking(instance.tags)):
        why = f"required tag missing: {', '.join(lacking)}"
        return _ignored(entry, why, instance, untagged=agents.untagged(instance))
    refusal = _refusal(owned, instance, policy)
    if refusal is not None:
        return Denied(entry, Outcome.REFUSED, refusal, shown(instance))
    return ToTerminate(owned, instance)


def elsewhere(candidate: Candidate, region: str) -> bool:
    """Whether every entry names a zone of another region: EC2 need not be asked."""
    return all(in_another_region(one.zone, region) for one in candidate.listed)


def in_another_region(zone: str | None, region: str) -> bool:
    """Whether the zone's name belongs to another region; a name of no known form does not."""
    match = A_ZONE.fullmatch(zone or "")
    return match is not None and match[1] != region


def marked_at(entry: Marked, now: datetime) -> datetime:
    """When a machine that EC2 has forgotten ended: when it was marked, as far as that is known.

    A report that is made again so says what the first one said (contract, "terminated_at").
    """
    if entry.waited is None:
        return now
    try:
        return min(entry.listed_at - timedelta(seconds=entry.waited), now)
    except OverflowError:
        return now


def shown(instance: Instance) -> Trace:
    """What EC2 shows, for the audit trail of what is left as it is."""
    return Trace(previous_state=instance.state.value, current_state=instance.state.value)


def _missing(entry: Marked, policy: Policy, now: datetime) -> Decision:
    if policy.missing_instance is MissingPolicy.IGNORE:
        return _ignored(entry, "EC2 does not know it (MISSING_INSTANCE_POLICY=ignore)")
    if policy.dry_run:
        return Left(entry, Outcome.DEFERRED, "dry run: EC2 does not know it")
    ended = Ended(entry, by_api=False, at=marked_at(entry, now), why="EC2 does not know it")
    return ToProve(ended) if policy.missing_instance is MissingPolicy.VERIFY else ended


def _ended(entry: Marked, instance: Instance, policy: Policy, now: datetime) -> Result:
    trace = shown(instance)
    if policy.dry_run:
        return Left(entry, Outcome.DEFERRED, f"dry run: it is {instance.state} already", trace)
    if policy.confirm_termination and instance.state is not State.TERMINATED:
        return Left(entry, Outcome.PENDING, "EC2 is shutting it down", trace)
    ending = instance.ending
    by_api = ending is not None and ending.by_api
    at = (ending.at if ending else None) or now
    why = "it was terminated before this run" if by_api else "it ended by itself"
    return Ended(entry, by_api, min(at, now), why, trace)


def _refusal(owned: Owned, instance: Instance, policy: Policy) -> str | None:
    if instance.operator is not None:
        return f"managed by the AWS service {instance.operator}: it is ended there"
    if policy.protect_tag in instance.tags:
        return f"protected by its tag {policy.protect_tag}"
    if not policy.tagged(instance.tags, as_replica=owned.as_replica):
        return f"required tag missing: {', '.join(policy.lacking(instance.tags))}"
    group = instance.tags.get(GROUP_TAG)
    if group is not None and policy.asg_members is AsgMembers.REFUSE:
        return f"member of the Auto Scaling group {group}, which would replace it"
    return None


def within_cap(
    decisions: Iterable[ToTerminate], cap: int, waited: Mapping[str, float]
) -> tuple[list[ToTerminate], list[Left]]:
    """Split what is to be terminated at the cap: the longest-waiting first, the rest deferred.

    Args:
        decisions: what is to be terminated.
        cap: how many go.
        waited: instance id → seconds since it was first seen here, for those whose entry does not say.
    """

    def waits(decision: ToTerminate) -> float:
        marked = decision.marked
        return marked.waited if marked.waited is not None else waited.get(marked.instance_id, 0.0)

    longest_first = sorted(decisions, key=waits, reverse=True)
    over = [defer(one, "over MAX_TERMINATIONS_PER_RUN") for one in longest_first[cap:]]
    return longest_first[:cap], over


def fuse_blown(wanted: int, fleet: int, percent: int) -> bool:
    """Whether `wanted` terminations are more than `percent` of a fleet of `fleet` instances."""
    return wanted * 100 > percent * fleet


def defer(decision: ToTerminate, why: str, error: AwsError | None = None) -> Left:
    """The same machine, left to the next run."""
    trace = replace(
        shown(decision.instance),
        error_code=error.code if error else None,
        request_id=error.request_id if error else None,
    )
    return Left(decision.marked, Outcome.DEFERRED, why, trace)


def deny(decision: ToTerminate, why: str, error: AwsError) -> Denied:
    """EC2 said no."""
    trace = replace(shown(decision.instance), error_code=error.code, request_id=error.request_id)
    return Denied(decision.marked, Outcome.FAILED, why, trace)


def _ignored(
    entry: Marked, why: str, instance: Instance | None = None, *, untagged: bool = False
) -> Left:
    trace = shown(instance) if instance is not None else Trace()
    return Left(entry, Outcome.IGNORED, why, trace, untagged)
