"""Tests that share something dear are one unit of work; the longest units come first."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.schedule import FIRST, by_length, unit

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("nodeid", "name"),
    [
        ("tests/deploy/test_stacks.py::test_every_stack_is_complete[us-east-1]", "deploy"),
        ("tests/deploy/test_a_run.py::test_each_event", "deploy"),
        ("tests/deploy/test_make.py::test_deploy[eu-west-1]", "tests/deploy/test_make.py"),
        ("tests/backend/test_reports.py::test_one[mariadb]", "mariadb"),
        ("tests/backend/test_quirks.py::test_one[mariadb-2025-11-25T12:30:00Z]", "mariadb"),
        ("tests/backend/test_quirks.py::test_one[sqlite]", "tests/backend/test_quirks.py"),
        ("tests/unit/test_rules.py::TestIt::test_one[a-b]", "tests/unit/test_rules.py"),
    ],
)
def test_a_test_runs_beside_those_that_share_its_servers(nodeid: str, name: str) -> None:
    assert unit(nodeid) == name


@pytest.mark.parametrize("name", [name for name in FIRST if "/" in name])
def test_a_file_that_is_named_is_there(name: str) -> None:
    assert (ROOT / name).exists()


def test_what_takes_long_is_started_first(request: pytest.FixtureRequest) -> None:
    names = list(dict.fromkeys(unit(item.nodeid) for item in request.session.items))
    assert names == sorted(names, key=by_length)
    assert by_length(FIRST[0]) < by_length(FIRST[-1]) < by_length("tests/unit/test_rules.py")
