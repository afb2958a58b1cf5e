"""Fixtures, and the document that a full run writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability import table
from tests.reliability.servers import Harness, harness
from tests.reliability.world import World


@pytest.fixture(scope="module")
def servers() -> Iterator[Harness]:
    """One backend and one emulator for a module; their clock must not reach other folders' tests."""
    with harness() as running:
        yield running


@pytest.fixture
def world(servers: Harness) -> World:
    return servers.new()


_HERE = Path(__file__).parent
_ROWS: list[table.Row] = []
_FAILED: list[str] = []
_OPEN: list[str] = []


@pytest.hookimpl
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """In the process that has all reports: keep the rows of what passed."""
    if not report.nodeid.startswith("tests/reliability/"):
        return
    if report.failed:
        _FAILED.append(report.nodeid)
    if report.when == "call" and report.skipped and hasattr(report, "wasxfail"):
        _OPEN.append(report.wasxfail.removeprefix("reason: "))
    if report.when == "call" and report.passed:
        _ROWS.extend(table.read(report.user_properties))


@pytest.hookimpl
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the document after a full run of this folder in which nothing failed."""
    is_worker = hasattr(session.config, "workerinput")
    whole = {row.part for row in _ROWS} == set(table.PARTS)  # not a few tests by their name
    if table.SOAK and not is_worker and whole and not _FAILED:
        table.DOCUMENT.write_text(table.written(_ROWS, _OPEN))
