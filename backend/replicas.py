"""Replicas: manual mode on, ready, off, the promotion that makes zombies, and their end with it."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from backend.errors import ApiError
from backend.quirks import Quirks
from backend.rows import change, existing, primary_row, require_absent
from backend.schemas import NewInstance
from backend.tables import agents, instances, replica_instances

_ACTIVE = ("launching", "ready")


def enable_replica(
    connection: Connection, agent_id: str, wanted: NewInstance, *, now: datetime
) -> None:
    """Manual replica mode on: a replica is launching (as the EC2 instance that the caller names)."""
    existing(connection, agents, agent_id, lock=True)
    connection.execute(
        insert(replica_instances).values(
            agent_id=agent_id, status="launching", created_at=now, **wanted.model_dump()
        )
    )
    change(connection, agents, agent_id, {"manual_replica_enabled": True})


def replica_ready(
    connection: Connection, agent_id: str, instance_id: str, *, now: datetime
) -> None:
    """The replica has caught up and may be promoted."""
    existing(connection, agents, agent_id, lock=True)
    _replica(connection, agent_id, instance_id, status="launching")
    _set_replica(connection, agent_id, instance_id, status="ready", updated_at=now)


def disable_replicas(connection: Connection, agent_id: str, *, now: datetime) -> int:
    """Manual replica mode off: active replicas are terminated, not yet confirmed; how many."""
    existing(connection, agents, agent_id, lock=True)
    change(connection, agents, agent_id, {"manual_replica_enabled": False})
    return _mark(connection, agent_id, _ACTIVE, now)


def end_replicas(connection: Connection, agent_id: str, *, now: datetime, quirks: Quirks) -> int:
    """What "auto-switch on" and "delete agent" do to an agent's replicas; how many were marked.

    By quirk 10 a promoted one is marked as well, the live primary.
    """
    existing(connection, agents, agent_id, lock=True)
    change(connection, agents, agent_id, {"manual_replica_enabled": False})
    promoted = ("promoted",) if quirks.promoted_replicas_marked else ()
    return _mark(connection, agent_id, (*_ACTIVE, *promoted), now)


def _mark(connection: Connection, agent_id: str, statuses: tuple[str, ...], now: datetime) -> int:
    row = replica_instances.c
    return connection.execute(
        update(replica_instances)
        .where(row.agent_id == agent_id, row.status.in_(statuses))
        .values(status="terminated", marked_at=now, updated_at=now)
    ).rowcount


def promote(
    connection: Connection, agent_id: str, instance_id: str, *, now: datetime, quirks: Quirks
) -> tuple[str, list[str]]:
    """A ready replica becomes the primary, the old primaries become zombies.

    Returns the agent of the new primary, by quirk 12 a new one that bears the instance's id, and
    the zombies' ids. Replicas and zombies stay the old agent's.
    """
    agent = existing(connection, agents, agent_id, lock=True)
    replica = _replica(connection, agent_id, instance_id, status="ready")
    require_absent(connection, instances, instance_id)
    row = instances.c
    primary = (row.agent_id == agent_id, row.instance_status == "primary")
    old = list(connection.scalars(select(row.id).where(*primary)))
    connection.execute(
        update(instances)
        .where(*primary)
        .values(instance_status="zombie", is_active=False, marked_at=now, updated_at=now)
    )
    owner = agent
    if quirks.new_agent_each_switch:
        wanted = {**agent, "id": instance_id, "created_at": now, "last_cleanup_at": None}
        connection.execute(insert(agents).values(wanted))
        owner = existing(connection, agents, instance_id)
    connection.execute(insert(instances).values(primary_row(owner, dict(replica), now)))
    _set_replica(connection, agent_id, instance_id, status="promoted", updated_at=now)
    return owner["id"], old


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
