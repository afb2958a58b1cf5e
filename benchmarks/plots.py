"""The plots of docs/performance/, one function a point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks import before, bill, money, prices
from benchmarks.drain import allowed
from tools.ec2_emulator.buckets import LIMITS, TERMINATE_INSTANCES

OURS, RIVAL, THIRD, GOAL = "#1f6f8b", "#c8553d", "#8d99ae", "#588157"
mpl.rcParams.update(
    {
        "figure.dpi": 110,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "font.size": 9,
        "legend.frameon": False,
    }
)


def draw(name: str, found: dict[str, Any], folder: Path) -> list[str]:
    """Draw a point's plots; the files' names."""
    if name not in _PLOTS:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    figure = _PLOTS[name](found)
    path = folder / f"{name}.png"
    # Without a date and versions in it, the same figures give the same file.
    figure.savefig(path, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    return [path.name]


def _bars(
    axes: Axes, names: Sequence[str], figures: Sequence[dict[str, float]], colors: Sequence[str]
) -> None:
    medians = [each["median"] for each in figures]
    below = [each["median"] - each["low"] for each in figures]
    above = [each["high"] - each["median"] for each in figures]
    axes.barh(names, medians, xerr=[below, above], color=colors, error_kw={"lw": 1, "capsize": 2})
    axes.invert_yaxis()


def _scaled(figure: dict[str, float], by: float) -> dict[str, float]:
    return {key: figure[key] * by for key in ("median", "low", "high")}


def _idle(found: dict[str, Any]) -> Any:  # noqa: ANN401 - matplotlib's Figure
    figure, both = plt.subplots(1, 2, figsize=(9, 2.6), sharey=True)
    kinds = {"ours": "a run", "many": "a run, 10 agents", "before": before.NAME, "bare": "bare GET"}
    for axes, key in zip(both, ("wall", "cpu"), strict=True):
        names, figures, colors = [], [], []
        for latency, at in found.items():
            for kind in (kind for kind in kinds if kind in at):
                names.append(f"{kinds[kind]}, answer {latency}")
                figures.append(_scaled(at[kind][key], 1e3))
                colors.append(_color(kind))
        _bars(axes, names, figures, colors)
        axes.set_title(f"{key}, ms")
    return figure


def _color(kind: str) -> str:
    return OURS if kind in {"ours", "many"} else RIVAL


def _cold(found: dict[str, Any]) -> Any:  # noqa: ANN401
    figure, axes = plt.subplots(figsize=(9, 2.2))
    variants = found["variants"].values()
    names = [one["name"] for one in variants]
    colors = [OURS if name.startswith("this") else RIVAL for name in names]
    inits = [_scaled(one["init"], 1e3) for one in variants]
    _bars(axes, names, inits, colors)
    firsts = [one["first"]["median"] * 1e3 for one in variants]
    lefts = [init["median"] for init in inits]
    axes.barh(names, firsts, left=lefts, color=colors, alpha=0.4)
    axes.set_title("ms to the end of init (dark), and of the first event (light)")
    return figure


def _burst(found: dict[str, Any]) -> Any:  # noqa: ANN401
    figure, axes = plt.subplots(figsize=(9, 2.2))
    bars = {"this function": (found["ours"]["wall"], OURS)}
    if "before" in found:
        bars[before.NAME] = (found["before"]["wall"], RIVAL)
    bars["the daemon's loop"] = (_scaled(found["daemon"]["each"], found["count"]), RIVAL)
    bars["this function, EC2's part"] = (found["ours"]["ec2"], OURS)
    if "custodian" in found:
        bars["Cloud Custodian, EC2's part"] = (found["custodian"]["ec2"], RIVAL)
    _bars(axes, list(bars), *(list(one) for one in zip(*bars.values(), strict=True)))
    axes.set_xscale("log")
    axes.set_title(f"seconds for {found['count']:,} instances (logarithmic)")
    return figure


def _drain(found: dict[str, Any]) -> Any:  # noqa: ANN401
    figure, axes = plt.subplots(figsize=(9, 3))
    done, times, counts = 0, [0.0], [0]
    for at, number in sorted(found["accepted"]):
        done += number
        times.append(at)
        counts.append(done)
    axes.step(times, counts, where="post", color=OURS, label="terminated")
    limit = LIMITS[TERMINATE_INSTANCES]
    end = allowed(found["count"])
    axes.plot([0, end], [limit.burst, found["count"]], "--", color=GOAL, label="what EC2 allows")
    axes.set(xlabel="seconds", ylabel="instances", ylim=(0, None))
    axes.set_title(f"draining {found['count']:,} under EC2's token buckets")
    axes.legend()
    return figure


def _growth(found: dict[str, Any]) -> Any:  # noqa: ANN401
    figure, (time, memory) = plt.subplots(1, 2, figsize=(9, 3))
    counts = [run["count"] for run in found["runs"]]
    for key, color in (("wall", OURS), ("cpu", RIVAL)):
        each = [run[key] / run["count"] * 1e3 for run in found["runs"]]
        time.loglog(counts, each, "o-", color=color, label=f"this function, {key}")
    daemon = found["daemon"]["each"]["median"] * 1e3
    time.axhline(daemon, ls="--", color=THIRD, label="the daemon's loop, wall")
    time.set(xlabel="instances", title="ms for each instance")
    time.legend()
    memory.semilogx(counts, [run["peak"] / 1e6 for run in found["runs"]], "o-", color=OURS)
    memory.axhline(200, ls="--", color=GOAL)
    memory.set(xlabel="instances", title="memory, MB; the goal is below the line", ylim=(0, None))
    return figure


def _artifact(found: dict[str, Any]) -> Any:  # noqa: ANN401
    figure, axes = plt.subplots(figsize=(9, 2.8))
    packages = {"the function": found["function"], **found["packages"]}
    names = sorted(packages, key=lambda name: -packages[name]["zipped"])
    sources = [packages[name]["zipped without bytecode"] / 1024 for name in names]
    more = [packages[name]["zipped"] / 1024 - s for name, s in zip(names, sources, strict=True)]
    axes.barh(names, sources, color=OURS, label="sources and libraries")
    axes.barh(names, more, left=sources, color=THIRD, label="bytecode")
    axes.invert_yaxis()
    axes.set_title("KiB, zipped")
    axes.legend()
    return figure


def _money(found: dict[str, Any]) -> Any:  # noqa: ANN401
    figure, axes = plt.subplots(figsize=(9, 2.4))
    usage = money.usage(found, money.choice(found))
    names = [f"{daily:,} terminations a day" if daily else "idle" for daily in bill.DAILY]
    months = [bill.month(usage, daily) for daily in bill.DAILY]
    left = [0.0] * len(months)
    colors = [OURS, "#62a8ac", THIRD, "#e0a458", "#b5c99a", RIVAL]
    for kind, color in zip(months[0], colors, strict=True):
        values = [month[kind] for month in months]
        axes.barh(names, values, left=left, color=color, label=kind)
        left = [a + b for a, b in zip(left, values, strict=True)]
    axes.barh(["the daemon's machine"], [prices.DAEMON_MONTH], color="#444444")
    axes.invert_yaxis()
    axes.set_title(f"dollars a month at {usage.memory} MB, list prices")
    axes.legend(ncols=2, loc="upper right")
    return figure


_PLOTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "idle": _idle,
    "cold": _cold,
    "burst": _burst,
    "drain": _drain,
    "growth": _growth,
    "artifact": _artifact,
    "money": _money,
}
