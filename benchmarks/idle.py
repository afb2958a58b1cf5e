"""1: a run with nothing to do, beside a bare GET of the same list."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.bench import Bench
from benchmarks.figures import Goal, shown, spread, table
from benchmarks.process import Measured
from benchmarks.settings import BACKEND_SECONDS

TITLE = "The idle run"
LATENCIES = {"at once": 0.0, "after 10 ms": BACKEND_SECONDS}
RUNS = 40
"""Runs of each kind in one round."""


def measure(bench: Bench) -> dict[str, Any]:
    """Both kinds of run by turns, warm, at each latency of the backend."""
    return {
        name: _at(bench, latency, bench.rounds(12 if latency else 24))
        for name, latency in LATENCIES.items()
    }


def _at(bench: Bench, latency: float, rounds: int) -> dict[str, Any]:
    servers, code = bench.servers, bench.code
    servers.reset(backend=latency)
    environment = servers.environment()
    with (
        Measured("benchmarks.subjects.termination", environment, code) as handler,
        Measured("benchmarks.rivals.bare_get", environment, code) as bare,
    ):
        handler.do(5)  # fetches the token, opens the connection
        bare.do(5)
        servers.aws.forget_calls()
        servers.backend.reset(latency=latency)
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(handler.do(RUNS))
            theirs.append(bare.do(RUNS))
        handler_bytes = servers.backend.seen()["bytes"]
        calls = servers.backend.seen()["calls"]["list"] / (2 * rounds * RUNS)
        servers.backend.reset(latency=latency)
        bare.do(1)
        bare_bytes = servers.backend.seen()["bytes"]
    walls = [[statistics.median(each.walls) for each in kind] for kind in (ours, theirs)]
    cpus = [[statistics.mean(each.cpus) for each in kind] for kind in (ours, theirs)]
    return {
        "wall": spread(walls[0]),
        "bare wall": spread(walls[1]),
        "ratio": spread(a / b for a, b in zip(*walls, strict=True)),
        "added": spread(a - b for a, b in zip(*walls, strict=True)),
        "cpu": spread(cpus[0]),
        "bare cpu": spread(cpus[1]),
        "aws calls": len(servers.aws.spans()),
        "backend calls": calls,
        "bytes sent": handler_bytes / (rounds * RUNS) - bare_bytes,
        "bytes logged": ours[-1].written / RUNS,
        "peak": ours[-1].peak,
    }


def goals(found: dict[str, Any]) -> list[Goal]:
    """1.1 times the bare GET, under 1 ms of cpu, and no call to AWS."""
    slow, fast = found["after 10 ms"], found["at once"]
    added, cpu = slow["added"]["median"] * 1e3, slow["cpu"]["median"] * 1e3
    own = cpu - slow["bare cpu"]["median"] * 1e3
    why_wall = f"a run adds {added:.2f} ms to the GET, {own:.2f} ms of it cpu of its own"
    why_cpu = (
        f"the bare GET takes {slow['bare cpu']['median'] * 1e3:.2f} ms itself when it has to wait "
        f"for its answer, against {fast['bare cpu']['median'] * 1e3:.2f} ms when it has not; "
        f"a run's own part is {own:.2f} ms"
    )
    fast_own = (fast["cpu"]["median"] - fast["bare cpu"]["median"]) * 1e3
    return [
        Goal(
            "idle run against a bare GET, answer after 10 ms",
            slow["ratio"]["median"],
            1.1,
            " times",
            why_wall,
        ),
        Goal("cpu of an idle run, answer after 10 ms", cpu, 1.0, " ms", why_cpu),
        Goal(
            "cpu of an idle run, answer at once",
            fast["cpu"]["median"] * 1e3,
            1.0,
            " ms",
            f"a run's own part is {fast_own:.2f} ms",
        ),
        Goal(
            "calls to AWS in idle runs with a warm token",
            slow["aws calls"],
            0,
            "",
            "an idle run asks AWS",
        ),
    ]


def describe(found: dict[str, Any]) -> str:
    """What was measured, as a table."""
    rows = [
        [
            f"the backend answers {name}",
            shown(at["wall"], 1e3),
            shown(at["bare wall"], 1e3),
            shown(at["ratio"]),
            shown(at["cpu"], 1e3),
            shown(at["bare cpu"], 1e3),
        ]
        for name, at in found.items()
    ]
    at = found["after 10 ms"]
    return (
        "A warm function whose list is empty, and a GET of the same list by urllib3 over a kept "
        f"connection, by turns, {RUNS} each in a round; milliseconds, the median of the rounds' "
        "(lowest-highest).\n\n"
        + table(["", "run", "bare GET", "ratio", "cpu", "cpu of the GET"], rows)
        + f"\n\nAn idle run makes {at['backend calls']:.0f} HTTP call and {at['aws calls']} calls to "
        f"AWS, sends {at['bytes sent']:.0f} bytes and logs {at['bytes logged']:.0f}. The process "
        f"holds {at['peak'] / 1e6:.0f} MB. Cpu costs more where a process has just waited: the "
        "bare GET shows it as well."
    )
