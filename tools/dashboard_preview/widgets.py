"""A dashboard's widgets as what is to be drawn: graphs, tables, alarms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tools.dashboard_preview import insights
from tools.dashboard_preview.errors import CannotDrawError, WidgetError
from tools.dashboard_preview.expressions import Widget, evaluate
from tools.dashboard_preview.metrics import Metric, Metrics, Series
from tools.dashboard_preview.rows import Row, known, written_out
from tools.dashboard_preview.template import Dashboard, Template

Json = Any

NO_DATA = "no data"
ONLY_IN_AWS = "only in AWS"
_COLOURS = (
    *("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd"),
    *("#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"),
)
"""The console's own, in its order."""
_ALARM_COLOUR = "#d62728"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What CloudWatch would have got in the drawn time.

    Attributes:
        metrics: the function's own, and those of AWS's that could be measured.
        groups: log lines by log group, the oldest first.
        start: the first moment that is drawn (Unix time in seconds).
        end: the moment after the last one.
    """

    metrics: Metrics
    groups: Mapping[str, Sequence[insights.Line]]
    start: float
    end: float

    def last(self, span: timedelta) -> Recorded:
        """What a dashboard sees that looks back so far."""
        start = max(self.start, self.end - span.total_seconds())
        first = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        groups = {
            name: [line for line in lines if line["@timestamp"] >= first]
            for name, lines in self.groups.items()
        }
        return Recorded(self.metrics, groups, start, self.end)


@dataclass(frozen=True, slots=True)
class Drawn:
    """One line of a graph: points so many seconds apart; `note` says why it has none."""

    label: str
    colour: str
    points: Series
    period: int
    right: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line across a graph."""

    value: float
    label: str
    colour: str
    right: bool


@dataclass(frozen=True, slots=True)
class Axis:
    """How a vertical axis is bounded and called."""

    low: float | None = None
    high: float | None = None
    label: str = ""

    @classmethod
    def of(cls, written: Mapping[str, Json]) -> Axis:
        """Read it; the console's word on units is left to the label."""
        known("the axis", written, {"min", "max", "label", "showUnits"})
        return cls(written.get("min"), written.get("max"), written.get("label", ""))


@dataclass(frozen=True, slots=True)
class Graph:
    """A metric widget."""

    title: str
    lines: tuple[Drawn, ...]
    levels: tuple[Level, ...]
    stacked: bool
    left: Axis
    right: Axis
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Listing:
    """A log widget."""

    title: str
    table: insights.Table


@dataclass(frozen=True, slots=True)
class Alarms:
    """An alarm widget: the alarms' names. Their states are CloudWatch's to judge."""

    title: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """A widget's content and where it stands on the grid of 24 columns."""

    x: int
    y: int
    width: int
    height: int
    content: Graph | Listing | Alarms


