"""docs/upgrading.md speaks of parameters, metrics and alarms as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.template.stack import known, source

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "upgrading.md").read_text()
PARAMETERS = source()["Parameters"]
GONE = {"FurtherAgentIds", "OldestWaitAlarmSeconds", "AgentsMissingAlarm", "LongWaits"}
SENT = {
    name
    for path in (ROOT / "src").rglob("*.py")
    for name in re.findall(r'"([A-Z][A-Za-z]+)"', path.read_text())
}
"""What the code sends, metrics among it."""


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_what_is_gone_is_gone_and_what_is_named_is_there() -> None:
    names = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)(?:=[^`]*)?`", TEXT))
    tags = {"LogicalAgentId", "ParentInstance"}
    there = known("Parameters") | known("Resources") | known("Outputs")
    assert not names & GONE & (there | SENT)
    assert names >= GONE - {"FurtherAgentIds"}
    others = {"AccessDenied", "SpotOptimizer"}
    assert names <= there | SENT | GONE | tags | others


@pytest.mark.parametrize(
    ("parameter", "default"),
    re.findall(r"^\| `(\w+)` \| [^|]* \| (`\w+`|empty)", section("Parameters"), re.MULTILINE),
)
def test_a_new_default_is_the_templates(parameter: str, default: str) -> None:
    assert str(PARAMETERS[parameter]["Default"]) == default.strip("`").replace("empty", "")


def test_there_are_three_defaults_to_check() -> None:
    found = re.findall(
        r"^\| `(\w+)` \| [^|]* \| (?:`\w+`|empty)", section("Parameters"), re.MULTILINE
    )
    assert found == ["IdempotencyWindowSeconds", "ReservedConcurrency", "PowertoolsServiceName"]


def test_the_tables_items_have_the_keys_and_attributes_of_the_code() -> None:
    code = " ".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    for name in ("success-report", "lived-here", "cleanup-reports#", "first-seen", "outbox"):
        assert name in section("The table")
        assert f'"{name}"' in code
    assert '"backlog"' not in code
