"""The SQL files: they do what they say, through the real client, and say what tables.py says."""

import re
from pathlib import Path

import pytest
from sqlalchemy import text

from backend.client import OperatorClient
from backend.context import Settings
from backend.database import MIGRATIONS, create_schema, open_engine
from backend.server import run_backend
from backend.tables import metadata
from tests.support.backend import AgentApi, Clock
from tests.support.mariadb import MariaDbServer

pytestmark = pytest.mark.mariadb

BASE = (MIGRATIONS / "base_schema.sql").read_text()
TRACKING = (MIGRATIONS / "add_termination_tracking.sql").read_text()
GUIDE_QUERIES = [
    """
    SELECT instance_id, instance_status, termination_confirmed, terminated_at
    FROM replica_instances
    WHERE agent_id = 'your-agent-id'
    ORDER BY terminated_at DESC;
    """,
    """
    SELECT id, instance_status, termination_attempted_at, termination_confirmed
    FROM instances
    WHERE instance_status = 'zombie'
    ORDER BY updated_at DESC;
    """,
    """
    SELECT * FROM system_events
    WHERE event_type IN ('instance_terminated', 'instance_termination_failed')
    ORDER BY created_at DESC
    LIMIT 20;
    """,
    "SELECT auto_terminate_enabled FROM agents WHERE id = 'your-agent-id'",
    """
    SELECT instance_id, instance_status, termination_attempted_at, termination_confirmed
    FROM instances
    WHERE instance_status IN ('zombie', 'terminated')
    ORDER BY updated_at DESC;
    """,
]
POPULATE = """
INSERT INTO clients (id, name, token_hash) VALUES ('c', 'Müller & Söhne', SHA2('secret', 256));
INSERT INTO agents (id, client_id, region) VALUES ('your-agent-id', 'c', 'us-east-1');
INSERT INTO instances (id, client_id, agent_id, region, instance_status, is_active, updated_at) VALUES
    ('i-0000000000000000a', 'c', 'your-agent-id', 'us-east-1', 'zombie', 0, '2025-11-25 12:00:00.5'),
    ('i-0000000000000000b', 'c', 'your-agent-id', 'us-east-1', 'primary', 1, '2025-11-25 12:00:00');
INSERT INTO replica_instances (agent_id, instance_id, status, updated_at) VALUES
    ('your-agent-id', 'i-0000000000000000c', 'terminated', '2025-11-25 13:00:00'),
    ('your-agent-id', 'i-0000000000000000d', 'ready', '2025-11-25 13:00:00');
"""
READ_ALL = """
SELECT id, client_id, agent_id, region, instance_status, is_active, marked_at, terminated_at,
       created_at, updated_at FROM instances ORDER BY id;
SELECT id, agent_id, instance_id, status, marked_at, terminated_at, created_at, updated_at
  FROM replica_instances ORDER BY id;
SELECT * FROM clients; SELECT * FROM agents;
"""
TRACKING_COLUMNS = """
SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, IS_NULLABLE FROM INFORMATION_SCHEMA.COLUMNS
WHERE TABLE_SCHEMA = DATABASE() AND COLUMN_NAME LIKE 'termination\\_%' ORDER BY 1, 2
"""
ADDED = """\
TABLE_NAME	COLUMN_NAME	DATA_TYPE	IS_NULLABLE
instances	termination_attempted_at	timestamp	YES
instances	termination_confirmed	tinyint	NO
replica_instances	termination_attempted_at	timestamp	YES
replica_instances	termination_confirmed	tinyint	NO
"""
# Everything about a schema but the names that the server made up and the order of columns.
SCHEMA_QUERIES = {
    "columns": """
        SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA,
               COLLATION_NAME, GENERATION_EXPRESSION
        FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = DATABASE()""",
    "indexes": """
        SELECT TABLE_NAME, INDEX_NAME, NON_UNIQUE, SEQ_IN_INDEX, COLUMN_NAME
        FROM INFORMATION_SCHEMA.STATISTICS WHERE TABLE_SCHEMA = DATABASE()""",
    "references": """
        SELECT TABLE_NAME, COLUMN_NAME, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME
        FROM INFORMATION_SCHEMA.KEY_COLUMN_USAGE
        WHERE TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME IS NOT NULL""",
    "tables": """
        SELECT TABLE_NAME, ENGINE, TABLE_COLLATION
        FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = DATABASE()""",
}


def _schema(database_url: str) -> dict[str, set[tuple[object, ...]]]:
    engine = open_engine(database_url)
    with engine.connect() as connection:
        found = {
            what: {tuple(row) for row in connection.execute(text(query))}
            for what, query in SCHEMA_QUERIES.items()
        }
    engine.dispose()
    return found


@pytest.fixture
def migrated(mariadb_server: MariaDbServer, mariadb_url: str) -> str:
    """A database with rows from before the migration, and the migration."""
    for sql in (BASE, POPULATE, TRACKING):
        mariadb_server.run_client(mariadb_url, sql)
    return mariadb_url


def test_the_migration_adds_the_columns_and_keeps_every_row(
    mariadb_server: MariaDbServer, mariadb_url: str
) -> None:
    mariadb_server.run_client(mariadb_url, BASE + POPULATE)
    before = mariadb_server.run_client(mariadb_url, READ_ALL)
    assert "termination" not in mariadb_server.run_client(mariadb_url, "DESCRIBE instances")

    mariadb_server.run_client(mariadb_url, TRACKING)

    assert mariadb_server.run_client(mariadb_url, TRACKING_COLUMNS) == ADDED
    assert mariadb_server.run_client(mariadb_url, READ_ALL) == before
    assert "i-0000000000000000d" in before


