"""3: a thousand marked at once, beside the daemon's loop and Cloud Custodian."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmarks.bench import Bench
from benchmarks.figures import Goal, shown, spread, table
from benchmarks.process import Measured
from benchmarks.rivals import custodian
from benchmarks.servers import LEDGER_CALLS, Servers, Span
from benchmarks.settings import BACKEND_SECONDS

TITLE = "The burst"
COUNT = 1_000
DAEMONS_COUNT = 100
"""The daemon's loop is measured with fewer: each costs it the same."""
CONCURRENCY = 8
"""BACKEND_CONCURRENCY at its default (contract, section 2)."""


def measure(bench: Bench) -> dict[str, Any]:
    """Rounds of the function, the daemon's loop and Cloud Custodian, each on an account of its own."""
    count = 100 if bench.quick else COUNT
    daemons = 20 if bench.quick else DAEMONS_COUNT
    ours, theirs, cloud = [], [], []
    for _ in range(bench.rounds(5)):
        ours.append(_handler(bench, count))
        theirs.append(_daemon(bench, daemons))
        if custodian.available():
            cloud.append(_custodian(bench.servers, count))
    last = ours[-1]
    faster = [d["each"] * count / o["wall"] for o, d in zip(ours, theirs, strict=True)]
    return {
        "count": count,
        "wall": spread(o["wall"] for o in ours),
        "cpu each": spread(o["cpu"] / count for o in ours),
        "ec2": spread(o["ec2"] for o in ours),
        "ledger": spread(o["ledger"] for o in ours),
        "peak": max(o["peak"] for o in ours),
        "bytes logged": last["written"],
        "calls": last["calls"],
        "backend calls": last["backend calls"],
        "terminated": [o["terminated"] for o in ours],
        "daemon count": daemons,
        "daemon each": spread(d["each"] for d in theirs),
        "daemon cpu each": spread(d["cpu"] for d in theirs),
        "faster": spread(faster),
        "custodian": _beside_custodian(ours, cloud),
    }


def _beside_custodian(ours: Sequence[Any], cloud: Sequence[Any]) -> dict[str, Any] | None:
    if not cloud:
        return None
    return {
        "ec2": spread(c["ec2"] for c in cloud),
        "program": spread(c["wall"] for c in cloud),
        "calls": cloud[-1]["calls"],
        "ratio": spread(o["ec2"] / c["ec2"] for o, c in zip(ours, cloud, strict=True)),
    }


def _handler(bench: Bench, count: int) -> dict[str, Any]:
    """A process that has done an idle run before: boto3 is loaded, and clients made, in the burst."""
    servers = bench.servers
    servers.reset()
    environment = servers.environment(MAX_TERMINATIONS_PER_RUN=str(count))
    with Measured("benchmarks.subjects.termination", environment, bench.code) as handler:
        handler.do()
        servers.mark(count)
        servers.backend.forget_calls()
        figures = handler.do()
    spans = servers.aws.spans()
    calls = Counter(span.operation for span in spans)
    return {
        "wall": figures.walls[0],
        "cpu": figures.cpus[0],
        "peak": figures.peak,
        "written": figures.written,
        "terminated": figures.returned["terminated"],
        "ec2": lasted([span for span in spans if span.service == "ec2"]),
        "ledger": sum(s.end - s.begin for s in spans if s.operation in LEDGER_CALLS),
        "calls": dict(sorted(calls.items())),
        "backend calls": servers.backend.seen()["calls"],
    }


def _daemon(bench: Bench, count: int) -> dict[str, Any]:
    servers = bench.servers
    servers.reset()
    with Measured("benchmarks.rivals.daemon", servers.environment(), bench.code) as daemon:
        servers.mark(count)
        figures = daemon.do()
    return {"each": figures.walls[0] / count, "cpu": figures.cpus[0] / count}


def _custodian(servers: Servers, count: int) -> dict[str, Any]:
    servers.reset()
    servers.mark(count)
    wall = custodian.terminate_all(servers.aws.environment())
    spans = servers.aws.spans()
    return {
        "wall": wall,
        "ec2": lasted(spans),
        "calls": dict(Counter(span.operation for span in spans)),
    }


