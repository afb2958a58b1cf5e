"""The tables (contract section 1, "What the backend decides").

The same schema stands in ``migrations/`` as SQL: MySQL and MariaDB are built from those files,
SQLite from here, and a test compares the two.

Two columns exist only under a second name, because the guide's queries use both:
``instances.instance_id`` is the EC2 id in ``id``, ``replica_instances.instance_status`` is ``status``.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

metadata = MetaData()

# Compared byte by byte on every database: ids that differ in case are different ids.
_OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}
_NAME = String(64)
_SERIAL = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers only INTEGER keys
_MOMENT = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
_TIMESTAMP = DateTime().with_variant(mysql.TIMESTAMP(fsp=6), "mysql", "mariadb")
_NO = text("0")
_YES = text("1")


class _Touched(GenericFunction[Any]):
    """The default of ``updated_at``: rows changed by hand are touched too, as far as the database can."""

    inherit_cache = True


class _Created(GenericFunction[Any]):
    """The default of ``created_at``."""

    inherit_cache = True


@compiles(_Touched)
@compiles(_Created)
def _plain_default(_element: object, _compiler: SQLCompiler, **_: object) -> str:
    return "CURRENT_TIMESTAMP"


@compiles(_Created, "mysql", "mariadb")
def _created_default(_element: object, _compiler: SQLCompiler, **_: object) -> str:
    return "CURRENT_TIMESTAMP(6)"


@compiles(_Touched, "mysql", "mariadb")
def _touched_default(_element: object, _compiler: SQLCompiler, **_: object) -> str:
    return "CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)"


def _created_at() -> Column[Any]:
    return Column("created_at", _MOMENT, nullable=False, server_default=_Created())


def _updated_at() -> Column[Any]:
    return Column("updated_at", _MOMENT, nullable=False, server_default=_Touched())


def _tracking() -> list[Column[Any]]:
    """The columns that ``add_termination_tracking.sql`` adds."""
    return [
        Column("termination_attempted_at", _TIMESTAMP),
        Column("termination_confirmed", Boolean, nullable=False, server_default=_NO),
    ]


clients = Table(
    "clients",
    metadata,
    Column("id", _NAME, primary_key=True),
    Column("name", String(255), nullable=False),
    Column("token_hash", String(64), nullable=False),
    Column("is_active", Boolean, nullable=False, server_default=_YES),
    _created_at(),
    Index("uq_clients_token_hash", "token_hash", unique=True),
    **_OPTIONS,
)

agents = Table(
    "agents",
    metadata,
    Column("id", _NAME, primary_key=True),
    Column("client_id", _NAME, ForeignKey("clients.id"), nullable=False),
    Column("region", String(32), nullable=False),
    Column("auto_terminate_enabled", Boolean, nullable=False, server_default=_YES),
    Column("terminate_wait_seconds", Integer, nullable=False, server_default=text("300")),
    Column("manual_replica_enabled", Boolean, nullable=False, server_default=_NO),
    Column("last_cleanup_at", _MOMENT),
    _created_at(),
    Index("ix_agents_client", "client_id"),
    **_OPTIONS,
)

instances = Table(
    "instances",
    metadata,
    Column("id", _NAME, primary_key=True),  # the EC2 id
    Column("instance_id", _NAME, Computed("id", persisted=False)),
    Column("client_id", _NAME, ForeignKey("clients.id"), nullable=False),
    Column("agent_id", _NAME, ForeignKey("agents.id"), nullable=False),
    Column("region", String(32), nullable=False),
    Column("instance_type", String(32)),
    Column("az", String(32)),
    Column("instance_status", String(32), nullable=False),  # primary, zombie, terminated
    Column("is_active", Boolean, nullable=False, server_default=_YES),
    Column("marked_at", _MOMENT),  # since when it is a zombie
    Column("terminated_at", _MOMENT),
    _created_at(),
    _updated_at(),
    *_tracking(),
    Index("ix_instances_client_status", "client_id", "region", "instance_status"),
    Index("ix_instances_agent", "agent_id"),
    Index("ix_instances_termination", "instance_status", "termination_attempted_at"),
    **_OPTIONS,
)

replica_instances = Table(
    "replica_instances",
    metadata,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("agent_id", _NAME, ForeignKey("agents.id"), nullable=False),
    Column("instance_id", _NAME, nullable=False),  # the EC2 id
    Column("instance_type", String(32)),
    Column("az", String(32)),
    Column("status", String(32), nullable=False),  # launching, ready, promoted, terminated
    Column("instance_status", String(32), Computed("status", persisted=False)),
    Column("marked_at", _MOMENT),  # since when it is meant to be gone
    Column("terminated_at", _MOMENT),
    _created_at(),
    _updated_at(),
    *_tracking(),
    Index("uq_replicas_agent_instance", "agent_id", "instance_id", unique=True),
    Index("ix_replicas_instance", "instance_id"),
    Index("ix_replicas_agent_status", "agent_id", "status"),
    Index("ix_replicas_termination", "status", "termination_confirmed"),
    **_OPTIONS,
)

# The two records of what happened have no foreign keys: they outlive what they tell of, and a
# report does not lock its agent's row.
system_events = Table(
    "system_events",
    metadata,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("event_type", String(64), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("client_id", _NAME),
    Column("agent_id", _NAME),
    Column("instance_id", _NAME),
    Column("message", Text, nullable=False),
    Column("details", JSON),
    Column("metadata", JSON),
    _created_at(),
    Index("ix_events_type_time", "event_type", "created_at"),
    Index("ix_events_agent", "agent_id"),
    **_OPTIONS,
)

cleanup_logs = Table(
    "cleanup_logs",
    metadata,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("client_id", _NAME, nullable=False),
    Column("agent_id", _NAME, nullable=False),
    Column("reported_at", _MOMENT, nullable=False),
    Column("snapshots_deleted", Integer, nullable=False),
    Column("snapshots_failed", Integer, nullable=False),
    Column("snapshots_cutoff_date", _MOMENT),
    Column("amis_deleted", Integer, nullable=False),
    Column("ami_snapshots_deleted", Integer, nullable=False),
    Column("amis_failed", Integer, nullable=False),
    Column("amis_cutoff_date", _MOMENT),
    Column("details", JSON, nullable=False),
    _created_at(),
    Index("ix_cleanup_logs_agent", "agent_id", "created_at"),
    **_OPTIONS,
)
