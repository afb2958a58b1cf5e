"""The engine for a DATABASE_URL, and the schema on it."""

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, make_url

from backend.tables import metadata

MIGRATIONS = Path(__file__).parent / "migrations"
#: In the order in which they apply.
MIGRATION_FILES = (MIGRATIONS / "base_schema.sql", MIGRATIONS / "add_termination_tracking.sql")
EMBEDDED = "sqlite:///:memory:"


def open_engine(database_url: str = EMBEDDED) -> Engine:
    """An engine for SQLite (embedded) or MySQL and MariaDB (``mysql+pymysql://...``).

    The pool is bounded: 10 connections, 20 more under load.
    """
    url = make_url(database_url)
    return _sqlite(url) if url.get_backend_name() == "sqlite" else _mysql(url)


def create_schema(engine: Engine) -> None:
    """Bring the database to the current schema; harmless when it already is.

    MySQL and MariaDB get exactly the files in ``migrations/``, SQLite gets ``tables.py``.
    """
    if engine.dialect.name == "sqlite":
        metadata.create_all(engine)
        return
    with engine.connect() as connection:
        # Two services that start at once must not alter the same table side by side.
        connection.exec_driver_sql("DO GET_LOCK(MD5(DATABASE()), 60)")
        try:
            for file in MIGRATION_FILES:
                apply_file(connection, file)
        finally:
            connection.exec_driver_sql("DO RELEASE_LOCK(MD5(DATABASE()))")


def apply_file(connection: Connection, file: Path) -> None:
    """Run an SQL file's statements, as the ``mysql`` client would; each ends with ``;`` at a line's end."""
    lines = (line.partition("--")[0].rstrip() for line in file.read_text().splitlines())
    for statement in "\n".join(lines).split(";\n"):
        if statement.strip(" \n;"):
            connection.exec_driver_sql(statement)


def _mysql(url: URL) -> Engine:
    engine = create_engine(
        url,
        pool_size=10,
        max_overflow=20,
        pool_timeout=10,
        pool_pre_ping=True,
        # No gap locks: reports on different instances never wait for each other.
        isolation_level="READ COMMITTED",
        connect_args={"connect_timeout": 5, "read_timeout": 60, "write_timeout": 60},
    )

    @event.listens_for(engine, "connect")
    def _speak_utc(connection: Any, _record: object) -> None:  # noqa: ANN401  # PyMySQL is untyped
        with connection.cursor() as cursor:
            cursor.execute("SET time_zone = '+00:00'")  # TIMESTAMP columns are read in this zone

    return engine


def _sqlite(url: URL) -> Engine:
    in_memory = url.database in (None, "", ":memory:")
    engine = create_engine(
        url,
        poolclass=QueuePool,
        # A memory database is its one connection: requests take turns on it.
        pool_size=1 if in_memory else 10,
        max_overflow=0 if in_memory else 20,
        pool_timeout=30,
        connect_args={"check_same_thread": False, "timeout": 30},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:  # noqa: ANN401  # as the driver passes it
        connection.isolation_level = None  # the driver's own BEGIN comes too late; see below
        for pragma in ("foreign_keys = ON", "journal_mode = WAL", "synchronous = NORMAL"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # Take the write lock at once: a transaction that reads first and then writes could not.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
