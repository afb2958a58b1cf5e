"""What a run costs, in things that can be counted: they do not depend on the machine."""

from __future__ import annotations

import tracemalloc
from collections import Counter

import pytest

from benchmarks.burst import ec2_calls
from benchmarks.process import Code, Figures, Measured
from benchmarks.servers import LEDGER_CALLS, Servers
from handler.backend.wire import read_envelope
from handler.instances.listing import read_list
from tests.fakes.build import AGENT, NOW

FUNCTION = "benchmarks.subjects.termination"
BURST = 1_000


def burst(account: Servers) -> tuple[Figures, Counter[str], Counter[str]]:
    """A thousand at once, in a process that has only done an idle run: what AWS and the backend saw."""
    environment = account.environment(MAX_TERMINATIONS_PER_RUN=str(BURST))
    with Measured(FUNCTION, environment, Code.sources()) as function:
        function.do()
        account.mark(BURST)
        account.backend.forget_calls()
        figures = function.do()
    aws = Counter(span.operation for span in account.aws.spans())
    return figures, aws, Counter(account.backend.seen()["calls"])


def test_an_idle_run_is_one_small_request_and_one_line(account: Servers) -> None:
    with Measured(FUNCTION, account.environment(), Code.sources()) as function:
        function.do()  # fetches the token
        account.aws.forget_calls()
        account.backend.forget_calls()
        figures = function.do(10)
        lines = function.output().splitlines()
    seen = account.backend.seen()
    assert seen["calls"] == {"list": 10}
    assert account.aws.spans() == []
    assert seen["bytes"] / 10 <= 300  # of which the token and the path are a third
    assert len(lines) == 11
    assert figures.written / 10 <= 700


def test_a_burst_is_few_calls_to_ec2_and_one_report_each(account: Servers) -> None:
    figures, aws, backend = burst(account)
    assert figures.returned["terminated"] == BURST
    assert account.aws.live() == 0
    assert ec2_calls(aws) <= 20
    assert backend == {"list": 1, "termination-report": BURST}
    # Powertools by itself makes two calls an instance; how many go together depends on the moment.
    assert sum(aws[name] for name in LEDGER_CALLS) <= BURST / 5
    assert set(aws) <= {"DescribeInstances", "TerminateInstances", *LEDGER_CALLS}
    assert figures.written / BURST <= 800  # bytes of log each
    assert account.backend.seen()["connections"] <= 8, "as many as BACKEND_CONCURRENCY"


def test_a_second_run_over_the_same_burst_asks_for_nothing(account: Servers) -> None:
    environment = account.environment(MAX_TERMINATIONS_PER_RUN=str(BURST))
    with Measured(FUNCTION, environment, Code.sources()) as function:
        account.mark(100)
        function.do()
        account.aws.forget_calls()
        account.backend.forget_calls()
        function.do()
    assert account.backend.seen()["calls"] == {"list": 1}
    assert account.aws.spans() == []


@pytest.mark.parametrize("count", [1_000, 10_000])
def test_a_list_takes_memory_in_proportion(count: int) -> None:
    entries = ", ".join(
        f'{{"instance_id": "i-{number:017x}", "instance_type": "c5.large", "az": "us-east-1a", '
        '"reason": "zombie_timeout", "seconds_waiting": 320}'
        for number in range(count)
    )
    body = f'{{"instances": [{entries}], "auto_terminate_enabled": true}}'.encode()
    read_list(AGENT, read_envelope(body), NOW)  # what is loaded and cached once is not the list's
    tracemalloc.start()
    try:
        listing = read_list(AGENT, read_envelope(body), NOW)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(listing.marked) == count
    assert peak / count <= 700  # bytes each
