"""8: an account of 2,000 images and 10,000 snapshots."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

from benchmarks import before
from benchmarks.bench import Bench
from benchmarks.figures import Goal, by_turns, shown, spread, table
from benchmarks.process import Code, Measured

TITLE = "Housekeeping"
IMAGES, SNAPSHOTS = 2_000, 10_000
GOING = {"images": 30, "snapshots": 20}
MOST_CALLS = 250
"""What the tests allow such an estate (tests/integration/test_housekeeping_estate.py)."""


def measure(bench: Bench) -> dict[str, Any]:
    """A run, and by turns the least that one must do: list the images and snapshots, page by page."""
    images, snapshots = (200, 1_000) if bench.quick else (IMAGES, SNAPSHOTS)
    kinds = {
        "ours": ("benchmarks.subjects.housekeeping", bench.code),
        "bare": ("benchmarks.rivals.bare_look", bench.code),
    }
    if (old := bench.code_before) is not None:
        kinds["before"] = ("benchmarks.subjects.housekeeping", old)
    found = by_turns(
        bench.rounds(3),
        {
            kind: partial(_measured, bench, *how, images=images, snapshots=snapshots)
            for kind, how in kinds.items()
        },
    )
    return {
        "images": images,
        "snapshots": snapshots,
        **{
            kind: {
                "wall": spread(one["wall"] for one in rounds),
                "cpu": spread(one["cpu"] for one in rounds),
                "peak": max(one["peak"] for one in rounds),
                "calls": rounds[-1]["calls"],
            }
            for kind, rounds in found.items()
        },
        "gone": found["ours"][-1]["gone"],
        "going": found["ours"][-1]["going"],
        "ratio": spread(
            o["wall"] / b["wall"] for o, b in zip(found["ours"], found["bare"], strict=True)
        ),
    }


def _measured(
    bench: Bench, module: str, code: Code, *, images: int, snapshots: int
) -> dict[str, Any]:
    servers = bench.servers
    servers.reset()
    going = servers.aws.fill_library(images, snapshots, GOING["images"], GOING["snapshots"])
    servers.aws.forget_calls()
    with Measured(module, servers.environment(), code) as process:
        figures = process.do()
    spans = servers.aws.spans()
    return {
        "wall": figures.walls[0],
        "cpu": figures.cpus[0],
        "peak": figures.peak,
        "calls": dict(sorted(Counter(span.operation for span in spans).items())),
        "gone": servers.aws.removed(),
        "going": going,
    }


def goals(found: dict[str, Any]) -> list[Goal]:
    """Twice the bare look; a bound on the calls; the exact number that should go."""
    ours, bare = found["ours"], found["bare"]
    calls = sum(ours["calls"].values())
    top = max(ours["calls"], key=lambda name: ours["calls"][name])
    old = found.get("before")
    return [
        Goal(
            f"housekeeping over {found['images']:,} + {found['snapshots']:,} against the bare look",
            found["ratio"]["median"],
            2,
            " times",
            f"{ours['wall']['median']:.2f} s and {calls} calls against {bare['wall']['median']:.2f} s "
            f"and {sum(bare['calls'].values())}; cpu {ours['cpu']['median']:.2f} s against "
            f"{bare['cpu']['median']:.2f}"
            + (f"; the code before takes {old['wall']['median']:.2f} s" if old else ""),
        ),
        Goal(
            "calls to AWS in a housekeeping run",
            calls,
            MOST_CALLS,
            "",
            f"{ours['calls'][top]} of them are {top}",
        ),
        Goal(
            "images and snapshots deleted of those that should go",
            found["gone"],
            found["going"],
            "",
            "some were kept",
            at_least=True,
        ),
    ]


def describe(found: dict[str, Any]) -> str:
    """What was measured, as a table."""
    names = {
        "ours": "a run",
        "before": before.NAME,
        "bare": "boto3's pages of images and snapshots alone",
    }
    rows = [
        [
            name,
            sum(found[kind]["calls"].values()),
            shown(found[kind]["wall"]),
            shown(found[kind]["cpu"]),
            f"{found[kind]['peak'] / 1e6:.0f}",
        ]
        for kind, name in names.items()
        if kind in found
    ]
    kinds = ", ".join(f"{name} {number}" for name, number in found["ours"]["calls"].items())
    return (
        f"{found['images']:,} images and {found['snapshots']:,} snapshots of which "
        f"{GOING['images']} and {GOING['snapshots']} may go (and the images' own snapshots), 40 ms to "
        "AWS, on a whole cpu; a new process, so that it loads boto3 as a cold start does.\n\n"
        + table(["", "calls to AWS", "seconds", "cpu seconds", "MB"], rows)
        + f"\n\n{shown(found['ratio'])} times the bare look. Calls: {kinds}."
    )