def test_both_files_run_again_without_harm(mariadb_server: MariaDbServer, migrated: str) -> None:
    mariadb_server.run_client(
        migrated,
        "UPDATE instances SET termination_confirmed = 1, termination_attempted_at = NOW(6)"
        " WHERE instance_status = 'zombie'",
    )
    everything = "SELECT * FROM instances; SELECT * FROM replica_instances; SELECT * FROM agents"
    before = (mariadb_server.run_client(migrated, everything), _schema(migrated))

    mariadb_server.run_client(migrated, TRACKING)
    mariadb_server.run_client(migrated, BASE)

    assert (mariadb_server.run_client(migrated, everything), _schema(migrated)) == before


def test_the_service_works_on_the_migrated_rows(migrated: str) -> None:
    with run_backend(migrated) as url, OperatorClient(url) as operator:
        agent = AgentApi(url, "your-agent-id", "secret")

        assert agent.ids() == ["i-0000000000000000a", "i-0000000000000000c"]
        for instance_id in agent.ids():
            assert agent.report_success(instance_id).status_code == 200
        assert agent.ids() == []
        assert operator.instances("your-agent-id")[0]["termination_confirmed"] is True


def test_the_guides_queries_run_as_written(mariadb_server: MariaDbServer, migrated: str) -> None:
    with run_backend(migrated) as url:
        agent = AgentApi(url, "your-agent-id", "secret")
        agent.report_failure("i-0000000000000000a", "UnauthorizedOperation")

    replicas, zombies, events, switch, waiting = (
        mariadb_server.run_client(migrated, query) for query in GUIDE_QUERIES
    )

    assert "i-0000000000000000c\tterminated\t0\tNULL" in replicas
    assert re.search(r"^i-0000000000000000a\tzombie\t\d{4}-\S+ \S+\t0$", zombies, re.MULTILINE)
    assert "instance_termination_failed" in events
    assert "UnauthorizedOperation" in events
    assert switch == "auto_terminate_enabled\n1\n"
    assert waiting.startswith("instance_id\t")
    assert "i-0000000000000000a\tzombie" in waiting


def test_the_files_and_the_tables_in_python_are_the_same_schema(
    mariadb_server: MariaDbServer, migrated: str
) -> None:
    from_python = mariadb_server.fresh_database()
    engine = open_engine(from_python)
    metadata.create_all(engine)
    engine.dispose()

    assert _schema(migrated) == _schema(from_python)


def test_a_service_brings_an_old_database_up_to_date_and_a_new_one_to_the_same_schema(
    mariadb_server: MariaDbServer, migrated: str
) -> None:
    old, new = mariadb_server.fresh_database(), mariadb_server.fresh_database()
    mariadb_server.run_client(old, BASE + POPULATE)

    for database_url in (old, new, new):
        engine = open_engine(database_url)
        create_schema(engine)
        engine.dispose()

    assert _schema(old) == _schema(new) == _schema(migrated)


def test_the_migration_needs_only_the_columns_that_the_contract_names(
    mariadb_server: MariaDbServer, mariadb_url: str
) -> None:
    mariadb_server.run_client(
        mariadb_url,
        """
        CREATE TABLE instances (
            id CHAR(36) PRIMARY KEY, instance_id VARCHAR(64), instance_status VARCHAR(20)
        );
        CREATE TABLE replica_instances (
            id CHAR(36) PRIMARY KEY, instance_id VARCHAR(64), agent_id CHAR(36), status VARCHAR(20)
        );
        INSERT INTO instances VALUES ('1', 'i-0000000000000000a', 'zombie');
        """,
    )

    for _ in range(2):
        mariadb_server.run_client(mariadb_url, TRACKING)

    assert mariadb_server.run_client(mariadb_url, TRACKING_COLUMNS) == ADDED
    ids = mariadb_server.run_client(mariadb_url, "SELECT id, instance_id FROM instances")
    assert ids == "id\tinstance_id\n1\ti-0000000000000000a\n"


@pytest.mark.parametrize("file", sorted(MIGRATIONS.glob("*.sql")), ids=lambda file: file.name)
def test_no_file_uses_what_only_mariadb_understands(file: Path) -> None:
    statements = re.sub(r"--.*", "", file.read_text())

    mariadb_only = (
        r"(ADD|DROP|MODIFY|CHANGE) (COLUMN|INDEX|KEY)? ?IF|INDEX IF NOT|PERSISTENT|DELIMITER"
    )
    assert not re.search(mariadb_only, statements, re.IGNORECASE)


def test_times_are_utc_whatever_the_servers_zone(
    mariadb_server: MariaDbServer, migrated: str, clock: Clock
) -> None:
    with run_backend(migrated, Settings(now=clock)) as url:
        AgentApi(url, "your-agent-id", "secret").report_failure("i-0000000000000000a")

    as_utc = (
        "SET time_zone = '+00:00';"
        "SELECT termination_attempted_at, updated_at FROM instances WHERE instance_status = 'zombie'"
    )
    row = mariadb_server.run_client(migrated, as_utc).splitlines()[1]
    moment = clock.moment.strftime("%Y-%m-%d %H:%M:%S.%f")
    assert row == f"{moment}\t{moment}"
