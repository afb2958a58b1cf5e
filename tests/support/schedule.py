"""Which tests share a process, and which start first.

pytest-xdist's own way to keep tests together, `--dist loadgroup`, does nothing beside pytest 9.2: xdist 3.8 writes
the group into `item._nodeid` (`xdist/remote.py`), and pytest builds `nodeid` from another attribute. Its
scheduler can be replaced, however, by a hook of its public interface, and that needs node ids only.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from xdist.remote import Producer

TOGETHER = (
    ("deploy", r"tests/deploy/test_(a_run|stacks|verify)\.py"),
    ("dashboard", r"tools/dashboard_preview/tests/test_drawn\.py"),
    ("mariadb", r".*\[(.*-)?mariadb\b|tests/backend/test_migrations\.py|.*/test_scenarios\.py"),
    ("moto", r"tests/integration/(doctor/|test_housekeeping_moto\.py)"),
)
"""What shares something dear to make, and the node ids it has; the first that fits counts."""

FIRST = (
    *(
        "tests/sam_local/test_events_in_a_container.py",
        "moto",
        "tests/integration/test_backend_faults.py",
        "deploy",
        "dashboard",
    ),
    *("tests/artifact/test_events.py", "tests/integration/test_aws_faults.py", "mariadb"),
    *("tests/reliability/test_faults.py", "tests/reliability/test_histories.py"),
    *("tests/integration/test_deadline.py", "tests/integration/test_nights.py"),
    *("tests/local/test_runbook.py", "tests/local/test_demo.py", "tests/performance/test_bench.py"),
)
"""The longest, the longest first: what starts last must be short, or one process ends after the others."""


def unit(nodeid: str) -> str:
    """The name of what runs in one process, in one go: a group's tests, or else a file's."""
    for name, pattern in TOGETHER:
        if re.match(pattern, nodeid):
            return name
    return nodeid.partition("::")[0]


def by_length(name: str) -> int:
    """A key that sorts units of work."""
    return FIRST.index(name) if name in FIRST else len(FIRST)


class Schedule(LoadScopeScheduling):
    """Hands out units of work in the order in which their first tests were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The same in each process, or xdist refuses to distribute."""
    items.sort(key=lambda item: by_length(unit(item.nodeid)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two processes a core: half of their time is waiting, for a socket or another process."""
    return 2 * (os.cpu_count() or 1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Schedule:
    config.option.loadscopereorder = False  # by number of tests, which says nothing of their length
    return Schedule(config, log)
