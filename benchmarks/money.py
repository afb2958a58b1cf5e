"""7: dollars a month, from billed milliseconds at each memory size."""

from __future__ import annotations

import math
from typing import Any

from benchmarks import before, bill, prices, quota, sizes
from benchmarks.bench import Bench
from benchmarks.bill import DAILY, Usage
from benchmarks.figures import Goal, shown, table
from benchmarks.sizes import AGENTS, BACKLOG, BURST, MIB, SIZES, SMALL
from local.invoke import TIMEOUT

TITLE = "Money"
HEADROOM = 0.75
"""The most of its memory that a function should need."""
SHARE_OF_TIME = 0.5
"""The most of its time that a full run should need: the rest is for an EC2 or a backend that is slow."""


def measure(bench: Bench) -> dict[str, Any]:
    """The same runs with the cpu of each size."""
    return sizes.measure(bench)


def usage(found: dict[str, Any], memory: int, count: int = 1) -> Usage:
    """What one size was measured to use, with so many agents."""
    at = found["sizes"][str(memory)]
    return Usage(
        memory=memory,
        idle_ms=math.ceil(at["idle ms"][str(count)]),
        # Each other agent's list costs a busy run what it costs an idle one.
        single_ms=math.ceil(at["single ms"] + at["idle ms"][str(count)] - at["idle ms"]["1"]),
        idle_bytes=at["idle bytes"][str(count)],
        single_bytes=at["single bytes"],
        writes=at["units"]["writes"],
        reads=at["units"]["reads"],
        metrics=at["metrics"],
    )


MONITORING: dict[str, tuple[str, ...]] = {
    "monitoring off": (),
    "monitoring on, dashboards among the account's first three": ("alarms $",),
    "monitoring on, dashboards paid for": ("alarms $", "dashboards $"),
}


def month(
    found: dict[str, Any], memory: int, count: int, daily: int, watched: str = "monitoring off"
) -> float:
    """Dollars a month, for so many agents and terminations a day, with or without monitoring."""
    more: float = sum(found["template"][kind] for kind in MONITORING[watched])
    return sum(bill.month(usage(found, memory, count), daily).values()) + more


def fits(found: dict[str, Any], memory: int) -> bool:
    """Whether memory and time suffice for a full run, with room to spare."""
    at = found["sizes"][str(memory)]
    peak = max(at["peak"], found["backlog peak"])
    ends = at["all reported"] and at["burst s"] <= SHARE_OF_TIME * TIMEOUT
    return bool(ends and peak <= HEADROOM * memory * MIB)


def compute(found: dict[str, Any], memory: int, count: int) -> float:
    """Dollars a month for computing, at ten terminations a day."""
    return bill.month(usage(found, memory, count), 10)["compute"]


def choice(found: dict[str, Any], count: int = 1) -> int:
    """The cheapest size that fits, at ten terminations a day."""
    fitting = [size for size in SIZES if fits(found, size)] or [SIZES[-1]]
    return min(fitting, key=lambda size: compute(found, size, count))


def goals(found: dict[str, Any]) -> list[Goal]:
    """A full run at 256 MB; cheaper than the daemon's machine; the template has the cheapest that fits."""
    chosen, template = choice(found), found["memory of the template"]
    total = month(found, chosen, 1, 10)
    full = found["full"]
    why = f"{chosen} MB is the cheapest that fits; {found['backlog peak'] / MIB:.0f} MiB are needed"
    off = max(template / chosen, chosen / template)
    return [
        Goal(
            f"{BURST} at once at {SMALL} MB ({SMALL / quota.FULL_CPU_MB:.3f} cpu), TLS",
            full["wall"]["median"],
            5.5,
            " s",
            before.slower(full["wall"], full.get("before"), 10.5, 1, " s"),
        ),
        Goal(
            "a month with ten terminations a day, against the daemon's machine",
            total / prices.DAEMON_MONTH,
            1,
            " times",
            f"${total:.2f} against ${prices.DAEMON_MONTH:.2f}",
        ),
        Goal("the template's MemorySize against the chosen", off, 1, " times", why),
    ]


def describe(found: dict[str, Any]) -> str:
    """What was measured, and the bill."""
    how = (
        "with a cgroup cpu quota of memory / 1,769 MB, the share at which Lambda gives one cpu"
        if found["cgroup"]
        else "not with a quota (no cgroup was writable), but from measured cpu and waiting: the cpu's "
        "part is stretched by 1,769 MB / memory, at which Lambda gives one cpu"
    )
    chosen, full = choice(found), found["full"]
    beside = f"; {before.NAME}: {shown(full['before'])} s" if "before" in full else ""
    return "\n\n".join(
        [
            (
                f"List prices of {prices.REGION}, arm64, {prices.AS_OF}, without any free tier; written down "
                "in `benchmarks/prices.py`, and **to be checked** there. Billed time was measured "
                f"{how}, on this machine's x86 cpu; the backend is 10 ms away and speaks TLS, EC2 40 ms, "
                "DynamoDB 5. A run every minute; each termination in a run of its own, which is the "
                "dearest way. Housekeeping, once an hour and off by default, is not in it."
            ),
            _by_size(found),
            (
                f"{BURST} at once at {SMALL} MB, three rounds by turns: {shown(full['wall'])} s{beside}. "
                f"A run needs {found['backlog peak'] / MIB:.0f} MiB when {BACKLOG:,} are listed. Chosen: "
                f"**{chosen} MB**, the cheapest of which that is at most {HEADROOM:.0%} (Lambda's own "
                f"part of the process comes on top), and which ends {BURST} instances, the cap's "
                f"default, within half of the time limit of {TIMEOUT:.0f} s (the rest is for a slow EC2 or backend). The template's default is "
                f"{found['memory of the template']} MB. {_with_agents(found, chosen)}"
            ),
            _by_part(found, chosen),
            _effects(found, chosen),
        ]
    )


