"""4: ten thousand marked, under EC2's documented token buckets."""

from __future__ import annotations

from typing import Any

from benchmarks.bench import Bench
from benchmarks.figures import Goal, table
from benchmarks.process import Code, Measured
from tools.ec2_emulator.buckets import LIMITS, TERMINATE_INSTANCES

TITLE = "The drain"
COUNT = 10_000
CAP, DEFAULT_CAP = 2_000, 500
"""MAX_TERMINATIONS_PER_RUN: more than EC2 lets through in one run, and the default."""
INTERVAL = 60
"""Seconds between two runs."""


def measure(bench: Bench) -> dict[str, Any]:
    """One drain. The sources run, not the artifact: their clock is replaced."""
    count = 1_500 if bench.quick else COUNT
    environment = {"BENCH_COUNT": str(count), "MAX_TERMINATIONS_PER_RUN": str(CAP)}
    with Measured("benchmarks.subjects.drain", environment, Code.sources()) as process:
        return {"count": count, **process.do().returned}


def allowed(count: int) -> float:
    """Seconds in which EC2's bucket of instances lets so many through."""
    limit = LIMITS[TERMINATE_INSTANCES]
    return (count - limit.burst) / limit.refill


def took(drain: dict[str, Any]) -> float:
    """Seconds until EC2 had accepted the last one."""
    return float(max(at for at, _ in drain["accepted"]))


def goals(found: dict[str, Any]) -> list[Goal]:
    """Within 1.05 times of what the buckets allow; nothing reported as failed."""
    count = found["count"]
    least = allowed(count)
    late = sum(run.get("unreported", 0) for run in found["runs"])
    largest = max(number for _, number in found["accepted"])
    gathers = largest / LIMITS[TERMINATE_INSTANCES].refill
    why = (
        f"{took(found):.0f} s against {least:.0f}: one call ends up to {largest:,} instances, for "
        f"which the bucket has to gather {gathers:.0f} s; what a run cannot have in its time to act "
        "waits for the next minute, and a full bucket gathers nothing"
        + (f"; {late} reports had to wait for the next run" if late else "")
    )
    return [
        Goal(
            f"draining {count:,} against what EC2's buckets allow "
            f"(`MAX_TERMINATIONS_PER_RUN={CAP}`)",
            took(found) / least,
            1.05,
            " times",
            why,
        ),
        Goal(
            "reported as failed in a drain",
            found["reported as failed"],
            0,
            "",
            "throttling was taken for a failure",
        ),
    ]


def describe(found: dict[str, Any]) -> str:
    """What was measured, as a table."""
    count, least = found["count"], allowed(found["count"])
    by_cap = (count // DEFAULT_CAP - 1) * INTERVAL
    rows = [
        ["what EC2's buckets allow", "", f"{least:,.0f}", "1", "", "", ""],
        [
            f"measured, `MAX_TERMINATIONS_PER_RUN={CAP}`",
            len(found["runs"]),
            f"{took(found):,.0f}",
            f"{took(found) / least:.2f}",
            found["throttled"],
            found["reported as failed"],
            found["left"],
        ],
        [
            f"the least at the default, {DEFAULT_CAP} a run (not measured)",
            count // DEFAULT_CAP,
            f"{by_cap:,}",
            f"{by_cap / least:.2f}",
            "",
            "",
            "",
        ],
    ]
    head = ["", "runs", "seconds", "ratio", "throttled calls"]
    return (
        f"{count:,} marked at once in three zones, a run a minute, EC2's buckets full at the start "
        "(instances: 1,000, and 20 a second after that; terminating calls: 100 and 5; describing "
        "ones: 100 and 20). The clock is the machine's, and jumps over every wait; the servers' "
        "work, in the same process, counts as the function's: so here they speak plain HTTP, and EC2's "
        "answers bear only what is read. At the default a drain is held back by its cap, on purpose.\n\n"
        + table([*head, "reported as failed", "not reported in the end"], rows)
    )
