"""5: from one instance to ten thousand: time, cpu, memory and calls."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmarks.bench import Bench
from benchmarks.burst import daemon, ec2_calls
from benchmarks.figures import Goal, shown, spread, table
from benchmarks.process import Measured
from benchmarks.servers import LEDGER_CALLS

TITLE = "Growth"
COUNTS = (1, 10, 100, 1_000, 10_000)
DAEMONS_COUNT = 30
SLACK = 1.1
"""How much more an instance of the largest run may cost than one of a tenth of it."""


def measure(bench: Bench) -> dict[str, Any]:
    """Runs of each size by turns, each in a process of its own that has done an idle run."""
    counts = COUNTS[:4] if bench.quick else COUNTS
    rounds, loops = [], []
    for _ in range(2):
        rounds.append([_run(bench, count) for count in counts])
        loops.append(daemon(bench, DAEMONS_COUNT)["each"])
    runs = [_together(runs) for runs in zip(*rounds, strict=True)]
    return {"runs": runs, "daemon": {"count": DAEMONS_COUNT, "each": spread(loops)}}


def _together(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The median of several runs of one size; calls and memory hardly differ."""
    times = {key: statistics.median(run[key] for run in runs) for key in ("wall", "cpu")}
    return {**runs[-1], **times, "peak": max(run["peak"] for run in runs)}


def _run(bench: Bench, count: int) -> dict[str, Any]:
    servers = bench.servers
    servers.reset()
    environment = servers.environment(MAX_TERMINATIONS_PER_RUN="10000", BENCH_TIMEOUT="900")
    with Measured("benchmarks.subjects.termination", environment, bench.code) as handler:
        idle = handler.do().peak
        servers.mark(count)
        servers.backend.forget_calls()
        figures = handler.do()
    calls = Counter(span.operation for span in servers.aws.spans())
    return {
        "count": count,
        "terminated": figures.returned["terminated"],
        "wall": figures.walls[0],
        "cpu": figures.cpus[0],
        "peak": figures.peak,
        "idle peak": idle,
        "ec2 calls": ec2_calls(calls),
        "ledger calls": sum(n for name, n in calls.items() if name in LEDGER_CALLS),
        "backend calls": sum(servers.backend.seen()["calls"].values()),
    }


def goals(found: dict[str, Any]) -> list[Goal]:
    """Nothing worse than linear; under 200 MB at ten thousand."""
    runs = found["runs"]
    last = runs[-1]
    tenth = next(run for run in runs if run["count"] * 10 == last["count"])
    goals = [
        Goal(
            f"{kind} per instance at {last['count']:,} against {tenth['count']:,}",
            (last[key] / last["count"]) / (tenth[key] / tenth["count"]),
            SLACK,
            " times",
            f"{last[key] / last['count'] * 1e3:.2f} ms against "
            f"{tenth[key] / tenth['count'] * 1e3:.2f} ms",
        )
        for key, kind in (("wall", "time"), ("cpu", "cpu"))
    ]
    each = (last["peak"] - last["idle peak"]) / last["count"]
    why = f"{last['idle peak'] / 1e6:.0f} MB before the run, and {each / 1e3:.1f} KB an instance"
    return [
        *goals,
        Goal(f"memory at {last['count']:,}", last["peak"] / 1e6, 200, " MB", why),
    ]


def describe(found: dict[str, Any]) -> str:
    """What was measured, as a table."""
    rows = [
        [
            f"{run['count']:,}",
            f"{run['wall']:.2f}",
            f"{run['wall'] / run['count'] * 1e3:,.2f}",
            f"{run['cpu'] / run['count'] * 1e3:,.2f}",
            f"{run['peak'] / 1e6:.0f}",
            f"{run['ec2 calls'] / run['count']:.4g}",
            f"{run['ledger calls'] / run['count']:.4g}",
            f"{run['backend calls'] / run['count']:.4g}",
        ]
        for run in found["runs"]
    ]
    head = ["instances", "seconds", "ms each", "cpu ms each", "MB", "EC2 calls each"]
    return (
        "The median of two runs by turns, the same latencies as in the burst, `MAX_TERMINATIONS_PER_RUN=10000`, and a "
        "time limit of 900 seconds, so that no run is cut short; EC2's buckets are off. The first "
        "runs pay for loading boto3.\n\n"
        + table([*head, "ledger calls each", "backend calls each"], rows)
        + f"\n\nThe daemon's loop, by turns, takes {shown(found['daemon']['each'], 1e3, 1)} ms for each, however "
        f"many they are (measured with {found['daemon']['count']}), with one call to EC2 and one to the backend."
    )