def _with_agents(found: dict[str, Any], chosen: int) -> str:
    """Which size is the cheapest for several agents, whose lists are work for the cpu."""
    said = []
    for count in AGENTS[1:]:
        size = choice(found, count)
        cents = (compute(found, chosen, count) - compute(found, size, count)) * 100
        said.append(
            f"for {count} agents {size} MB"
            + (f", by {cents:.1f} cents a month" if size != chosen else "")
        )
    return f"The cheapest that fits is {' and '.join(said)}."


def _by_size(found: dict[str, Any]) -> str:
    rows = []
    for size in SIZES:
        at = found["sizes"][str(size)]
        rows.append(
            [
                f"{size} MB",
                *(f"{at['idle ms'][str(n)]:.1f}" for n in AGENTS),
                f"{at['single ms']:.0f}",
                f"{at['burst s']:.1f}",
                f"{at['peak'] / MIB:.0f}",
                *(f"{compute(found, size, n):.3f}" for n in AGENTS),
                "yes" if fits(found, size) else "no",
            ]
        )
    idle = [f"idle, {n} agents, ms" if n > 1 else "idle, 1 agent, ms" for n in AGENTS]
    head = ["", *idle, "one instance, ms", f"{BURST} at once, s", "MiB for that"]
    costs = [f"compute, {n} agents, $" if n > 1 else "compute, 1 agent, $" for n in AGENTS]
    return table([*head, *costs, "fits"], rows)


def monthly(found: dict[str, Any], memory: int) -> str:
    """The bill by agents, monitoring and terminations a day, beside the daemon's."""
    rows = [
        [
            f"{count} agent{'s' * (count > 1)}, {watched}",
            *(f"{month(found, memory, count, daily, watched):.2f}" for daily in DAILY),
        ]
        for count in AGENTS
        for watched in MONITORING
    ]
    daemon = f"{prices.DAEMON_MONTH:.2f}"
    rows.append(["the daemon on a t4g.nano with 8 GB of disk", *[daemon] * len(DAILY)])
    with_ip = f"{prices.DAEMON_MONTH + prices.IPV4_MONTH:.2f}"
    rows.append(["the same with a public IPv4 address of its own", *[with_ip] * len(DAILY)])
    head = [f"{daily:,} terminations a day" if daily else "nothing to do" for daily in DAILY]
    return table([f"$ a month at {memory} MB", *head], rows)


def _by_part(found: dict[str, Any], memory: int) -> str:
    parts = {
        (count, daily): bill.month(usage(found, memory, count), daily)
        for count in AGENTS
        for daily in DAILY[:2]
    }
    names = next(iter(parts.values()))
    rows = [[name, *(f"{one[name]:.3f}" for one in parts.values())] for name in names]
    rows.append(["**together**", *(f"**{sum(one.values()):.2f}**" for one in parts.values())])
    head = [
        f"{count} agent{'s' * (count > 1)}, " + (f"{daily} a day" if daily else "idle")
        for count, daily in parts
    ]
    return table([f"$ a month at {memory} MB, by part", *head], rows)


def _effects(found: dict[str, Any], memory: int) -> str:
    used = usage(found, memory)
    debug = bill.logs(bill.RUNS * (found["debug bytes"] + bill.PLATFORM_BYTES))
    info = bill.logs(bill.RUNS * (used.idle_bytes + bill.PLATFORM_BYTES))
    every = bill.METRICS_AT_MOST * prices.CUSTOM_METRIC_MONTH
    template = found["template"]
    return (
        f"Idle runs send no metric. If each run sent all {bill.METRICS_AT_MOST} of the contract's, "
        f"zeros too, they would cost ${every:.2f} a month. Logs of idle runs cost ${info:.2f} at `INFO` and "
        f"${debug:.2f} at `DEBUG`. Monitoring is ${template['alarms $']:.2f} for {template['alarms']} alarms "
        f"({template['composite alarms']} composite, the others on {template['alarm metrics']} metrics), and ${template['dashboards $']:.2f} for "
        f"{template['dashboards']} dashboards, counted as if the account had three others already: an "
        "account's first three cost nothing."
    )
