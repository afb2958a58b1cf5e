"""Fetches the lists of all agents side by side, and reads them entry by entry (contract section 1)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from handler import redact
from handler.backend.errors import BackendError
from handler.backend.wire import SHOWN, Envelope
from handler.deadline import Deadline, side_by_side
from handler.instances.model import Agent, AgentList, Invalid, Marked

LEAST_FOR_ONE = 4.0
"""Seconds that one agent's list gets at least: enough for a slow answer, and too little to stop all others."""
INVALID_TOLD = 20
"""Invalid entries of one list that are told one by one, and placeholders; the others are counted."""
NAMED = 3
"""Agents that an error names for each reason; the others are counted."""
LONGEST_WAIT = 100 * 365 * 86400.0
"""Seconds; a longer wait is none."""
INSTANCE_ID = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")
PLACEHOLDER = re.compile(r"(?:manual|emergency|replica)-[0-9a-z-]{1,64}")
"""The id of a replica that was never launched; listed for ever (quirk 6)."""
SECONDS = ("seconds_waiting", "seconds_since_marked")
A_PLACEHOLDER = "a placeholder: no instance was ever launched for it"
LATE = "its list did not come in time"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the agents' lists said; in `AGENT_ID`'s order, whatever the order of their arrival."""

    lists: tuple[AgentList, ...]
    failed: tuple[tuple[Agent, BackendError], ...]


def fetch(
    agents: Sequence[Agent],
    list_of: Callable[[Agent, Callable[[], float]], AgentList],
    deadline: Deadline,
    at_once: int,
    clock: Callable[[], datetime],
) -> Fetched:
    """Ask for every agent's list, beginning with another agent each minute; one's failure is its own."""
    now = clock()
    first = int(now.timestamp() // 60) % len(agents)
    rounds = math.ceil(len(agents) / at_once)
    share = max(deadline.to_list() / rounds, min(LEAST_FOR_ONE, deadline.to_list()))

    def one(agent: Agent) -> AgentList | BackendError:
        until = deadline.to_list() - share
        try:
            return list_of(agent, lambda: deadline.to_list() - max(until, 0.0))
        except BackendError as error:
            return error

    in_turn = [*agents[first:], *agents[:first]]
    answers = dict(side_by_side(one, in_turn, at_once=at_once, left=deadline.to_list))
    lists, failed = [], []
    for agent in agents:
        answer = answers.get(agent, BackendError(LATE))
        if isinstance(answer, BackendError):
            failed.append((agent, answer))
        else:
            lists.append(answer)
    return Fetched(tuple(lists), tuple(failed))


def held_by(lists: Sequence[AgentList]) -> frozenset[str]:
    """Every machine that one of the lists names, in whatever entry."""
    return frozenset().union(
        *({one.instance_id for one in each.marked} | each.held for each in lists)
    )


def failure(failed: Sequence[tuple[Agent, BackendError]]) -> BackendError:
    """Why a run fails whose every agent failed: each reason once, with the first agents it stands for."""
    if len(failed) == 1:
        return failed[0][1]
    by_reason: dict[str, list[str]] = {}
    for agent, error in failed:
        by_reason.setdefault(str(error), []).append(agent.agent_id)
    told = []
    for reason, ids in by_reason.items():
        more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
        told.append(f"{', '.join(ids[:NAMED])}{more}: {reason}")
    return BackendError(f"no agent's list could be had: {'; '.join(told)}")


def read_list(agent: Agent, envelope: Envelope, listed_at: datetime) -> AgentList:
    """Validate the entries one by one; fields that are not the contract's are ignored (quirk 6)."""
    marked: dict[tuple[str, bool], Marked] = {}
    told: dict[bool, list[Invalid]] = {False: [], True: []}
    held = set[str]()
    invalid = placeholders = 0
    for raw in envelope.instances:
        fault = _fault(raw)
        if fault is None:
            entry = _entry(agent, raw, listed_at)
            if marked.setdefault((entry.instance_id, entry.as_replica), entry) is entry:
                continue
            fault = "listed twice: the first entry holds"
        if (instance_id := _named(raw)) is not None:
            held.add(instance_id)
        placeholder = fault is A_PLACEHOLDER
        placeholders += placeholder
        invalid += not placeholder
        if len(told[placeholder]) < INVALID_TOLD:
            texts = (_text(raw, "instance_id"), _text(raw, "reason"))
            told[placeholder].append(Invalid(agent, _shown(raw), fault, placeholder, *texts))
    return AgentList(
        agent,
        envelope.auto_terminate_enabled,
        tuple(marked.values()),
        (*told[False], *told[True]),
        invalid,
        placeholders,
        frozenset(held),
    )


def _fault(raw: object) -> str | None:
    """What is wrong with an entry, or None."""
    if not isinstance(raw, dict):
        return "it is no object"
    instance_id = raw.get("instance_id")
    if not isinstance(instance_id, str):
        return "instance_id is no text"
    if not INSTANCE_ID.fullmatch(instance_id):
        return (
            A_PLACEHOLDER
            if PLACEHOLDER.fullmatch(instance_id)
            else "instance_id is no EC2 instance id"
        )
    wrong = [key for key in ("reason", "az") if not isinstance(raw.get(key), str | None)]
    wrong += [
        key
        for key in SECONDS
        if isinstance(raw.get(key), bool) or not isinstance(raw.get(key), int | float | None)
    ]
    return f"{' and '.join(wrong)} of another type than agreed" if wrong else None


def _entry(agent: Agent, raw: dict[str, Any], listed_at: datetime) -> Marked:
    waited = next((raw[key] for key in SECONDS if raw.get(key) is not None), None)
    if waited is not None:
        waited = float(waited) if 0 <= waited < LONGEST_WAIT else None
    return Marked(
        raw["instance_id"],
        (raw.get("reason") or "unknown")[:SHOWN],
        agent,
        listed_at,
        raw.get("az") or None,
        waited,
    )


def _shown(raw: object) -> str:
    """The beginning of an entry; the whole may be megabytes."""
    if isinstance(raw, dict):
        instance_id = raw.get("instance_id")
        raw = instance_id if isinstance(instance_id, str) else dict(list(raw.items())[:10])
    return redact.text(repr(raw[: 2 * SHOWN] if isinstance(raw, str) else raw))[:SHOWN]


def _named(raw: object) -> str | None:
    """The machine that an entry names, whatever else is wrong with it."""
    instance_id = raw.get("instance_id") if isinstance(raw, dict) else None
    named = isinstance(instance_id, str) and INSTANCE_ID.fullmatch(instance_id)
    return named[0] if named else None


def _text(raw: object, key: str) -> str | None:
    """The beginning of one of an entry's texts."""
    text = raw.get(key) if isinstance(raw, dict) else None
    return redact.text(text[: 2 * SHOWN])[:SHOWN] if isinstance(text, str) else None