def lasted(spans: Sequence[Span]) -> float:
    """Seconds from the first call's arrival to the last answer."""
    return max(s.end for s in spans) - min(s.begin for s in spans) if spans else 0.0


def goals(found: dict[str, Any]) -> list[Goal]:
    """25 times the daemon, half of Custodian's time, 1.5 ms of cpu each, 20 calls to EC2."""
    count, wall = found["count"], found["wall"]["median"]
    floor = count * BACKEND_SECONDS / CONCURRENCY
    own = found["cpu each"]["median"] * 1e3
    cpu = found["cpu each"]["median"] * count
    calls = found["calls"]
    ledger = sum(number for name, number in calls.items() if name in LEDGER_CALLS)
    why = (
        f"{count:,} reports of 10 ms, {CONCURRENCY} at once, take {floor:.2f} s by themselves; "
        f"EC2's part takes {found['ec2']['median']:.2f} s, and one interpreter works "
        f"{cpu:.2f} s of the {wall:.2f}, among others for {ledger:,} calls to the ledger"
    )
    goals = [
        Goal(
            "times faster than the daemon's loop",
            found["faster"]["median"],
            25,
            "",
            why,
            at_least=True,
        ),
        Goal(
            "cpu for each of the burst's instances",
            own,
            1.5,
            " ms",
            f"it is for {count:,} reports, {ledger:,} calls to the ledger, {count:,} log lines, and "
            "for loading boto3 once",
        ),
        Goal("calls to EC2 in a burst", ec2_calls(calls), 20, "", "batches are too small"),
    ]
    if (other := found["custodian"]) is not None:
        goals.insert(
            1,
            Goal(
                "EC2's part against Cloud Custodian's",
                other["ratio"]["median"],
                0.5,
                " times",
                f"{found['ec2']['median']:.2f} s for {ec2_calls(calls)} calls, against "
                f"{other['ec2']['median']:.2f} s for {ec2_calls(other['calls'])}; the emulator's own "
                "work, one call after another, is part of both",
            ),
        )
    return goals


def ec2_calls(calls: dict[str, int]) -> int:
    """How many of these were for EC2."""
    return sum(n for name, n in calls.items() if "Instances" in name)


def describe(found: dict[str, Any]) -> str:
    """What was measured, as tables."""
    count = found["count"]
    daemon = {k: v * count for k, v in found["daemon each"].items()}
    rows: list[list[object]] = [
        [
            "this function",
            shown(found["wall"]),
            shown(found["ec2"]),
            shown(found["cpu each"], 1e3),
            ec2_calls(found["calls"]),
            f"{sum(found['backend calls'].values()):,}",
        ],
        [
            f"the daemon's loop (measured with {found['daemon count']}, scaled)",
            shown(daemon),
            "",
            shown(found["daemon cpu each"], 1e3),
            f"{count:,}",
            f"{count + 1:,}",
        ],
    ]
    if (other := found["custodian"]) is not None:
        rows.append(
            [
                "Cloud Custodian's `terminate` (whole program; it reports nothing)",
                shown(other["program"]),
                shown(other["ec2"]),
                "",
                ec2_calls(other["calls"]),
                0,
            ]
        )
    kinds = ", ".join(f"{name} {number:,}" for name, number in found["calls"].items())
    head = ["", "seconds", "EC2's part, seconds", "cpu each, ms", "calls to EC2", "to the backend"]
    return (
        f"{count:,} marked instances in three zones; 40 ms to EC2, 10 ms to the backend, 5 ms to "
        "DynamoDB. The function runs in a process that has only done an idle run before, with "
        f"`MAX_TERMINATIONS_PER_RUN={count}` and everything else at its default. EC2's part is the "
        "time from its first call's arrival to its last answer, at the server.\n\n"
        + table(head, rows)
        + f"\n\n{found['faster']['median']:.1f} times the daemon's speed "
        f"({found['faster']['low']:.1f}-{found['faster']['high']:.1f}). Calls to AWS: {kinds}. "
        f"Memory {found['peak'] / 1e6:.0f} MB at the most, {found['bytes logged'] / 1e3:.0f} KB of log."
    )