def read(dashboard: Dashboard, template: Template, recorded: Recorded) -> list[Placed]:
    """Everything that the dashboard shows of what was recorded.

    Raises:
        WidgetError: a widget holds something that is not known here; it is named.
    """
    reader = _Reader(dashboard, template, recorded.last(dashboard.span))
    placed: list[Placed] = []
    for widget in dashboard.widgets:
        title = widget.get("properties", {}).get("title", f"{len(placed) + 1} from the top")
        try:
            content = reader.content(widget["type"], widget["properties"])
            place = widget["x"], widget["y"], widget["width"], widget["height"]
        except CannotDrawError as error:
            raise WidgetError(title, str(error)) from None
        except KeyError as error:
            raise WidgetError(title, f"{error} is missing") from None
        placed.append(Placed(*place, content))
    return placed


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the properties of one widget."""

    dashboard: Dashboard
    template: Template
    recorded: Recorded

    def content(self, kind: str, properties: Mapping[str, Json]) -> Graph | Listing | Alarms:
        match kind:
            case "metric":
                return self._graph(properties)
            case "log":
                known("the widget", properties, {"title", "region", "view", "query"})
                if properties.get("view", "table") != "table":
                    raise CannotDrawError(f"the view {properties['view']!r} is not known here")
                table = insights.query(properties["query"], self.recorded.groups)
                return Listing(properties["title"], table)
            case "alarm":
                known("the widget", properties, {"title", "alarms"})
                names = tuple(map(self.template.alarm_name, properties["alarms"]))
                return Alarms(properties["title"], names)
        raise CannotDrawError(f"the type {kind!r} is not known here")

    def _graph(self, properties: Mapping[str, Json]) -> Graph:
        names = {"title", "region", "view", "stat", "period", "stacked", "metrics"}
        known("the widget", properties, names | {"yAxis", "annotations", "legend"})
        if properties.get("view", "timeSeries") != "timeSeries":
            raise CannotDrawError(f"the view {properties['view']!r} is not known here")
        axes = properties.get("yAxis", {})
        known("yAxis", axes, {"left", "right"})
        return Graph(
            title=properties["title"],
            lines=tuple(self._lines(properties)),
            levels=tuple(_levels(properties.get("annotations", {}))),
            stacked=properties.get("stacked", False),
            left=Axis.of(axes.get("left", {})),
            right=Axis.of(axes.get("right", {})),
            start=self.recorded.start,
            end=self.recorded.end,
        )

    def _lines(self, properties: Mapping[str, Json]) -> Iterator[Drawn]:
        rows = list(written_out(properties["metrics"]))
        shown = []
        for row, found in zip(rows, self._values(rows, properties), strict=True):
            if not row.options.get("visible", True):
                continue
            if isinstance(found, dict):
                shown.append((row, row.label, found))
                continue
            # Each metric's line of an array is called after both.
            metrics = [one for one in rows if one.metric]
            for metric, series in zip(metrics, found, strict=True):
                label = f"{row.options.get('label', '')} {metric.label}".strip()
                shown.append((metric, label, series))
        for place, (row, label, points) in enumerate(shown):
            yield Drawn(
                label=label,
                colour=row.options.get("color", _COLOURS[place % len(_COLOURS)]),
                points=points,
                period=_period(row, properties),
                right=row.options.get("yAxis") == "right",
                note="" if points else self._absence(row),
            )

    def _values(
        self, rows: Sequence[Row], properties: Mapping[str, Json]
    ) -> list[Series | list[Series]]:
        """Of every row. An expression may name rows that come after it."""
        series = {row.id: self._series(row, properties) for row in rows if row.metric}
        metrics = [series[row.id] for row in rows if row.metric]
        arrays: dict[str, list[Series]] = {}
        waiting = [row for row in rows if not row.metric]
        while waiting:
            ready = [row for row in waiting if not row.names & {other.id for other in waiting}]
            if not ready:
                raise CannotDrawError(f"expressions in a circle: {[row.id for row in waiting]}")
            for row in ready:
                times = self._times(_period(row, properties))
                made = evaluate(row.options["expression"], Widget(series, metrics, times))
                if isinstance(made, dict):
                    series[row.id] = made
                else:
                    arrays[row.id] = made
                waiting.remove(row)
        return [arrays[row.id] if row.id in arrays else series[row.id] for row in rows]

    def _series(self, row: Row, properties: Mapping[str, Json]) -> Series:
        assert row.metric  # noqa: S101 - the caller's condition
        chosen = {k: self.dashboard.chosen.get(k, v) for k, v in row.metric.dimensions}
        metric = Metric(row.metric.namespace, row.metric.name, frozenset(chosen.items()))
        stat = row.options.get("stat", properties.get("stat", "Average"))
        recorded = self.recorded
        return recorded.metrics.series(
            metric, stat, _period(row, properties), recorded.start, recorded.end
        )

    def _times(self, period: int) -> range:
        first = int(self.recorded.start // period) * period
        return range(first, int(self.recorded.end), period)

    def _absence(self, row: Row) -> str:
        """Nothing was sent; or somebody else would send it, and here is nobody else."""
        metrics = self.recorded.metrics
        if row.metric is None or row.metric.namespace in metrics.own:
            return NO_DATA
        sent = (row.metric.namespace, row.metric.name) in metrics.names()
        return NO_DATA if sent else ONLY_IN_AWS


def _period(row: Row, properties: Mapping[str, Json]) -> int:
    """Seconds: the row's own, the widget's, or CloudWatch's default."""
    return int(row.options.get("period", properties.get("period", 300)))


def _levels(annotations: Mapping[str, Json]) -> Iterator[Level]:
    known("annotations", annotations, {"horizontal"})
    for one in annotations.get("horizontal", []):
        known("an annotation", one, {"value", "label", "yAxis", "color"})
        yield Level(
            value=one["value"],
            label=one.get("label", ""),
            colour=one.get("color", _ALARM_COLOUR),
            right=one.get("yAxis") == "right",
        )
