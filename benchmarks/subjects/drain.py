"""The termination function against EC2's token buckets, on a clock that skips every wait.

Handler, EC2 and backend share one process and one clock: it runs as the machine's does, and jumps
ahead where the handler sleeps and where the schedule waits for the next minute. So what the function
spends on its own work counts, and eight minutes of waiting cost nothing. The servers' work counts as
well: so they speak plain http, and EC2's answers bear only what is read.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from benchmarks.backend_server import BackendServer
from benchmarks.servers import LEDGER_CALLS
from benchmarks.settings import (
    BACKEND_SECONDS,
    DYNAMODB_SECONDS,
    EC2_SECONDS,
    PARAMETER,
    TABLE,
    TAGS,
    TOKEN,
    ZONES,
)
from handler.termination import lambda_handler
from local.invoke import TIMEOUT, invoke
from tests.reliability.fake_time import MovedTime
from tools.ec2_emulator import Emulator

INTERVAL = 60.0
"""Seconds between two runs (contract, section 2)."""
MOST_RUNS = 60


def prepare() -> Callable[[], object]:
    """The whole drain, of so many instances as `BENCH_COUNT` says."""
    return lambda: drain(int(os.environ["BENCH_COUNT"]), os.environ["MAX_TERMINATIONS_PER_RUN"])


def drain(count: int, cap: str) -> dict[str, Any]:
    """Run after run until none is left; what was accepted when, and what became of the reports."""
    clock, backend = MovedTime(), BackendServer(secure=False)
    backend.reset(latency=BACKEND_SECONDS)
    with Emulator(clock=clock) as aws, clock.installed():
        aws.tables.create(TABLE)
        aws.parameters[PARAMETER] = TOKEN
        aws.latency.update({"*": EC2_SECONDS, **dict.fromkeys(LEDGER_CALLS, DYNAMODB_SECONDS)})
        launch = aws.fleet.launch
        backend.mark([launch(zone=ZONES[n % len(ZONES)], tags=TAGS) for n in range(count)])
        environment = {
            **aws.environment,
            "AGENT_ID": "agent-1",
            "SERVER_URL": backend.url(),
            "CLIENT_TOKEN_PARAMETER": PARAMETER,
            "IDEMPOTENCY_TABLE": TABLE,
            "MAX_TERMINATIONS_PER_RUN": cap,
        }
        aws.buckets.enable("ec2")
        began, runs = clock(), list[dict[str, Any]]()
        while backend.seen()["left"] and len(runs) < MOST_RUNS:
            clock.advance(max(0.0, began + len(runs) * INTERVAL - clock()))
            at = clock()
            done = invoke(lambda_handler, environment, timeout=TIMEOUT)
            runs.append({"at": at - began, "took": clock() - at, **_counts(done.returned)})
        calls = list(aws.calls)
    seen = backend.seen()
    return {
        "accepted": [
            [call.at - began, len(call.parameters["InstanceIds"])]
            for call in calls
            if call.operation == "TerminateInstances" and call.effect
        ],
        "throttled": sum(call.outcome == "RequestLimitExceeded" for call in calls),
        "runs": runs,
        "reported as failed": len(seen["failures"]),
        "left": seen["left"],
        "ended": clock() - began,
    }


def _counts(returned: dict[str, Any]) -> dict[str, int]:
    """What is not zero in a run's answer."""
    return {k: v for k, v in returned.items() if v and not isinstance(v, bool)}
