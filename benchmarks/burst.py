"""3: a thousand marked at once, beside the daemon's loop, Cloud Custodian and the code before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmarks import before
from benchmarks.bench import Bench
from benchmarks.figures import Goal, by_turns, shown, spread, table
from benchmarks.process import Code, Measured
from benchmarks.rivals import custodian
from benchmarks.servers import Servers, Span
from benchmarks.settings import BACKEND_SECONDS

TITLE = "The burst"
COUNT, FEW = 1_000, 100
DAEMONS_COUNT = 60
"""The daemon's loop is measured with fewer: each costs it the same."""
CONCURRENCY = 8
"""BACKEND_CONCURRENCY at its default (contract, section 2)."""


def measure(bench: Bench) -> dict[str, Any]:
    """Rounds of everyone by turns, each on an account of its own."""
    count = FEW if bench.quick else COUNT
    daemons = 20 if bench.quick else DAEMONS_COUNT
    found = by_turns(
        bench.rounds(3),
        {
            "ours": lambda: _handler(bench, bench.code, count),
            "few": lambda: _handler(bench, bench.code, FEW),
            "daemon": lambda: daemon(bench, daemons),
            **_before(bench, count),
            **_custodian_too(bench, count),
        },
    )
    ours, theirs = found["ours"], found["daemon"]
    last = ours[-1]
    return {
        "count": count,
        "few count": FEW,
        "daemon count": daemons,
        **{kind: _spreads(rounds) for kind, rounds in found.items()},
        "peak": max(o["peak"] for o in ours),
        "bytes logged": last["written"],
        "calls": last["calls"],
        "connections": last["connections"],
        "faster": spread(d["each"] * count / o["wall"] for o, d in zip(ours, theirs, strict=True)),
        "of custodian": _of_custodian(ours, found.get("custodian")),
    }


def _before(bench: Bench, count: int) -> dict[str, Any]:
    if (code := bench.code_before) is None:
        return {}
    return {
        "before": lambda: _handler(bench, code, count),
        "few before": lambda: _handler(bench, code, FEW),
    }


def _custodian_too(bench: Bench, count: int) -> dict[str, Any]:
    if not custodian.available():
        return {}
    return {"custodian": lambda: _custodian(bench.servers, count)}


