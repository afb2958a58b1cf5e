"""Which test runs which lines: so that a change is tried on those that can notice it, and on no others."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from tools.mutants.mutations import Mutation

BUDGET_SECONDS = 30.0
"""The time of tests that one change is tried on; the quickest are taken first."""

Lines = dict[str, set[int]]
"""The lines that ran, and the first ones of the functions that did, by file, relative to the folder of sources."""


@dataclass(eq=False)  # pytest keeps its plugins by their identity
class Reach:
    """What each test ran, and how long it took: a plugin of pytest's while it is found out.

    Each line is told once a test (Python 3.12's `sys.monitoring`): next to nothing of the tests' time.
    """

    sources: str
    lines: dict[str, Lines] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _now: Lines = field(default_factory=lambda: defaultdict(set))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Iterator[None]:
        """Watch all threads."""
        monitoring: Any = vars(sys)["monitoring"]
        tool, events = monitoring.COVERAGE_ID, monitoring.events
        monitoring.use_tool_id(tool, "reach")

        def ran(code: CodeType, line: int) -> object:
            if code.co_filename.startswith(self.sources):
                self._now[str(Path(code.co_filename).relative_to(self.sources))].add(line)
            return monitoring.DISABLE

        monitoring.register_callback(tool, events.LINE, ran)
        monitoring.register_callback(
            tool, events.PY_START, lambda code, _: ran(code, code.co_firstlineno)
        )
        monitoring.set_events(tool, events.LINE | events.PY_START)
        try:
            return (yield)
        finally:
            monitoring.free_tool_id(tool)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Whose lines are told from here on; a test with parameters is one test."""
        self._now = self.lines.setdefault(item.nodeid.partition("[")[0], defaultdict(set))
        vars(sys)["monitoring"].restart_events()
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called for set-up, call and teardown."""
        self.seconds[report.nodeid.partition("[")[0]] += report.duration


def tests_for(
    file: str, mutation: Mutation, lines: Mapping[str, Lines], seconds: Mapping[str, float]
) -> list[str]:
    """The tests that reach a change in this file, the quickest first, within the budget.

    Not every line of an expression is told: where none ran this one, those that ran the function reach it. What
    an import runs may be noticed by all who use the file, and of a file of constants alone nobody is seen to:
    then it is tried on all.
    """

    def ran(line: int) -> list[str]:
        return [test for test, of in lines.items() if line in of.get(file, ())]

    if mutation.function:
        reached = ran(mutation.line) or ran(mutation.function)
    else:
        reached = [test for test, of in lines.items() if of.get(file)] or list(lines)
    chosen: list[str] = []
    spent = 0.0
    for test in sorted(reached, key=lambda test: seconds.get(test, 0.0)):
        spent += seconds.get(test, 0.0)
        if chosen and spent > BUDGET_SECONDS:
            break
        chosen.append(test)
    return chosen
