"""What names a listed machine's owner, and is missing: its tags, or a logical id in AGENT_ID. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from shlex import quote

from handler.doctor.advice import Advice
from handler.instances.model import Instance
from handler.instances.outcome import Denied, Left, Outcome
from handler.instances.ownership import LOGICAL_ID_TAG, NO_LOGICAL_ID, Agents, logical_id
from handler.instances.rules import REPLICA_TAGS, Decision, Policy

IDS_SHOWN = 10
"""Machines that one command tags, at most."""
A_LOGICAL_ID = "LOGICAL_ID"
"""Stands in a command for what only a person knows."""


def advise(
    decisions: Iterable[Decision], seen: Mapping[str, Instance], agents: Agents, policy: Policy
) -> tuple[list[Advice], bool]:
    """What to do about machines that nobody may end; and whether others are held back for another reason.

    Args:
        decisions: one for each listed machine.
        seen: what EC2 shows, by id.
        agents: those of `AGENT_ID`.
        policy: which tags are required.
    """
    untagged: dict[tuple[str, ...], list[str]] = {}
    foreign: dict[str, list[str]] = {}
    by_worker: list[str] = []
    others = False
    for one in decisions:
        if not isinstance(one, Denied) and not _ignored(one):
            continue
        instance_id = one.marked.instance_id
        instance = seen.get(instance_id)
        borne = logical_id(instance)
        if borne in agents.by_logical_id and _waits(one, agents, borne):
            continue
        if borne is not None and _ignored(one) and _unknown(one, borne, agents):
            foreign.setdefault(borne, []).append(instance_id)
        elif instance is not None and (tags := _lacking(one, instance, policy)):
            untagged.setdefault(tags, []).append(instance_id)
            if isinstance(one, Denied) and all(tag in instance.tags for tag in REPLICA_TAGS):
                by_worker.append(instance_id)
        else:
            others = True
    told = [_tag(tags, ids, agents) for tags, ids in untagged.items()]
    if by_worker:
        told.append(_by_worker(by_worker))
    told += [_name(borne, ids) for borne, ids in foreign.items()]
    return told, others


def _ignored(decision: Decision) -> bool:
    return isinstance(decision, Left) and decision.outcome is Outcome.IGNORED


def _waits(decision: Decision, agents: Agents, borne: str | None) -> bool:
    """Whether it is a zombie of another agent of ours, whose own time has not come: nothing is wrong."""
    entry = decision.marked
    return not entry.as_replica and agents.by_logical_id[borne or ""] != entry.agent


def _unknown(decision: Decision, borne: str, agents: Agents) -> bool:
    """Whether it is foreign by a logical id that no agent of `AGENT_ID` has."""
    entry = decision.marked
    cannot_tell = not entry.agent.logical_id and (entry.as_replica or borne == NO_LOGICAL_ID)
    return borne not in agents.by_logical_id and not cannot_tell


def _lacking(decision: Decision, instance: Instance, policy: Policy) -> tuple[str, ...]:
    """The tags that it needs, as `Key=...,Value=...`; none where tags are not what holds it back."""
    entry, tags = decision.marked, instance.tags
    if isinstance(decision, Denied) and policy.tagged(tags, as_replica=True):
        return ()
    needed = {key: value for key, value in policy.required_tags.items() if tags.get(key) != value}
    if _ignored(decision) and logical_id(instance) is None and entry.agent.logical_id:
        needed[LOGICAL_ID_TAG] = A_LOGICAL_ID
    return tuple(f"Key={key},Value={value}" for key, value in needed.items())


def _tag(tags: Sequence[str], ids: Sequence[str], agents: Agents) -> Advice:
    named = (tag.removeprefix("Key=").replace(",Value=", "=", 1) for tag in tags)
    names = ", ".join(named).replace(f"={A_LOGICAL_ID}", "")
    command = ["aws ec2 create-tags --resources", *ids[:IDS_SHOWN], "--tags", *map(quote, tags)]
    cure = f"if ours, and serving nobody, tag: {' '.join(command)}"
    if LOGICAL_ID_TAG in names:
        known = ", ".join(list(agents.by_logical_id)[:IDS_SHOWN])
        cure += f" ({A_LOGICAL_ID}: that of its agent, such as {known})"
    return Advice(f"{_some(ids)} cannot be ended for lack of {names}", cure)


def _by_worker(ids: Sequence[str]) -> Advice:
    return Advice(
        f"{_some(ids)}: of the agent's polling worker, by the tags {' and '.join(REPLICA_TAGS)}",
        "for all of the polling worker's, set the stack's parameter UntaggedReplicas to terminate instead",
    )


def _name(borne: str, ids: Sequence[str]) -> Advice:
    what = " (which agents without LOGICAL_AGENT_ID write)" if borne == NO_LOGICAL_ID else ""
    return Advice(
        f"no agent of AGENT_ID has the {LOGICAL_ID_TAG} {borne}{what} of {_some(ids)}",
        f"if that is an agent of ours, name both: AGENT_ID=<id>={borne}; else leave it to its owner",
    )


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:2]) + (f" and {len(ids) - 2} more" if len(ids) > 2 else "")
