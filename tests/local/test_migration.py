"""The guide for those who come from the daemon: complete, and true to the settings and the template."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import text

from backend.database import create_schema, open_engine
from handler.settings import ENVIRONMENT_VARIABLES

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
    "agent_id", "server_url", "client_token", "region",
    "AUTO_TERMINATE_ENABLED", "TERMINATION_CHECK_INTERVAL",
]  # fmt: skip
"""Everything that the daemon was configured with: its worker's arguments, and `agent.conf`."""


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
    assert re.search(r"`\w+`", row[2])


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
    (row,) = [row for row in SETTINGS if row[0] == "`TERMINATION_CHECK_INTERVAL`"]
    assert f"{', '.join(seconds[:-1])} or {seconds[-1]} seconds" in row[3]


def test_a_make_target_that_is_named_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", TEXT, re.MULTILINE))
    assert named
    assert named <= targets


def test_the_query_runs_on_the_backend_s_tables() -> None:
    (query,) = re.findall(r"^```sql\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    engine = open_engine("sqlite:///:memory:")
    create_schema(engine)
    with engine.connect() as connection:
        assert connection.execute(text(query)).all() == []
    engine.dispose()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT))))
def test_a_link_leads_somewhere(target: str) -> None:
    assert (ROOT / "docs" / target).exists()
