"""Figures with their spread, and goals that judge themselves."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any


def spread(samples: Iterable[float]) -> dict[str, float]:
    """The median of some rounds, with the lowest and the highest."""
    values = list(samples)
    return {
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "rounds": len(values),
    }


def by_turns(
    rounds: int, kinds: Mapping[str, Callable[[], dict[str, Any]]]
) -> dict[str, list[dict[str, Any]]]:
    """So many rounds, in each of which every kind is measured once: what slows the machine down meets all."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, measure in kinds.items():
            found[name].append(measure())
    return found


def shown(figure: dict[str, float], scale: float = 1.0, digits: int = 2) -> str:
    """A spread for a table, such as `1.16 (1.14-1.19)`."""
    median, low, high = (f"{figure[k] * scale:,.{digits}f}" for k in ("median", "low", "high"))
    return median if low == high else f"{median} ({low}-{high})"


@dataclass(frozen=True)
class Goal:
    """One goal, and what was measured.

    Args:
        what: the goal in words, without its figure.
        measured: the figure.
        limit: the most that it may be; with `at_least` the least.
        unit: of both, as it is written after a figure.
        why: what keeps it from being met, computed from the same measurement; shown only then.
        at_least: more is better.
    """

    what: str
    measured: float
    limit: float
    unit: str = ""
    why: str = ""
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure is within the limit."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def as_result(self) -> dict[str, Any]:
        """For results.json."""
        return {
            "what": self.what,
            "measured": self.measured,
            "limit": self.limit,
            "unit": self.unit,
            "met": self.met,
        }

    def row(self) -> list[str]:
        """A row of the table of goals."""
        bound = "at least" if self.at_least else "at most"
        verdict = "met" if self.met else f"**missed by {self._missed_by()}**: {self.why}"
        return [
            self.what,
            f"{bound} {_number(self.limit)}{self.unit}",
            f"{_number(self.measured)}{self.unit}",
            verdict,
        ]

    def _missed_by(self) -> str:
        if not self.limit:
            return f"{_number(self.measured)}{self.unit}"
        share = abs(self.measured / self.limit - 1)
        return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def _number(value: float) -> str:
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table in Markdown; every column but the first is aligned to the right."""
    names = list(head)
    lines = [names, ["---", *["---:"] * (len(names) - 1)], *([str(c) for c in r] for r in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
