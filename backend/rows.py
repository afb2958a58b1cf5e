"""Single rows, as the operator's actions need them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, select, update

from backend.errors import ApiError


def primary_row(agent: RowMapping, wanted: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A row of ``instances`` for a running primary of the agent."""
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


def existing(connection: Connection, table: Table, key: str, *, lock: bool = False) -> RowMapping:
    """The row, locked if the caller is about to decide on what belongs to it."""
    query = select(table).where(table.c.id == key)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    if row is None:
        raise ApiError(404, f"{table.name}: no {key}")
    return row


def require_absent(connection: Connection, table: Table, key: str) -> None:
    """Refuse what exists already."""
    if connection.execute(select(table.c.id).where(table.c.id == key)).first():
        raise ApiError(409, f"{table.name}: {key} exists")


def change(connection: Connection, table: Table, key: str, values: dict[str, Any]) -> None:
    """Change an existing row; no values, no change."""
    existing(connection, table, key)
    if values:
        connection.execute(update(table).where(table.c.id == key).values(values))
