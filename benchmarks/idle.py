"""1: a run with nothing to do, beside a bare GET of the same list and the code before."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from benchmarks import before
from benchmarks.bench import Bench
from benchmarks.figures import Goal, shown, spread, table
from benchmarks.process import Code, Figures, Measured
from benchmarks.settings import AGENT, BACKEND_SECONDS

TITLE = "The idle run"
LATENCIES = {"at once": 0.0, "after 10 ms": BACKEND_SECONDS}
RUNS = 40
"""Runs of each kind in one round."""
MANY = 10
"""Agents of a run for several."""
FUNCTION = "benchmarks.subjects.termination"


def measure(bench: Bench) -> dict[str, Any]:
    """Every kind of run by turns, warm, at each latency of the backend."""
    return {
        name: _at(bench, latency, bench.rounds(7 if latency else 11))
        for name, latency in LATENCIES.items()
    }


def agents(count: int) -> str:
    """`AGENT_ID` of so many agents, the benchmark's own first."""
    return ",".join([AGENT, *(f"agent-{number}" for number in range(2, count + 1))])


def _at(bench: Bench, latency: float, rounds: int) -> dict[str, Any]:
    servers, code = bench.servers, bench.code
    servers.reset(backend=latency)
    environment = servers.environment()
    kinds: dict[str, tuple[str, dict[str, str], Code]] = {
        "ours": (FUNCTION, environment, code),
        "bare": ("benchmarks.rivals.bare_get", environment, code),
        "many": (FUNCTION, {**environment, "AGENT_ID": agents(MANY)}, code),
    }
    if (old := bench.code_before) is not None:
        kinds["before"] = (FUNCTION, environment, old)
    with ExitStack() as opened:
        running = {kind: opened.enter_context(Measured(*how)) for kind, how in kinds.items()}
        for one in running.values():
            one.do(5)  # fetches the token, opens the connection
        servers.aws.forget_calls()
        rounds_of = {kind: list[Figures]() for kind in running}
        for _ in range(rounds):
            for kind, one in running.items():
                rounds_of[kind].append(one.do(RUNS))
        aws_calls = len(servers.aws.spans())
        counts = {kind: _sent(bench, one) for kind, one in running.items()}
    found = {kind: _figures(each) | counts[kind] for kind, each in rounds_of.items()}
    walls = [_walls(rounds_of[kind]) for kind in ("ours", "bare")]
    cpus = [_cpus(rounds_of[kind]) for kind in ("many", "ours")]
    return {
        **found,
        "ratio": spread(a / b for a, b in zip(*walls, strict=True)),
        "added": spread(a - b for a, b in zip(*walls, strict=True)),
        "cpu of many": spread(a / b for a, b in zip(*cpus, strict=True)),
        "aws calls": aws_calls,
    }


def _sent(bench: Bench, process: Measured) -> dict[str, Any]:
    """What one run sends to the backend."""
    bench.servers.backend.forget_calls()
    process.do()
    seen = bench.servers.backend.seen()
    return {"backend calls": sum(seen["calls"].values()), "bytes sent": seen["bytes"]}


def _walls(rounds: Sequence[Figures]) -> list[float]:
    return [statistics.median(each.walls) for each in rounds]


def _cpus(rounds: Sequence[Figures]) -> list[float]:
    return [statistics.mean(each.cpus) for each in rounds]


def _figures(rounds: Sequence[Figures]) -> dict[str, Any]:
    return {
        "wall": spread(_walls(rounds)),
        "cpu": spread(_cpus(rounds)),
        "bytes logged": rounds[-1].written / RUNS,
        "peak": rounds[-1].peak,
    }


def goals(found: dict[str, Any]) -> list[Goal]:
    """1.06 times the bare GET, 0.8 ms of cpu, three times that for ten agents, and no call to AWS."""
    slow, fast = found["after 10 ms"], found["at once"]
    added = slow["added"]["median"] * 1e3
    own = (slow["ours"]["cpu"]["median"] - slow["bare"]["cpu"]["median"]) * 1e3
    old = fast.get("before")
    each = (fast["many"]["cpu"]["median"] - fast["ours"]["cpu"]["median"]) / (MANY - 1) * 1e3
    return [
        Goal(
            "idle run against a bare GET, answer after 10 ms",
            slow["ratio"]["median"],
            1.06,
            " times",
            f"a run adds {added:.2f} ms to the GET, {own:.2f} ms of it cpu of its own"
            + (f"; the code before adds {_added_before(slow):.2f}" if old else ""),
        ),
        Goal(
            "cpu of an idle run, one agent",
            fast["ours"]["cpu"]["median"] * 1e3,
            0.8,
            " ms",
            before.slower(fast["ours"]["cpu"], old and old["cpu"], 0.76, 1e3, " ms"),
        ),
        Goal(
            f"cpu of an idle run for {MANY} agents against one",
            fast["cpu of many"]["median"],
            3,
            " times",
            f"each agent beyond the first costs {each:.2f} ms: a GET over TLS, whose bare form takes "
            f"{fast['bare']['cpu']['median'] * 1e3:.2f} ms, and a thread's turn",
        ),
        Goal(
            "calls to AWS in idle runs with a warm token",
            slow["aws calls"],
            0,
            "",
            "an idle run asks AWS",
        ),
    ]


def _added_before(at: dict[str, Any]) -> float:
    return float(at["before"]["wall"]["median"] - at["bare"]["wall"]["median"]) * 1e3


def describe(found: dict[str, Any]) -> str:
    """What was measured, as a table."""
    names = {
        "ours": "a run for one agent",
        "many": f"a run for {MANY} agents",
        "before": before.NAME,
        "bare": "a bare GET of the list",
    }
    rows = [
        [f"{name}, answer {latency}", shown(at[kind]["wall"], 1e3), shown(at[kind]["cpu"], 1e3)]
        for latency, at in found.items()
        for kind, name in names.items()
        if kind in at
    ]
    at = found["after 10 ms"]
    ours, bare = at["ours"], at["bare"]
    return (
        "A warm function whose list is empty, and a GET of the same list by urllib3 over a kept "
        f"connection, both over TLS, by turns, {RUNS} each in a round; milliseconds, the median of "
        "the rounds' (lowest-highest).\n\n"
        + table(["", "wall, ms", "cpu, ms"], rows)
        + f"\n\nWith an answer after 10 ms a run takes {shown(at['ratio'])} times as long as the bare GET. It "
        f"makes {ours['backend calls']} HTTP call (for {MANY} agents {at['many']['backend calls']}) and "
        f"{at['aws calls']} calls to AWS, sends {ours['bytes sent']:.0f} bytes (the bare GET "
        f"{bare['bytes sent']:.0f}) and logs {ours['bytes logged']:.0f}. The process holds "
        f"{ours['peak'] / 1e6:.0f} MB, the bare GET's {bare['peak'] / 1e6:.0f}. Cpu costs more where a "
        "process has just waited: the bare GET shows it as well."
    )
