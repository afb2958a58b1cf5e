"""The operator's side: what a dashboard and the decision engine would do to the database."""

import secrets
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    RowMapping,
    Table,
    func,
    insert,
    select,
    text,
    update,
)

from backend.errors import ApiError
from backend.schemas import AgentChange, NewAgent, NewInstance, NewZombies
from backend.service import token_hash
from backend.tables import agents, clients, instances, replica_instances

_ACTIVE_REPLICA = ("launching", "ready")


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
    _change(connection, clients, client_id, {"is_active": active})


def rotate_token(connection: Connection, client_id: str) -> dict[str, Any]:
    """A new token; the old one is invalid from now."""
    token = secrets.token_urlsafe(32)
    _change(connection, clients, client_id, {"token_hash": token_hash(token)})
    return {"client_id": client_id, "token": token}


def create_agent(connection: Connection, wanted: NewAgent, *, now: datetime) -> str:
    """A new agent of a client, in one region; its id."""
    _existing(connection, clients, wanted.client_id)
    agent_id = wanted.agent_id or str(uuid.uuid4())
    _absent(connection, agents, agent_id)
    connection.execute(
        insert(agents).values(
            id=agent_id, client_id=wanted.client_id, region=wanted.region, created_at=now
        )
    )
    return agent_id


def change_agent(connection: Connection, agent_id: str, change: AgentChange) -> None:
    """Switch ``auto_terminate_enabled``, set ``terminate_wait_seconds``."""
    _change(connection, agents, agent_id, change.model_dump(exclude_none=True))


def register_primary(
    connection: Connection, agent_id: str, wanted: NewInstance, *, now: datetime
) -> None:
    """A running instance that the agent's client uses."""
    agent = _existing(connection, agents, agent_id)
    _absent(connection, instances, wanted.instance_id)
    connection.execute(insert(instances).values(_primary(agent, wanted.model_dump(), now)))


def add_zombies(connection: Connection, agent_id: str, wanted: NewZombies, *, now: datetime) -> int:
    """Many zombies at once; how many."""
    agent = _existing(connection, agents, agent_id)
    marked_at = now - timedelta(seconds=wanted.age_seconds)
    zombie = {"instance_status": "zombie", "is_active": False, "marked_at": marked_at}
    shared = wanted.model_dump(include={"instance_type", "az"})
    rows = [
        _primary(agent, shared | {"instance_id": instance_id}, now) | zombie
        for instance_id in wanted.instance_ids
    ]
    if rows:
        connection.execute(insert(instances), rows)
    return len(rows)


def enable_replica(
    connection: Connection, agent_id: str, wanted: NewInstance, *, now: datetime
) -> None:
    """Manual replica mode on: a replica is launching (as the EC2 instance that the caller names)."""
    _existing(connection, agents, agent_id, lock=True)
    connection.execute(
        insert(replica_instances).values(
            agent_id=agent_id, status="launching", created_at=now, **wanted.model_dump()
        )
    )
    _change(connection, agents, agent_id, {"manual_replica_enabled": True})


def replica_ready(
    connection: Connection, agent_id: str, instance_id: str, *, now: datetime
) -> None:
    """The replica has caught up and may be promoted."""
    _existing(connection, agents, agent_id, lock=True)
    _replica(connection, agent_id, instance_id, status="launching")
    _set_replica(connection, agent_id, instance_id, status="ready", updated_at=now)


def disable_replicas(connection: Connection, agent_id: str, *, now: datetime) -> int:
    """Manual replica mode off: active replicas are terminated, not yet confirmed; how many."""
    _existing(connection, agents, agent_id, lock=True)
    _change(connection, agents, agent_id, {"manual_replica_enabled": False})
    row = replica_instances.c
    return connection.execute(
        update(replica_instances)
        .where(row.agent_id == agent_id, row.status.in_(_ACTIVE_REPLICA))
        .values(status="terminated", marked_at=now, updated_at=now)
    ).rowcount


def promote(connection: Connection, agent_id: str, instance_id: str, *, now: datetime) -> list[str]:
    """A ready replica becomes the primary, the old primaries become zombies; their ids."""
    agent = _existing(connection, agents, agent_id, lock=True)
    replica = _replica(connection, agent_id, instance_id, status="ready")
    _absent(connection, instances, instance_id)
    row = instances.c
    primary = (row.agent_id == agent_id, row.instance_status == "primary")
    old = list(connection.scalars(select(row.id).where(*primary)))
    connection.execute(
        update(instances)
        .where(*primary)
        .values(instance_status="zombie", is_active=False, marked_at=now, updated_at=now)
    )
    connection.execute(insert(instances).values(_primary(agent, dict(replica), now)))
    _set_replica(connection, agent_id, instance_id, status="promoted", updated_at=now)
    return old


def age(connection: Connection, agent_id: str, seconds: float, instance_id: str | None) -> int:
    """Make it look as if so many seconds had passed for the agent's rows; how many rows.

    For local runs: times of marking, touching and attempts move back, nothing waits.
    """
    _existing(connection, agents, agent_id)
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


def _primary(agent: RowMapping, wanted: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    return {
        "id": wanted["instance_id"],
        "client_id": agent["client_id"],
        "agent_id": agent["id"],
        "region": agent["region"],
        "instance_type": wanted["instance_type"],
        "az": wanted["az"],
        "instance_status": "primary",
        "is_active": True,
        "created_at": now,
        "updated_at": now,
    }


def _existing(connection: Connection, table: Table, key: str, *, lock: bool = False) -> RowMapping:
    """The row, locked if the caller is about to decide on what belongs to it."""
    query = select(table).where(table.c.id == key)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    if row is None:
        raise ApiError(404, f"{table.name}: no {key}")
    return row


def _absent(connection: Connection, table: Table, key: str) -> None:
    if connection.execute(select(table.c.id).where(table.c.id == key)).first():
        raise ApiError(409, f"{table.name}: {key} exists")


def _change(connection: Connection, table: Table, key: str, values: dict[str, Any]) -> None:
    _existing(connection, table, key)
    if values:
        connection.execute(update(table).where(table.c.id == key).values(values))


def _replica(connection: Connection, agent_id: str, instance_id: str, *, status: str) -> RowMapping:
    row = replica_instances.c
    query = select(replica_instances).where(
        row.agent_id == agent_id, row.instance_id == instance_id
    )
    found = connection.execute(query).mappings().first()
    if found is None:
        raise ApiError(404, f"replica_instances: no {instance_id}")
    if found["status"] != status:
        raise ApiError(409, f"replica {instance_id} is {found['status']}, not {status}")
    return found


def _set_replica(connection: Connection, agent_id: str, instance_id: str, **values: Any) -> None:  # noqa: ANN401  # columns
    row = replica_instances.c
    connection.execute(
        update(replica_instances)
        .where(row.agent_id == agent_id, row.instance_id == instance_id)
        .values(values)
    )
