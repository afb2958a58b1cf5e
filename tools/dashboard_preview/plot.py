"""A graph as SVG, the way CloudWatch's console draws it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator

from tools.dashboard_preview.metrics import Series
from tools.dashboard_preview.widgets import Axis, Drawn, Graph

DPI = 96
"""CSS's own."""
_FADED, _GRID = "#687078", "#eaeded"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # texts stay texts: they can be searched, and the browser's font draws them
    "svg.hashsalt": "dashboard",
    "font.size": 8.5,
    "axes.edgecolor": "#aab7b8",
    "axes.labelcolor": _FADED,
    "xtick.color": _FADED,
    "ytick.color": _FADED,
}


def svg(graph: Graph, width: int, height: int) -> str:
    """Draw it, so many pixels wide and high, without title and legend."""
    with mpl.rc_context(_STYLE):
        layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.04)
        figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, layout=layout)
        left = figure.add_subplot()
        _furnish(left, graph)
        sides = {False: left}
        if any(line.right for line in graph.lines) or any(level.right for level in graph.levels):
            sides[True] = left.twinx()
            sides[True].spines[["top", "left", "bottom"]].set_visible(False)
            sides[True].spines["right"].set_color("#aab7b8")
        for right, axes in sides.items():
            axis = graph.right if right else graph.left
            _plot(axes, axis, [x for x in graph.lines if x.right is right and x.points], graph)
            for level in graph.levels:
                if level.right is right:
                    _level(axes, level.value, level.label, level.colour)
            _bound(axes, axis)
        if not any(line.points for line in graph.lines):
            left.text(
                0.5, 0.5, "No data available", transform=left.transAxes, ha="center", color=_FADED
            )
            left.set_yticks([])
        written = io.StringIO()
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    text = written.getvalue()
    return text[text.index("<svg") :]


def _furnish(axes: Axes, graph: Graph) -> None:
    axes.set_xlim(_day(graph.start), _day(graph.end))
    locator = AutoDateLocator(minticks=4, maxticks=8, tz=UTC)  # type: ignore[no-untyped-call] # as it is
    axes.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator, tz=UTC, show_offset=False)  # type: ignore[no-untyped-call] # as it is
    formatter.formats = ["%Y", "%m/%d", "%m/%d", "%H:%M", "%H:%M", "%S"]
    formatter.zero_formats = ["", "%Y", "%m/%d", "%m/%d", "%H:%M", "%H:%M"]
    axes.xaxis.set_major_formatter(formatter)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)


def _plot(axes: Axes, axis: Axis, lines: Sequence[Drawn], graph: Graph) -> None:
    if graph.stacked and lines:
        times = sorted({time for line in lines for time in line.points})
        heights = [[line.points.get(time, 0.0) for time in times] for line in lines]
        xs = [_day(time) for time in times]
        colours = [line.colour for line in lines]
        axes.stackplot(xs, *heights, colors=colours, alpha=0.35)
    floor: dict[int, float] = {}
    for line in lines:
        points = line.points
        if graph.stacked:
            floor = {t: floor.get(t, 0.0) + points.get(t, 0.0) for t in {*floor, *points}}
            points = dict(sorted(floor.items()))
        for piece in _pieces(points, line.period):
            alone = len(piece) == 1
            low, high = min(piece.values()), max(piece.values())
            inside = low >= (axis.low or low) and high <= (axis.high or high)
            axes.plot(
                [_day(time) for time in piece],
                list(piece.values()),
                color=line.colour,
                linewidth=1.5,
                marker="o" if alone else None,
                markersize=3.2,
                clip_on=not inside,  # half of a line at an edge would be cut off
            )


def _pieces(points: Series, period: int) -> list[Series]:
    """Points that follow on one another are joined; CloudWatch bridges no missing period."""
    pieces: list[Series] = []
    before = None
    for time, value in points.items():
        if before is None or time - before != period:
            pieces.append({})
        pieces[-1][time] = value
        before = time
    return pieces


def _level(axes: Axes, value: float, label: str, colour: str) -> None:
    axes.axhline(value, color=colour, linewidth=1.2)
    axes.annotate(
        label,
        (1, value),
        xycoords=("axes fraction", "data"),
        xytext=(-4, 3),
        textcoords="offset points",
        ha="right",
        color=colour,
        fontsize=8,
    )


def _bound(axes: Axes, axis: Axis) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(_short))
    axes.set_ylim(axis.low, axis.high)
    axes.tick_params(length=0)
    if axis.label:
        axes.set_ylabel(axis.label)


def _short(value: float, _: int | None) -> str:
    return EngFormatter(sep="")(value) if abs(value) >= 1000 else f"{value:g}"


def _day(time: float) -> float:
    return float(date2num(datetime.fromtimestamp(time, UTC)))  # type: ignore[no-untyped-call] # as it is
