"""Whose machine is it? Pure (contract section 2, "Whose is it?").

The backend lists zombies to every agent of the region, and replicas to their own agent. Acting on
or reporting another agent's machine bypasses its switch and its wait, and hides the row from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from handler.instances.model import Agent, Candidate, Instance, Marked

LOGICAL_ID_TAG = "LogicalAgentId"
"""The tag that names a machine's agent across its switches (contract section 1)."""
NO_LOGICAL_ID = "default"
"""What the original agent writes into the tag where it has no logical id."""


@dataclass(frozen=True, slots=True)
class Owned:
    """It is ours: `entry` is the owner's. Listed as a zombie too, it passes that guard as well."""

    entry: Marked
    as_replica: bool
    as_zombie: bool


@dataclass(frozen=True, slots=True)
class Foreign:
    """It is not ours to judge; `untagged`: nobody's, for lack of a tag that names its agent."""

    entry: Marked
    why: str
    untagged: bool = False


class Agents:
    """The agents of `AGENT_ID`, by their logical ids."""

    def __init__(self, agents: Sequence[Agent]) -> None:
        self.by_logical_id = {one.logical_id: one for one in agents if one.logical_id}
        self.some_cannot_tell = any(not one.logical_id for one in agents)

    def owner(self, candidate: Candidate, instance: Instance | None) -> Owned | Foreign:
        """Whose a machine is.

        Args:
            candidate: at least one agent whose switch is on lists it.
            instance: what EC2 shows, or None where EC2 does not know it.
        """
        entries = candidate.listed
        borne = logical_id(instance)
        if instance is None or (instance.state.ended and borne is None):  # EC2 drops tags
            agent = entries[0].agent
            own = [one for one in entries if one.agent is agent]
            return _owned(next((one for one in own if one.as_replica), own[0]), entries)
        replicas = [one for one in entries if one.as_replica]
        for one in replicas:
            if borne is None or borne == one.agent.logical_id:
                return _owned(one, entries)
            if borne not in self.by_logical_id and not one.agent.logical_id:
                return _owned(one, entries)
        if replicas:
            return Foreign(
                entries[0],
                f"another agent's: it bears {LOGICAL_ID_TAG}={borne}",
                self.untagged(instance),
            )
        return self._zombie(candidate, instance, borne)

    def _zombie(
        self, candidate: Candidate, instance: Instance, borne: str | None
    ) -> Owned | Foreign:
        entries = candidate.listed
        if borne in self.by_logical_id:
            owner = self.by_logical_id[borne]
            own = next((one for one in entries if one.agent == owner), None)
            if own is not None:
                return _owned(own, entries)
            return Foreign(entries[0], f"agent {owner.agent_id}'s, which does not list it now")
        if borne is not None and borne != NO_LOGICAL_ID:
            why = f"no agent of AGENT_ID has its {LOGICAL_ID_TAG}={borne}"
            return Foreign(entries[0], why, self.untagged(instance))
        own = next((one for one in entries if not one.agent.logical_id), None)
        if own is not None:
            return _owned(own, entries)
        why = f"nobody's: it bears no {LOGICAL_ID_TAG} of an agent of AGENT_ID"
        return Foreign(entries[0], why, self.untagged(instance))

    def untagged(self, instance: Instance) -> bool:
        """Whether it lives and bears no tag that names its agent.

        While an agent of ours has no logical id, one that is nobody's here may be that agent's own.
        """
        borne = logical_id(instance)
        nobodys = borne is None or (borne not in self.by_logical_id and self.some_cannot_tell)
        return nobodys and not instance.state.ended


def logical_id(instance: Instance | None) -> str | None:
    """Its `LogicalAgentId`; an empty one is none."""
    return (instance.tags.get(LOGICAL_ID_TAG) or None) if instance is not None else None


def candidates(lists: Sequence[tuple[bool, Sequence[Marked]]]) -> list[Candidate]:
    """Every listed machine once, in the order in which it is first listed.

    Args:
        lists: of each agent, in `AGENT_ID`'s order, whether its switch is on, and its entries.
    """
    listed: dict[str, list[Marked]] = {}
    off: dict[str, list[Marked]] = {}
    for enabled, marked in lists:
        for one in marked:
            listed.setdefault(one.instance_id, [])
            off.setdefault(one.instance_id, [])
            (listed if enabled else off)[one.instance_id].append(one)
    return [Candidate(one, tuple(listed[one]), tuple(off[one])) for one in listed]


def _owned(entry: Marked, entries: Sequence[Marked]) -> Owned:
    return Owned(
        entry,
        as_replica=any(one.as_replica for one in entries),
        as_zombie=any(not one.as_replica for one in entries),
    )
