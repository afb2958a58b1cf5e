"""Metrics as CloudWatch keeps them: samples by metric, aggregated by period and statistic."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tools.dashboard_preview.errors import CannotDrawError

Series = dict[int, float]
"""Values by the second (Unix time) at which their period begins; a period without data is absent."""
Statistic = Callable[[Sequence[float]], float]

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")
_PLAIN: dict[str, Statistic] = {
    "Sum": math.fsum,
    "Average": lambda values: math.fsum(values) / len(values),
    "Minimum": min,
    "Maximum": max,
    "SampleCount": len,
}


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric is its namespace, name and all of its dimensions: other dimensions, other metric."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]


@dataclass(slots=True)
class Metrics:
    """All samples that were sent.

    Attributes:
        own: namespaces that the function's own lines name.
    """

    own: set[str] = field(default_factory=set)
    _samples: dict[Metric, list[tuple[float, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def put(self, metric: Metric, at: float, values: Sequence[float]) -> None:
        """Add samples of one moment (Unix time in seconds)."""
        self._samples[metric] += [(at, value) for value in values]

    def put_emf(self, line: dict[str, Any]) -> None:
        """Add what a line in the embedded metric format says, once per set of dimensions."""
        at = line["_aws"]["Timestamp"] / 1000
        for directive in line["_aws"]["CloudWatchMetrics"]:
            self.own.add(directive["Namespace"])
            for keys in directive["Dimensions"]:
                dimensions = frozenset((key, line[key]) for key in keys)
                for described in directive["Metrics"]:
                    name = described["Name"]
                    values = line[name] if isinstance(line[name], list) else [line[name]]
                    self.put(Metric(directive["Namespace"], name, dimensions), at, values)

    def names(self) -> set[tuple[str, str]]:
        """Namespace and name of everything that was sent."""
        return {(metric.namespace, metric.name) for metric in self._samples}

    def series(self, metric: Metric, stat: str, period: int, start: float, end: float) -> Series:
        """Aggregate what falls into `start <= time < end`.

        Periods begin at multiples of the period since 1970 in UTC, as CloudWatch's do.

        Raises:
            CannotDrawError: the statistic is not known here.
        """
        aggregate = statistic(stat)
        periods: dict[int, list[float]] = defaultdict(list)
        for at, value in self._samples.get(metric, []):
            if start <= at < end:
                periods[int(at // period) * period].append(value)
        return {begin: float(aggregate(periods[begin])) for begin in sorted(periods)}


def statistic(name: str) -> Statistic:
    """The function that a statistic's name stands for (CloudWatch, "Statistics definitions").

    A percentile is the smallest value that at least so many percent of the samples do not exceed
    (nearest rank). AWS does not publish its formula; between few samples its values may differ.

    Raises:
        CannotDrawError: trimmed means and the like, or no statistic at all.
    """
    if name in _PLAIN:
        return _PLAIN[name]
    match = _PERCENTILE.fullmatch(name)
    if match is None:
        raise CannotDrawError(f"the statistic {name!r} is not known here")
    share = float(match[1]) / 100
    return lambda values: sorted(values)[max(math.ceil(share * len(values) - 1e-9), 1) - 1]
