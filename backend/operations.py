"""The operator's side: clients, agents, instances, and time for local runs."""

import secrets
import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    func,
    insert,
    text,
    update,
)

from backend.quirks import Quirks
from backend.rows import change, existing, primary_row, require_absent
from backend.schemas import AgentChange, NewAgent, NewInstance, NewZombies
from backend.service import token_hash
from backend.tables import agents, clients, instances, replica_instances


def create_client(connection: Connection, name: str, *, now: datetime) -> dict[str, Any]:
    """A new client, and its token: shown now and never again."""
    client_id, token = str(uuid.uuid4()), secrets.token_urlsafe(32)
    connection.execute(
        insert(clients).values(
            id=client_id, name=name, token_hash=token_hash(token), created_at=now
        )
    )
    return {"client_id": client_id, "token": token}


def set_client_active(connection: Connection, client_id: str, *, active: bool) -> None:
    """An inactive client's calls are answered with 403."""
    change(connection, clients, client_id, {"is_active": active})


def rotate_token(connection: Connection, client_id: str) -> dict[str, Any]:
    """A new token; the old one is invalid from now."""
    token = secrets.token_urlsafe(32)
    change(connection, clients, client_id, {"token_hash": token_hash(token)})
    return {"client_id": client_id, "token": token}


def create_agent(connection: Connection, wanted: NewAgent, *, now: datetime) -> str:
    """A new agent of a client, in one region; its id."""
    existing(connection, clients, wanted.client_id)
    agent_id = wanted.agent_id or str(uuid.uuid4())
    require_absent(connection, agents, agent_id)
    connection.execute(
        insert(agents).values(
            id=agent_id, client_id=wanted.client_id, region=wanted.region, created_at=now
        )
    )
    return agent_id


def change_agent(connection: Connection, agent_id: str, wanted: AgentChange) -> None:
    """Switch ``auto_terminate_enabled``, set ``terminate_wait_seconds``."""
    change(connection, agents, agent_id, wanted.model_dump(exclude_none=True))


def register_primary(
    connection: Connection, agent_id: str, wanted: NewInstance, *, now: datetime
) -> None:
    """A running instance that the agent's client uses."""
    agent = existing(connection, agents, agent_id)
    require_absent(connection, instances, wanted.instance_id)
    connection.execute(insert(instances).values(primary_row(agent, wanted.model_dump(), now)))


def add_zombies(connection: Connection, agent_id: str, wanted: NewZombies, *, now: datetime) -> int:
    """Many zombies at once; how many."""
    agent = existing(connection, agents, agent_id)
    marked_at = now - timedelta(seconds=wanted.age_seconds)
    zombie = {"instance_status": "zombie", "is_active": False, "marked_at": marked_at}
    shared = wanted.model_dump(include={"instance_type", "az"})
    rows = [
        primary_row(agent, shared | {"instance_id": instance_id}, now) | zombie
        for instance_id in wanted.instance_ids
    ]
    if rows:
        connection.execute(insert(instances), rows)
    return len(rows)


def report_pricing(
    connection: Connection, agent_id: str, instance_id: str, *, now: datetime, quirks: Quirks
) -> None:
    """The pricing report that a running agent sends every five minutes; it touches the row."""
    existing(connection, agents, agent_id)
    moved = {"marked_at": now} if quirks.pricing_moves_clock else {}
    change(connection, instances, instance_id, {"updated_at": now} | moved)


def age(connection: Connection, agent_id: str, seconds: float, instance_id: str | None) -> int:
    """Make it look as if so many seconds had passed for the agent's rows; how many rows.

    For local runs: times of marking, touching and attempts move back, nothing waits.
    """
    existing(connection, agents, agent_id)
    aged = 0
    for table, key in ((instances, "id"), (replica_instances, "instance_id")):
        statement = update(table).where(table.c.agent_id == agent_id)
        if instance_id is not None:
            statement = statement.where(table.c[key] == instance_id)
        times = ("marked_at", "updated_at", "termination_attempted_at")
        earlier = {name: _earlier(connection, table.c[name], seconds) for name in times}
        aged += connection.execute(statement.values(earlier)).rowcount
    return aged


def _earlier(connection: Connection, column: Column[Any], seconds: float) -> ColumnElement[Any]:
    if connection.dialect.name != "sqlite":
        return func.timestampadd(text("MICROSECOND"), -round(seconds * 1_000_000), column)
    # SQLite reckons in milliseconds: the extra one keeps rounding from making a row younger.
    return func.strftime("%Y-%m-%d %H:%M:%f000", column, f"-{seconds + 0.001:.3f} seconds")
