"""7: dollars a month, from billed milliseconds at each memory size."""

from __future__ import annotations

import json
import math
import re
import statistics
from contextlib import nullcontext
from typing import Any

from benchmarks import bill, prices, quota
from benchmarks.bench import Bench
from benchmarks.bill import DAILY, Usage
from benchmarks.figures import Goal, table
from benchmarks.process import Measured
from benchmarks.settings import ROOT
from local.invoke import TIMEOUT

TITLE = "Money"
SIZES = (128, 256, 512, 1024)
BURST = 500
"""Instances of the burst at each size: MAX_TERMINATIONS_PER_RUN's default."""
BACKLOG = 10_000
"""Instances listed at once, for the memory."""
PAUSE = 0.1
"""Seconds of rest before each run, so that it begins with its whole share of cpu, as every 60 s."""
MIB = 1024 * 1024
HEADROOM = 0.75
"""The most of its memory that a function should need."""


def measure(bench: Bench) -> dict[str, Any]:
    """The same runs with the cpu of each size."""
    limited = quota.available()
    sizes = {str(size): _size(bench, size, limited=limited) for size in SIZES}
    return {
        "cgroup": limited,
        "sizes": sizes,
        "backlog peak": _backlog_peak(bench),
        "debug bytes": _idle_bytes(bench, "DEBUG"),
        "template": bill.monitoring((ROOT / "monitoring.yaml").read_text()),
        "memory of the template": _memory_size((ROOT / "template.yaml").read_text()),
    }


def _size(bench: Bench, memory: int, *, limited: bool) -> dict[str, Any]:
    """Milliseconds of an idle run and of one that ends one instance, seconds of a burst."""
    servers, burst = bench.servers, 40 if bench.quick else BURST
    servers.reset()
    environment = servers.environment()
    with Measured("benchmarks.subjects.termination", environment, bench.code) as handler:
        handler.do(3)
        servers.mark(1)
        handler.do()  # loads boto3, and makes clients
        share = quota.cpu_of(memory, handler.pid) if limited else nullcontext()
        with share:
            idle = [handler.do(1, pause=PAUSE) for _ in range(bench.rounds(15))]
            single = []
            for _ in range(bench.rounds(7)):
                servers.mark(1)
                single.append(handler.do(1, pause=PAUSE))
            units = servers.aws.ledger_units()
            servers.mark(burst)
            many = handler.do()
        metrics = _metrics(handler.output())
    stretch = 0.0 if limited else quota.FULL_CPU_MB / memory - 1
    return {
        "idle ms": statistics.median(_stretched(f, stretch) for f in idle) * 1e3,
        "single ms": statistics.median(_stretched(f, stretch) for f in single) * 1e3,
        "burst s": _stretched(many, stretch),
        "all reported": many.returned["terminated"] == burst,
        "peak": many.peak,
        "idle bytes": statistics.median(f.written for f in idle),
        "single bytes": statistics.median(f.written for f in single),
        "units": units,
        "metrics": metrics,
    }


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


def usage(found: dict[str, Any], memory: int) -> Usage:
    """What one size was measured to use."""
    at = found["sizes"][str(memory)]
    return Usage(
        memory=memory,
        idle_ms=math.ceil(at["idle ms"]),
        single_ms=math.ceil(at["single ms"]),
        idle_bytes=at["idle bytes"],
        single_bytes=at["single bytes"],
        writes=at["units"]["writes"],
        reads=at["units"]["reads"],
        metrics=at["metrics"],
    )


def fits(found: dict[str, Any], memory: int) -> bool:
    """Whether memory suffices with room to spare, and a full run ends within its time limit."""
    at = found["sizes"][str(memory)]
    peak = max(at["peak"], found["backlog peak"])
    ends = at["all reported"] and at["burst s"] <= TIMEOUT
    return bool(ends and peak <= HEADROOM * memory * MIB)


def choice(found: dict[str, Any]) -> int:
    """The cheapest size that fits, at ten terminations a day."""
    fitting = [size for size in SIZES if fits(found, size)] or [SIZES[-1]]
    return min(fitting, key=lambda size: bill.month(usage(found, size), 10)["compute"])


def goals(found: dict[str, Any]) -> list[Goal]:
    """Cheaper than the daemon's machine; the template has the cheapest size that fits."""
    chosen, template = choice(found), found["memory of the template"]
    month = bill.month(usage(found, chosen), 10)
    total = sum(month.values())
    largest = max(month, key=lambda name: month[name])
    costs = {size: bill.month(usage(found, size), 10)["compute"] for size in SIZES}
    goals = [
        Goal(
            "a month with ten terminations a day, against the daemon's machine",
            total / prices.DAEMON_MONTH,
            1,
            " times",
            f"${total:.2f} against ${prices.DAEMON_MONTH:.2f}; the largest part is {largest}, "
            f"${month[largest]:.2f}",
        )
    ]
    why = (
        f"it is {template} MB, and {chosen} would cost ${costs[chosen]:.3f} a month for compute; "
        f"{found['backlog peak'] / MIB:.0f} MiB are needed"
    )
    off = max(template / chosen, chosen / template)
    return [*goals, Goal("the template's MemorySize against the chosen", off, 1, " times", why)]


