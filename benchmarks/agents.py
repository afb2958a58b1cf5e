"""9: a run with nothing to do, for many agents: one, ten, sixty, and sixty of which some hang."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.managers import BaseManager
from typing import Any, cast

from benchmarks import bill, prices, quota
from benchmarks.backend_server import BackendServer
from benchmarks.bench import Bench
from benchmarks.figures import Goal, shown, spread, table
from benchmarks.process import Figures, Measured
from benchmarks.settings import BACKEND_SECONDS

TITLE = "Many agents"
MEMORY = 256
"""MB, the template's."""
CASES: dict[str, tuple[int, int]] = {
    "1 agent": (1, 0),
    "10 agents": (10, 0),
    "60 agents": (60, 0),
    "60, one hangs": (60, 1),
    "60, ten hang": (60, 10),
}
"""Agents, and how many of them get no answer to their call."""
RUNS = 10
"""Runs without a hanging agent in one round; of the others there is one."""
LISTS_AT_MOST = 12.0
"""Seconds that all lists together may take (contract, "One run, all agents")."""


class HangingBackend(BackendServer):
    """Never answers the agents of these ids; the others as ever."""

    def __init__(self, *, secure: bool = True) -> None:
        self._silent: frozenset[str] = frozenset()
        super().__init__(secure=secure)

    def hang(self, agent_ids: list[str]) -> None:
        """From now these."""
        self._silent = frozenset(agent_ids)

    def answer(self, head: bytes, body: bytes) -> bytes:
        """Nothing, or the whole answer."""
        answer = super().answer(head, body)
        path = head.split(b" ", 2)[1].decode()
        return b"" if any(f"/{one}/" in path for one in self._silent) else answer


class _Manager(BaseManager):
    pass


_Manager.register("HangingBackend", HangingBackend)


@contextmanager
def _backend() -> Iterator[HangingBackend]:
    """In a process of its own, as the other servers are."""
    with _Manager(ctx=get_context("spawn")) as manager:
        yield cast("HangingBackend", cast("Any", manager).HangingBackend())


def _id(number: int) -> str:
    """As the backend makes them: 36 characters."""
    return f"3f0c2b9e-8c1d-4a57-9f43-{number:012x}"


def measure(bench: Bench) -> dict[str, Any]:
    """Each case by turns with the others, warm."""
    walls: dict[str, list[float]] = {name: [] for name in CASES}
    cpus: dict[str, list[float]] = {name: [] for name in CASES}
    last: dict[str, dict[str, Any]] = {}
    with _backend() as backend:
        for _ in range(bench.rounds(3)):
            for name, (agents, hanging) in CASES.items():
                figures, last[name] = _round(bench, backend, agents, hanging)
                walls[name] += figures.walls
                cpus[name] += figures.cpus
    found = {}
    for name in CASES:
        found[name] = {
            "wall": spread(walls[name]),
            "cpu": spread(cpus[name]),
            "at size": _at_size(walls[name], cpus[name]),
            **last[name],
        }
    return {"cases": found}


def _round(
    bench: Bench, backend: HangingBackend, agents: int, hanging: int
) -> tuple[Figures, dict[str, Any]]:
    """One warm function for these agents: what its runs took, and what came of the last."""
    ids = [_id(number) for number in range(agents)]
    bench.servers.reset()
    backend.reset(latency=BACKEND_SECONDS)
    backend.hang([])
    environment = bench.servers.environment(
        SERVER_URL=backend.url(),
        REQUESTS_CA_BUNDLE=backend.bundle(),
        AGENT_ID=",".join(f"{one}=logical-{one[-4:]}" for one in ids),
    )
    with Measured("benchmarks.subjects.termination", environment, bench.code) as function:
        function.do(5)  # fetches the token, opens the connections
        silent = [
            ids[(7 + number * agents // max(hanging, 1)) % agents] for number in range(hanging)
        ]
        backend.hang(silent)
        backend.forget_calls()
        runs = 1 if hanging else RUNS
        figures = function.do(runs)
    return figures, {
        "lists": backend.seen()["calls"]["list"] / runs,
        "failed": figures.returned.get("agents_failed", 0),
        "bytes": figures.written / runs,
        "peak": figures.peak,
    }


def _at_size(walls: list[float], cpus: list[float]) -> float:
    """Seconds at the template's memory: the waiting as it was, the cpu's work by that size's share longer."""
    stretch = quota.FULL_CPU_MB / MEMORY - 1
    return statistics.median(wall + cpu * stretch for wall, cpu in zip(walls, cpus, strict=True))


def month(case: dict[str, Any]) -> dict[str, float]:
    """Lambda's part of a month of such runs, one a minute: dollars by kind."""
    billed = math.ceil(case["at size"] * 1e3) / 1e3
    return {
        "compute": bill.RUNS * billed * MEMORY / 1024 * prices.LAMBDA_GB_SECOND,
        "requests": bill.RUNS * prices.LAMBDA_REQUEST,
    }


def goals(found: dict[str, Any]) -> list[Goal]:
    """Many agents cost less than as many runs, and a hanging one stops nobody."""
    cases = found["cases"]
    one, sixty = cases["1 agent"], cases["60 agents"]
    rounds = math.ceil(60 / 8)
    least = rounds * BACKEND_SECONDS * 1e3
    return [
        Goal(
            "an idle run for 60 agents against 60 runs for one",
            sixty["wall"]["median"] / (60 * one["wall"]["median"]),
            0.25,
            " times",
            f"60 lists, 8 at once, take {least:.0f} ms by themselves",
        ),
        *(
            Goal(
                f"the lists of {name}",
                cases[name]["wall"]["high"],
                LISTS_AT_MOST + 0.5,
                " s",
                "the run waits for a list longer than it may",
            )
            for name, (_, hanging) in CASES.items()
            if hanging
        ),
        *(
            Goal(
                f"agents without a list, {name}",
                cases[name]["failed"],
                hanging,
                "",
                "those that hang take the others' time",
            )
            for name, (_, hanging) in CASES.items()
        ),
    ]


def describe(found: dict[str, Any]) -> str:
    """What was measured, as a table."""
    rows = []
    for name, case in found["cases"].items():
        cost = month(case)
        rows.append(
            [
                name,
                shown(case["wall"], 1e3, 1),
                shown(case["cpu"], 1e3, 1),
                f"{case['at size'] * 1e3:,.0f}",
                f"{cost['compute']:.2f}",
                f"{sum(cost.values()):.2f}",
                f"{case['lists']:.0f}",
                case["failed"],
                f"{case['bytes']:,.0f}",
            ]
        )
    head = ["", "run, ms", "cpu, ms", f"at {MEMORY} MB, ms", "compute, $", "with requests, $"]
    head += ["calls", "agents failed", "bytes logged"]
    return (
        "A warm function whose agents' lists are empty, a backend that answers after 10 ms, or never, "
        f"the cases by turns, {RUNS} runs in a round (of those that hang, one). {MEMORY} MB are "
        f"{MEMORY / quota.FULL_CPU_MB:.0%} of a cpu: the waiting is taken as it was, the cpu's time "
        f"as that much longer. Dollars of a month are Lambda's arm64 list price of a run a minute, before any free tier.\n\n"
        + table(head, rows)
    )
