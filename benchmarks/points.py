"""The measured points, in the order of the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

from benchmarks import agents, artifact, burst, cold, drain, growth, housekeeping, idle, money
from benchmarks.bench import Bench
from benchmarks.figures import Goal


class Point(Protocol):
    """What each of the modules has."""

    TITLE: str

    def measure(self, bench: Bench) -> dict[str, Any]:
        """Figures that JSON can hold."""

    def goals(self, found: dict[str, Any]) -> Sequence[Goal]:
        """The point's goals, judged by the figures."""

    def describe(self, found: dict[str, Any]) -> str:
        """The figures as Markdown."""


ALL: dict[str, Point] = {
    module.__name__.rpartition(".")[2]: cast("Point", module)
    for module in (idle, cold, burst, drain, growth, artifact, money, housekeeping, agents)
}