def describe(found: dict[str, Any]) -> str:
    """What was measured, and the bill."""
    how = (
        "with a cgroup cpu quota of memory / 1,769 MB, the share at which Lambda gives one cpu"
        if found["cgroup"]
        else "not with a quota (no cgroup was writable), but from measured cpu and waiting: the cpu's "
        "part is stretched by 1,769 MB / memory, at which Lambda gives one cpu"
    )
    chosen = choice(found)
    return "\n\n".join(
        [
            (
                f"List prices of {prices.REGION}, {prices.AS_OF}, without any free tier; written down "
                "in `benchmarks/prices.py`, and **to be checked** there. Billed time was measured "
                f"{how}; the backend is 10 ms away, EC2 40, DynamoDB 5. A run every minute; each "
                "termination in a run of its own, which is the dearest way. Housekeeping, once an hour "
                "and off by default, is not in it."
            ),
            _by_size(found),
            (
                f"A run needs {found['backlog peak'] / MIB:.0f} MiB when {BACKLOG:,} are listed. Chosen: "
                f"**{chosen} MB**, the cheapest of which that is at most {HEADROOM:.0%} (Lambda's own "
                f"part of the process comes on top), and which ends {BURST} instances, the cap's "
                f"default, within the time limit of {TIMEOUT:.0f} s. The template's default is {found['memory of the template']} MB."
            ),
            _by_part(found, chosen),
            _effects(found, chosen),
        ]
    )


def _by_size(found: dict[str, Any]) -> str:
    rows = []
    for size in SIZES:
        at, used = found["sizes"][str(size)], usage(found, size)
        rows.append(
            [
                f"{size} MB",
                f"{at['idle ms']:.1f}",
                f"{at['single ms']:.0f}",
                f"{at['burst s']:.1f}",
                f"{at['peak'] / MIB:.0f}",
                *(f"{bill.month(used, daily)['compute']:.3f}" for daily in DAILY),
                "yes" if fits(found, size) else "no",
            ]
        )
    head = ["", "idle, ms", "one instance, ms", f"{BURST} at once, s", "MiB for that"]
    costs = [f"compute at {daily:,} a day, $" if daily else "compute idle, $" for daily in DAILY]
    return table([*head, *costs, "fits"], rows)


def _by_part(found: dict[str, Any], memory: int) -> str:
    months = [bill.month(usage(found, memory), daily) for daily in DAILY]
    rows = [[name, *(f"{month[name]:.3f}" for month in months)] for name in months[0]]
    rows.append(["**together**", *(f"**{sum(month.values()):.2f}**" for month in months)])
    daemon = f"{prices.DAEMON_MONTH:.2f}"
    rows.append(["the daemon on a t4g.nano with 8 GB of disk", *[daemon] * len(DAILY)])
    with_ip = f"{prices.DAEMON_MONTH + prices.IPV4_MONTH:.2f}"
    rows.append(["the same with a public IPv4 address of its own", *[with_ip] * len(DAILY)])
    head = [f"{daily:,} a day" if daily else "idle" for daily in DAILY]
    return table([f"$ a month at {memory} MB", *head], rows)


def _effects(found: dict[str, Any], memory: int) -> str:
    used = usage(found, memory)
    debug = bill.logs(bill.RUNS * (found["debug bytes"] + bill.PLATFORM_BYTES))
    info = bill.logs(bill.RUNS * (used.idle_bytes + bill.PLATFORM_BYTES))
    every = bill.METRICS_AT_MOST * prices.CUSTOM_METRIC_MONTH
    template = found["template"]
    idle = sum(bill.month(used, 0).values())
    return (
        f"Idle runs send no metric. If each run sent all {bill.METRICS_AT_MOST} of the contract's, "
        f"zeros too, they would cost ${every:.2f} a month, {every / idle:.0f} times all the rest of an idle "
        f"month. Logs of idle "
        f"runs cost ${info:.2f} at `INFO` and ${debug:.2f} at `DEBUG`. Beside all this the "
        f"template's monitoring costs ${template['alarms $']:.2f} for {template['alarms']} alarms, "
        f"{template['composite alarms']} of them composite, and up to ${template['dashboards $']:.2f} "
        f"for {template['dashboards']} dashboards, where the account has three others already."
    )
