"""What the tables hold, for operators and tests: plain rows, the newest first."""

from typing import Any

from sqlalchemy import Connection, Select, select

from backend.errors import ApiError
from backend.tables import agents, cleanup_logs, instances, replica_instances, system_events

Rows = list[dict[str, Any]]


def agent(connection: Connection, agent_id: str) -> dict[str, Any]:
    """One agent."""
    found = _rows(connection, select(agents).where(agents.c.id == agent_id))
    if not found:
        raise ApiError(404, f"agents: no {agent_id}")
    return found[0]


def agent_list(connection: Connection) -> Rows:
    """All agents of all clients."""
    return _rows(connection, select(agents).order_by(agents.c.created_at.desc(), agents.c.id))


def instance_list(connection: Connection, agent_id: str) -> Rows:
    """The instances that were registered through this agent."""
    row = instances.c
    query = select(instances).where(row.agent_id == agent_id)
    return _rows(connection, query.order_by(row.created_at.desc(), row.id))


def replica_list(connection: Connection, agent_id: str) -> Rows:
    """The agent's replicas."""
    row = replica_instances.c
    query = select(replica_instances).where(row.agent_id == agent_id)
    return _rows(connection, query.order_by(row.id.desc()))


def event_list(connection: Connection, agent_id: str) -> Rows:
    """The agent's system events."""
    row = system_events.c
    query = select(system_events).where(row.agent_id == agent_id)
    return _rows(connection, query.order_by(row.id.desc()))


def cleanup_list(connection: Connection, agent_id: str) -> Rows:
    """The agent's cleanup reports."""
    row = cleanup_logs.c
    query = select(cleanup_logs).where(row.agent_id == agent_id)
    return _rows(connection, query.order_by(row.id.desc()))


def _rows(connection: Connection, query: Select[Any]) -> Rows:
    return [dict(row) for row in connection.execute(query).mappings()]
