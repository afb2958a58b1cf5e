"""Who may ask, and what is listed (contract section 1, "What the backend decides").

Every function works inside the caller's transaction and is told the time, naive UTC.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, func, or_, select

from backend.errors import ApiError
from backend.quirks import Quirks
from backend.tables import agents, clients, instances, replica_instances

PLACEHOLDERS = ("manual-1a2b3c4d", "emergency-1a2b3c4d", "replica-1a2b3c4d")
"""Ids of replicas that were never launched."""
ODD_IDS = ("zombie-42", "", "i-123", "i-1234567890ABCDEF0", None)
"""Ids that are no EC2 ids, which the quirk ``odd_entries`` lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An agent whose client has shown a valid token."""

    id: str
    client_id: str
    region: str
    auto_terminate_enabled: bool
    terminate_wait_seconds: int


class Marked(NamedTuple):
    """An instance that should be gone; the earliest marked sorts first."""

    marked_at: datetime
    instance_id: str
    instance_type: str | None
    az: str | None
    reason: str


def token_hash(token: str) -> str:
    """What the database keeps of a token: enough to know it again, not to use it."""
    return hashlib.sha256(token.encode()).hexdigest()


def authenticate(
    connection: Connection, token: str | None, agent_id: str, *, strangers: bool = False
) -> Agent:
    """The agent, if the token's client is active and owns it (contract quirk 7).

    Args:
        connection: the caller's transaction.
        token: what the call shows.
        agent_id: who the call says it is.
        strangers: quirk 9, whether an agent that the client does not own is taken all the same.
    """
    client = None
    if token:
        query = select(clients.c.id, clients.c.is_active)
        client = connection.execute(query.where(clients.c.token_hash == token_hash(token))).first()
    if client is None:
        raise ApiError(401, "Invalid client token")
    if not client.is_active:
        raise ApiError(403, "Client is not active")
    row = (
        connection.execute(
            select(
                agents.c.id,
                agents.c.client_id,
                agents.c.region,
                agents.c.auto_terminate_enabled,
                agents.c.terminate_wait_seconds,
            ).where(agents.c.id == agent_id, agents.c.client_id == client.id)
        )
        .mappings()
        .first()
    )
    if row is not None:
        return Agent(**row)
    if not strangers:
        raise ApiError(404, "Agent not found")
    return Agent(
        id=agent_id,
        client_id=client.id,
        region="",
        auto_terminate_enabled=False,
        terminate_wait_seconds=0,
    )


def listing(
    connection: Connection, agent: Agent, *, now: datetime, pause: timedelta, quirks: Quirks
) -> dict[str, Any]:
    """The answer of ``instances-to-terminate``: who is marked, the longest-waiting first."""
    marked: list[Marked] = []
    if agent.auto_terminate_enabled:
        marked += _zombies(connection, agent, now, pause, quirks)
        marked += _replicas(connection, agent, now, pause, quirks)
        marked.sort(key=lambda one: (one.marked_at, one.instance_id))
    shown = marked if quirks.listed_twice else _once_each(marked)
    entries = [_entry(one, now, quirks.seconds_off) for one in shown]
    if quirks.odd_entries and agent.auto_terminate_enabled:
        entries = _odd(entries)
    if quirks.placeholders and agent.auto_terminate_enabled:
        entries += [_placeholder(never_launched) for never_launched in PLACEHOLDERS]
    return {
        "instances": entries,
        "auto_terminate_enabled": _switch(agent, quirks),
        "terminate_wait_seconds": agent.terminate_wait_seconds,
    }


def _switch(agent: Agent, quirks: Quirks) -> bool | int | None:
    enabled = agent.auto_terminate_enabled
    if quirks.null_switch and not enabled:
        return None
    return int(enabled) if quirks.integer_booleans else enabled


def _rested(table: Table, now: datetime, pause: timedelta) -> ColumnElement[bool]:
    """The last attempt, if there was one, is old enough for another."""
    attempted = table.c.termination_attempted_at
    return or_(attempted.is_(None), attempted <= now - pause)


def _zombies(
    connection: Connection, agent: Agent, now: datetime, pause: timedelta, quirks: Quirks
) -> Iterable[Marked]:
    column = instances.c
    since = func.coalesce(
        column.marked_at, column.updated_at
    )  # marked by hand: when it was touched
    query = select(since, column.id, column.instance_type, column.az).where(
        column.region == agent.region,
        column.instance_status == "zombie",
        column.is_active.is_(False),
        column.termination_confirmed.is_(False),
        since <= now - timedelta(seconds=agent.terminate_wait_seconds),
        _rested(instances, now, pause),
    )
    if not quirks.foreign_zombies:
        query = query.where(column.agent_id == agent.id)
    return [Marked(*row, reason="zombie_timeout") for row in connection.execute(query)]


def _replicas(
    connection: Connection, agent: Agent, now: datetime, pause: timedelta, quirks: Quirks
) -> Iterable[Marked]:
    column = replica_instances.c
    since = func.coalesce(column.marked_at, column.updated_at)
    if quirks.confirmed_replicas_return:
        since = func.coalesce(column.terminated_at, since)
    query = select(since, column.instance_id, column.instance_type, column.az).where(
        column.agent_id == agent.id,
        column.status == "terminated",
        _rested(replica_instances, now, pause),
    )
    if not quirks.confirmed_replicas_return:
        query = query.where(column.termination_confirmed.is_(False))
    return [Marked(*row, reason="replica_terminated") for row in connection.execute(query)]


def _once_each(marked: Iterable[Marked]) -> list[Marked]:
    """An instance that stands in both tables is listed once, as what it was marked first."""
    first: dict[str, Marked] = {}
    for one in marked:
        first.setdefault(one.instance_id, one)
    return list(first.values())


def _entry(one: Marked, now: datetime, seconds_off: float) -> dict[str, Any]:
    seconds = (now - one.marked_at).total_seconds()
    clock = "seconds_waiting" if one.reason == "zombie_timeout" else "seconds_since_marked"
    return {
        "instance_id": one.instance_id,
        "instance_type": one.instance_type,
        "az": one.az,
        "reason": one.reason,
        clock: int(seconds + seconds_off) if seconds_off else max(0, int(seconds)),
    }


def _placeholder(instance_id: str) -> dict[str, Any]:
    return {
        "instance_id": instance_id,
        "instance_type": None,
        "az": None,
        "reason": "replica_terminated",
        "seconds_since_marked": None,
    }


def _odd(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Quirk 6: the real entries say as little as they may, and others make no sense."""
    known = ("instance_id", "reason")
    vague = [
        {name: value if name in known else None for name, value in entry.items()}
        | {"launch_template": {"version": 3}, "hourly_price": 0.085}
        for entry in entries
    ]
    senseless = [
        {"instance_id": odd, "instance_type": None, "az": None, "reason": "zombie_timeout"}
        for odd in ODD_IDS
    ]
    return vague + senseless
