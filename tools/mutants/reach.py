"""Which test runs which functions: so that a change is tried on those that can notice it, and on no others."""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import pytest

from tools.mutants.mutations import Mutation

BUDGET_SECONDS = 30.0
"""The time of tests that one change is tried on; the quickest are taken first."""

Functions = dict[str, set[int]]
"""The first lines of the functions that ran, by file, relative to the folder of sources."""


@dataclass(eq=False)  # pytest keeps its plugins by their identity
class Reach:
    """What each test ran, and how long it took: a plugin of pytest's while it is found out."""

    sources: str
    functions: dict[str, Functions] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _now: Functions = field(default_factory=lambda: defaultdict(set))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Watch the calls of one test; one with parameters is one test."""
        self._now = self.functions.setdefault(item.nodeid.partition("[")[0], defaultdict(set))
        threading.settrace(self._enter)
        sys.settrace(self._enter)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called for set-up, call and teardown."""
        self.seconds[report.nodeid.partition("[")[0]] += report.duration

    def _enter(self, frame: FrameType, _event: str, _value: object) -> None:
        """Called with each call; None: what happens inside of it is not asked for."""
        name = frame.f_code.co_filename
        if name.startswith(self.sources):
            file = str(Path(name).relative_to(self.sources))
            self._now[file].add(frame.f_code.co_firstlineno)


def tests_for(
    file: str,
    mutation: Mutation,
    functions: Mapping[str, Functions],
    seconds: Mapping[str, float],
) -> list[str]:
    """The tests that reach a change in this file, the quickest first, within the budget.

    What an import runs may be noticed by all who use the file, and of a file of constants alone nobody is seen
    to: then it is tried on all.
    """
    if mutation.function:
        reached = [t for t, ran in functions.items() if mutation.function in ran.get(file, ())]
    else:
        reached = [t for t, ran in functions.items() if ran.get(file)] or list(functions)
    chosen: list[str] = []
    spent = 0.0
    for test in sorted(reached, key=lambda test: seconds.get(test, 0.0)):
        spent += seconds.get(test, 0.0)
        if chosen and spent > BUDGET_SECONDS:
            break
        chosen.append(test)
    return chosen