def _spreads(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of what was measured the median; of what was counted the last round's."""
    last = rounds[-1]
    return {
        name: spread(one[name] for one in rounds) if isinstance(value, float) else value
        for name, value in last.items()
        if isinstance(value, float) or name.endswith("calls")
    }


def _of_custodian(ours: Sequence[Any], cloud: Sequence[Any] | None) -> dict[str, float] | None:
    if cloud is None:
        return None
    return spread(o["ec2"] / c["ec2"] for o, c in zip(ours, cloud, strict=True))


def _handler(bench: Bench, code: Code, count: int) -> dict[str, Any]:
    """A process that has done an idle run before: boto3 is loaded, and clients made, in the burst."""
    servers = bench.servers
    servers.reset()
    environment = servers.environment(MAX_TERMINATIONS_PER_RUN=str(count))
    with Measured("benchmarks.subjects.termination", environment, code) as handler:
        handler.do()
        servers.mark(count)
        servers.backend.forget_calls()
        figures = handler.do()
    spans, seen = servers.aws.spans(), servers.backend.seen()
    if figures.returned["terminated"] != count:
        raise RuntimeError(f"not all were terminated and reported: {figures.returned}")
    return {
        "wall": figures.walls[0],
        "each": figures.walls[0] / count,
        "cpu": figures.cpus[0] / count,
        "ec2": lasted([span for span in spans if span.service == "ec2"]),
        "peak": figures.peak,
        "written": figures.written,
        "calls": dict(sorted(Counter(span.operation for span in spans).items())),
        "backend calls": seen["calls"],
        "connections": seen["connections"],
    }


def daemon(bench: Bench, count: int) -> dict[str, Any]:
    """The daemon's loop over so many: seconds, and of cpu, for each."""
    servers = bench.servers
    servers.reset()
    with Measured("benchmarks.rivals.daemon", servers.environment(), bench.code) as loop:
        servers.mark(count)
        figures = loop.do()
    return {"each": figures.walls[0] / count, "cpu": figures.cpus[0] / count}


def _custodian(servers: Servers, count: int) -> dict[str, Any]:
    servers.reset()
    servers.mark(count)
    wall, cpu = custodian.terminate_all(servers.aws.environment())
    spans = servers.aws.spans()
    return {
        "wall": wall,
        "cpu": cpu / count,
        "ec2": lasted(spans),
        "calls": dict(Counter(span.operation for span in spans)),
    }


def lasted(spans: Sequence[Span]) -> float:
    """Seconds from the first call's arrival to the last answer."""
    return max(s.end for s in spans) - min(s.begin for s in spans) if spans else 0.0


def goals(found: dict[str, Any]) -> list[Goal]:
    """The issue's rows of the burst, and a bound on the calls."""
    count, ours, few = found["count"], found["ours"], found["few"]
    wall, cpu = ours["wall"]["median"], ours["cpu"]["median"]
    floor = count * BACKEND_SECONDS / CONCURRENCY
    why = (
        f"{count:,} reports of 10 ms, {CONCURRENCY} at once, take {floor:.2f} s by themselves; one "
        f"interpreter works {cpu * count:.2f} s of the {wall:.2f}"
    )
    times = [
        Goal(
            f"cpu for each of {n:,} at once",
            each["cpu"]["median"] * 1e3,
            limit,
            " ms",
            before.slower(each["cpu"], found.get(old, {}).get("cpu"), then, 1e3, " ms"),
        )
        for n, each, old, limit, then in (
            (count, ours, "before", 1.25, 1.77),
            (found["few count"], few, "few before", 2.0, 4.5),
        )
    ]
    goals = [
        *times,
        Goal(
            f"{count:,} at once: times faster than the daemon's loop",
            found["faster"]["median"],
            27,
            "",
            why,
            at_least=True,
        ),
        Goal("calls to EC2 in a burst", ec2_calls(ours["calls"]), 20, "", "batches are too small"),
        Goal(
            "connections to the backend in a burst",
            found["connections"],
            CONCURRENCY,
            "",
            "connections are not kept",
        ),
    ]
    if (ratio := found["of custodian"]) is not None:
        other = found["custodian"]
        why = (
            f"{ours['ec2']['median']:.2f} s for {ec2_calls(ours['calls'])} calls, against "
            f"{other['ec2']['median']:.2f} s for {ec2_calls(other['calls'])}; the emulator's own work, "
            "one call after another, is part of both"
        )
        goals.append(
            Goal("EC2's part against Cloud Custodian's", ratio["median"], 0.5, " times", why)
        )
    return goals


def ec2_calls(calls: dict[str, int]) -> int:
    """How many of these were for EC2."""
    return sum(n for name, n in calls.items() if "Instances" in name)


def describe(found: dict[str, Any]) -> str:
    """What was measured, as tables."""
    count, few = found["count"], found["few count"]
    rows = []
    for kind, name, number in (
        ("ours", "this function", count),
        ("before", before.NAME, count),
        ("daemon", f"the daemon's loop (measured with {found['daemon count']}, scaled)", count),
        ("custodian", "Cloud Custodian's `terminate` (whole program; it reports nothing)", count),
        ("few", f"this function, {few}", few),
        ("few before", f"{before.NAME}, {few}", few),
    ):
        if (at := found.get(kind)) is not None:
            seconds = at.get("wall") or {k: v * count for k, v in at["each"].items()}
            calls = ec2_calls(at["calls"]) if "calls" in at else number
            to_backend = sum(at["backend calls"].values()) if "backend calls" in at else number + 1
            to_backend = 0 if kind == "custodian" else to_backend
            part = shown(at["ec2"]) if "ec2" in at else ""
            rows.append(
                [name, shown(seconds), part, shown(at["cpu"], 1e3), f"{calls:,}", f"{to_backend:,}"]
            )
    kinds = ", ".join(f"{name} {number:,}" for name, number in found["calls"].items())
    head = ["", "seconds", "EC2's part, s", "cpu each, ms", "calls to EC2", "to the backend"]
    return (
        f"{count:,} marked instances in three zones; 40 ms to EC2, 10 ms to the backend, 5 ms to "
        "DynamoDB. The function runs in a process that has only done an idle run before, with "
        f"`MAX_TERMINATIONS_PER_RUN={count}` and everything else at its default, on a whole cpu. EC2's "
        "part is the time from its first call's arrival to its last answer, at the server.\n\n"
        + table(head, rows)
        + f"\n\n{found['faster']['median']:.1f} times the daemon's speed "
        f"({found['faster']['low']:.1f}-{found['faster']['high']:.1f}). Calls to AWS: {kinds}; "
        f"{found['connections']} connections to the backend. "
        f"Memory {found['peak'] / 1e6:.0f} MB at the most, {found['bytes logged'] / 1e3:.0f} KB of log."
    )
