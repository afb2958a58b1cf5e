"""The guide for those who come from the daemon: complete, and true to the settings and the template."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import text

from backend.client import OperatorClient
from backend.context import Settings
from backend.database import open_engine
from backend.quirks import Quirks
from backend.server import run_backend
from handler.settings import ENVIRONMENT_VARIABLES
from tests.support.backend import AgentApi
from tests.support.mariadb import MariaDbServer

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "migration.md").read_text()
TEMPLATE = (ROOT / "template.yaml").read_text()
PARAMETERS = set(
    re.findall(
        r"^  (\w+):$",
        TEMPLATE.partition("\nParameters:\n")[2].partition("\nRules:")[0],
        re.MULTILINE,
    )
)
ONLY_THE_TEMPLATE_S = {"TerminationCheckInterval"}
DAEMON = [
    "LOGICAL_AGENT_ID",
    "SPOT_OPTIMIZER_SERVER_URL",
    "SPOT_OPTIMIZER_CLIENT_TOKEN",
    "CLEANUP_INTERVAL",
]
"""Everything in `agent.env` that its two workers read."""


def section(heading: str) -> str:
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    assert found, heading
    return found[1]


def rows(heading: str) -> list[list[str]]:
    """A section's table without its head."""
    lines = [line for line in section(heading).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


SETTINGS = rows("What became of its settings")
BECAME = {name for row in SETTINGS for name in re.findall(r"`(\w+)`", row[2])}


@pytest.mark.parametrize("variable", DAEMON)
def test_every_setting_of_the_daemon_has_its_row(variable: str) -> None:
    (row,) = [row for row in SETTINGS if row[0] == f"`{variable}`"]
    assert row[2] == "nothing" or re.search(r"`\w+`", row[2])


def test_what_they_became_exists() -> None:
    assert {name for name in BECAME if name not in ENVIRONMENT_VARIABLES} == ONLY_THE_TEMPLATE_S
    assert ONLY_THE_TEMPLATE_S <= PARAMETERS


def test_every_variable_of_the_function_is_old_or_new() -> None:
    new = section("What became of its settings").partition("\nNew, ")[2]
    named = set(re.findall(r"`([A-Z][A-Z_]+)`", new))
    noted = {name for row in SETTINGS for name in re.findall(r"`([A-Z][A-Z_]+)`", row[3])}
    assert named | noted | (BECAME - ONLY_THE_TEMPLATE_S) == set(ENVIRONMENT_VARIABLES)
    assert not named & BECAME


def test_a_parameter_that_is_named_is_the_template_s() -> None:
    for row in SETTINGS:
        for name in re.findall(r"parameters? `(\w+)`", row[3]):
            assert name in PARAMETERS, row
    for name in ("HousekeepingEnabled", "AlarmEmail", "AlarmTopicArn"):
        assert f"`{name}" in TEXT
        assert name in PARAMETERS


def test_the_intervals_are_the_template_s() -> None:
    allowed = TEMPLATE.partition("\n  TerminationCheckInterval:\n")[2].partition("AllowedValues:")[
        2
    ]
    seconds = re.findall(r"\d+", allowed.partition("]")[0])
    (row,) = [row for row in SETTINGS if row[2] == "`TerminationCheckInterval`"]
    assert f"{', '.join(seconds[:-1])} or {seconds[-1]} seconds" in row[3]


@pytest.mark.mariadb
@pytest.mark.parametrize("without_id", [False, True])
def test_the_query_finds_what_was_ended_as_either_backend_keeps_it(
    mariadb_server: MariaDbServer, without_id: bool
) -> None:
    (query,) = re.findall(r"^```sql\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    database = mariadb_server.fresh_database()
    settings = Settings(quirks=Quirks(events_without_id=without_id))
    with run_backend(database, settings) as url, OperatorClient(url) as operator:
        client = operator.create_client()
        agent_id = operator.create_agent(client.client_id, agent_id="agent-1")
        AgentApi(url, agent_id, client.token).report_success("i-0000000000000000a")
    engine = open_engine(database)
    with engine.connect() as connection:
        [(instance, event, _)] = connection.execute(text(query)).all()
    engine.dispose()
    assert (instance, event) == ("i-0000000000000000a", "instance_terminated")


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT))))
def test_a_link_leads_somewhere(target: str) -> None:
    assert (ROOT / "docs" / target).exists()
