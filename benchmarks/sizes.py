"""What a run takes at each memory size: with Lambda's share of a cpu for it."""

from __future__ import annotations

import json
import re
import statistics
from contextlib import nullcontext
from typing import Any

from benchmarks import bill, quota
from benchmarks.bench import Bench
from benchmarks.figures import spread
from benchmarks.idle import agents
from benchmarks.process import Code, Measured
from benchmarks.settings import ROOT

SIZES = (128, 256, 512, 1024)
SMALL = 256
"""MB at which the goal for a full run stands: 0.145 of a cpu."""
AGENTS = (1, 10, 60)
"""In one run; 60 are about as many as a function's environment carries."""
BURST = 500
"""Instances of the burst at each size: MAX_TERMINATIONS_PER_RUN's default."""
BACKLOG = 10_000
"""Instances listed at once, for the memory."""
PAUSE = 0.1
"""Seconds of rest before each run, so that it begins with its whole share of cpu, as every 60 s."""
MIB = 1024 * 1024
FUNCTION = "benchmarks.subjects.termination"


def measure(bench: Bench) -> dict[str, Any]:
    """The same runs with the cpu of each size."""
    limited = quota.available()
    sizes = {str(size): _size(bench, bench.code, size, limited=limited) for size in SIZES}
    full = []
    for _ in range(bench.rounds(3)):
        full.append(_full_run(bench, bench.code, limited=limited))
        if (code := bench.code_before) is not None:
            full[-1]["before"] = _full_run(bench, code, limited=limited)["wall"]
    return {
        "cgroup": limited,
        "sizes": sizes,
        "full": {
            kind: spread(one[kind] for one in full)
            for kind in ("wall", "before")
            if kind in full[0]
        },
        "backlog peak": _backlog_peak(bench),
        "debug bytes": _idle_bytes(bench, "DEBUG"),
        "template": bill.monitoring((ROOT / "monitoring.yaml").read_text()),
        "memory of the template": _memory_size((ROOT / "template.yaml").read_text()),
    }


def _size(bench: Bench, code: Code, memory: int, *, limited: bool) -> dict[str, Any]:
    """Milliseconds of idle runs and of one that ends one instance, seconds of a burst."""
    servers, burst = bench.servers, 40 if bench.quick else BURST
    servers.reset()
    environment = servers.environment()
    stretch = 0.0 if limited else quota.FULL_CPU_MB / memory - 1
    with Measured(FUNCTION, environment, code) as handler:
        handler.do(3)
        servers.mark(1)
        handler.do()  # loads boto3, and makes clients
        with quota.cpu_of(memory, handler.pid) if limited else nullcontext():
            single = []
            for _ in range(bench.rounds(5)):
                servers.mark(1)
                single.append(handler.do(1, pause=PAUSE))
            units = servers.aws.ledger_units()
            servers.mark(burst)
            many = handler.do()
        metrics = _metrics(handler.output())
    idle = {str(n): _idle(bench, code, n, memory, limited=limited) for n in AGENTS}
    return {
        "idle ms": {n: one["ms"] for n, one in idle.items()},
        "idle bytes": {n: one["bytes"] for n, one in idle.items()},
        "single ms": statistics.median(_stretched(f, stretch) for f in single) * 1e3,
        "burst s": _stretched(many, stretch),
        "all reported": many.returned["terminated"] == burst,
        "peak": many.peak,
        "single bytes": statistics.median(f.written for f in single),
        "units": units,
        "metrics": metrics,
    }


def _idle(bench: Bench, code: Code, count: int, memory: int, *, limited: bool) -> dict[str, float]:
    """A run with nothing to do, for so many agents."""
    bench.servers.backend.mark([])
    environment = bench.servers.environment(AGENT_ID=agents(count))
    stretch = 0.0 if limited else quota.FULL_CPU_MB / memory - 1
    with Measured(FUNCTION, environment, code) as handler:
        handler.do(3)
        with quota.cpu_of(memory, handler.pid) if limited else nullcontext():
            runs = [handler.do(1, pause=PAUSE) for _ in range(bench.rounds(9))]
    return {
        "ms": statistics.median(_stretched(one, stretch) for one in runs) * 1e3,
        "bytes": statistics.median(one.written for one in runs),
    }


def _full_run(bench: Bench, code: Code, *, limited: bool) -> dict[str, float]:
    """A warm function's run of the cap's default, with the cpu of a small one; every end is reported."""
    servers, burst = bench.servers, 40 if bench.quick else BURST
    servers.reset()
    with Measured(FUNCTION, servers.environment(), code) as handler:
        handler.do()
        servers.mark(1)
        handler.do()
        servers.mark(burst)
        with quota.cpu_of(SMALL, handler.pid) if limited else nullcontext():
            done = handler.do(1, pause=PAUSE)
    if done.returned["terminated"] != burst:
        raise RuntimeError(f"not all were terminated and reported: {done.returned}")
    return {"wall": _stretched(done, 0.0 if limited else quota.FULL_CPU_MB / SMALL - 1)}


def _stretched(figures: Any, stretch: float) -> float:  # noqa: ANN401 - Figures
    """Without a quota: the waiting as it was, the cpu's work as much longer as the share is small."""
    return float(figures.walls[0] + figures.cpus[0] * stretch)


def _metrics(output: str) -> int:
    """How many custom metrics the runs have sent, by their names and dimensions."""
    names = set()
    for line in output.splitlines():
        if '"_aws"' in line:
            for directive in json.loads(line)["_aws"]["CloudWatchMetrics"]:
                names |= {metric["Name"] for metric in directive["Metrics"]}
    return len(names)


def _backlog_peak(bench: Bench) -> int:
    """Bytes of memory that a run at the default cap needs when ten thousand are listed."""
    servers = bench.servers
    servers.reset()
    with Measured("benchmarks.subjects.termination", servers.environment(), bench.code) as handler:
        servers.mark(1_000 if bench.quick else BACKLOG)
        return handler.do().peak


def _idle_bytes(bench: Bench, level: str) -> float:
    bench.servers.reset()
    environment = bench.servers.environment(POWERTOOLS_LOG_LEVEL=level)
    with Measured("benchmarks.subjects.termination", environment, bench.code) as handler:
        handler.do(3)
        return handler.do(5).written / 5


def _memory_size(template: str) -> int:
    found = re.search(
        r"^  MemorySize:\n    Type: Number\n    Default: (\d+)$", template, re.MULTILINE
    )
    if found is None:
        raise ValueError("template.yaml has no parameter MemorySize with a default")
    return int(found[1])
