"""Which test runs which lines: so that a change is tried on those that can notice it, and on no others."""

from __future__ import annotations

import inspect
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

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
    imported: Lines = field(default_factory=lambda: defaultdict(set))
    """The first lines of the functions that ran while the tests were collected."""
    _now: Lines = field(default_factory=lambda: defaultdict(set))

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Iterator[None]:
        """Watch what imports call, in this thread and all others."""
        self._now = self.imported
        with self._watching("PY_START"):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Iterator[None]:
        """Watch the tests, and what they start."""
        with self._watching("PY_START", "LINE"):
            return (yield)

    @contextmanager
    def _watching(self, *events: str) -> Iterator[None]:
        monitoring: Any = vars(sys)["monitoring"]
        tool = monitoring.COVERAGE_ID
        monitoring.use_tool_id(tool, "reach")
        watched = [getattr(monitoring.events, name) for name in events]

        def ran(code: CodeType, line: int) -> object:
            if code.co_filename.startswith(self.sources):
                self._now[str(Path(code.co_filename).relative_to(self.sources))].add(line)
            return monitoring.DISABLE

        def started(code: CodeType, _: int) -> object:
            is_function = code.co_flags & inspect.CO_NEWLOCALS
            return ran(code, code.co_firstlineno) if is_function else monitoring.DISABLE

        for event, tell in zip(watched, (started, ran), strict=False):
            monitoring.register_callback(tool, event, tell)
        monitoring.set_events(tool, sum(watched))
        try:
            yield
        finally:
            for event in watched:
                monitoring.register_callback(tool, event, None)
            monitoring.set_events(tool, 0)
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


class Found(NamedTuple):
    """What is found out of the tests, as in `Reach`."""

    lines: Mapping[str, Lines]
    seconds: Mapping[str, float]
    imported: Lines

    def at_import(self, file: str, mutation: Mutation) -> bool:
        """Whether an import may run the change: where it stands, or by calling the function that it is in."""
        return not mutation.function or mutation.function in self.imported.get(file, ())

    def tests_for(self, file: str, mutation: Mutation) -> list[str]:
        """The tests that reach a change in this file, the quickest first, within the budget.

        Not every line of an expression is told: where none ran this one, those that ran the function reach it.
        What an import runs may be noticed by all who use the file, and of a file of constants alone nobody is
        seen to: then it is tried on all.
        """
        if self.at_import(file, mutation):
            reached = [test for test, of in self.lines.items() if of.get(file)] or list(self.lines)
        else:
            reached = self._ran(file, mutation.line) or self._ran(file, mutation.function)
        chosen: list[str] = []
        spent = 0.0
        for test in sorted(reached, key=lambda test: self.seconds.get(test, 0.0)):
            spent += self.seconds.get(test, 0.0)
            if chosen and spent > BUDGET_SECONDS:
                break
            chosen.append(test)
        return chosen

    def _ran(self, file: str, line: int) -> list[str]:
        return [test for test, of in self.lines.items() if line in of.get(file, ())]
