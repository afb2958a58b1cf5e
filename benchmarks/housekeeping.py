"""8: an estate of 2,000 images and 10,000 snapshots."""

from __future__ import annotations

from collections import Counter
from typing import Any

from benchmarks.bench import Bench
from benchmarks.figures import Goal, shown, spread, table
from benchmarks.process import Measured

TITLE = "Housekeeping"
IMAGES, SNAPSHOTS = 2_000, 10_000
GOING = {"images": 30, "snapshots": 20}
MOST_CALLS = 250
"""What the tests allow such an estate (tests/integration/test_housekeeping_estate.py)."""


def measure(bench: Bench) -> dict[str, Any]:
    """A run, and by turns the least that one must do: list the images and snapshots, page by page."""
    images, snapshots = (200, 1_000) if bench.quick else (IMAGES, SNAPSHOTS)
    ours, bare = [], []
    for _ in range(bench.rounds(3)):
        ours.append(_run(bench, images, snapshots))
        bare.append(_look(bench, images, snapshots))
    last = ours[-1]
    return {
        "images": images,
        "snapshots": snapshots,
        "wall": spread(o["wall"] for o in ours),
        "cpu": spread(o["cpu"] for o in ours),
        "peak": max(o["peak"] for o in ours),
        "calls": last["calls"],
        "gone": last["gone"],
        "going": last["going"],
        "bare wall": spread(b["wall"] for b in bare),
        "bare cpu": spread(b["cpu"] for b in bare),
        "bare peak": max(b["peak"] for b in bare),
        "bare calls": bare[-1]["calls"],
        "ratio": spread(o["wall"] / b["wall"] for o, b in zip(ours, bare, strict=True)),
    }


def _run(bench: Bench, images: int, snapshots: int) -> dict[str, Any]:
    return _measured(bench, "benchmarks.subjects.housekeeping", images, snapshots)


def _look(bench: Bench, images: int, snapshots: int) -> dict[str, Any]:
    return _measured(bench, "benchmarks.rivals.bare_look", images, snapshots)


def _measured(bench: Bench, module: str, images: int, snapshots: int) -> dict[str, Any]:
    servers = bench.servers
    servers.reset()
    going = servers.aws.fill_library(images, snapshots, GOING["images"], GOING["snapshots"])
    servers.aws.forget_calls()
    with Measured(module, servers.environment(), bench.code) as process:
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
    """A bound on the calls; the exact number that should go."""
    calls = sum(found["calls"].values())
    top = max(found["calls"], key=lambda name: found["calls"][name])
    return [
        Goal(
            "calls to AWS in a housekeeping run",
            calls,
            MOST_CALLS,
            "",
            f"{found['calls'][top]} of them are {top}",
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
    rows = [
        [
            "a run",
            sum(found["calls"].values()),
            shown(found["wall"]),
            shown(found["cpu"]),
            f"{found['peak'] / 1e6:.0f}",
        ],
        [
            "boto3's pages of images and snapshots alone",
            sum(found["bare calls"].values()),
            shown(found["bare wall"]),
            shown(found["bare cpu"]),
            f"{found['bare peak'] / 1e6:.0f}",
        ],
    ]
    kinds = ", ".join(f"{name} {number}" for name, number in found["calls"].items())
    return (
        f"{found['images']:,} images and {found['snapshots']:,} snapshots of which "
        f"{GOING['images']} and {GOING['snapshots']} may go (and the images' own snapshots), 40 ms to AWS; a new process, so "
        "that it loads boto3 as a cold start does.\n\n"
        + table(["", "calls to AWS", "seconds", "cpu seconds", "MB"], rows)
        + f"\n\n{shown(found['ratio'])} times the bare look. Calls: {kinds}."
    )
