"""A run with little time left: it returns before Lambda would kill it, and the next one heals."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration import checks
from tests.integration.scripted import REPORT, Exchange, ScriptedBackend
from tests.integration.test_backend_faults import finishes
from tests.integration.world import Account, Stopwatch
from tools.ec2_emulator.faults import silent

TIME = 3.0
"""Seconds that the run has."""
SLACK = 1.0
"""Seconds that a busy machine may add; what is caught here takes longer."""

Arrange = Callable[[Account, ScriptedBackend], None]


def slow_terminate(account: Account, _: ScriptedBackend) -> None:
    account.aws.latency["TerminateInstances"] = TIME + SLACK + 0.5


def silent_ledger(account: Account, _: ScriptedBackend) -> None:
    account.aws.faults.add("PutItem", silent(5), times=None)


def dripping_reports(_: Account, scripted: ScriptedBackend) -> None:
    scripted.always_meets(REPORT, drips_a_promised_length)


def drips_a_promised_length(exchange: Exchange) -> None:
    """Byte by byte: each comes soon enough, and their end never."""
    exchange.head(200, {"Content-Length": "1000"})
    for _ in range(100):
        if exchange.wait(0.05) or not exchange.write(b" "):
            break
    exchange.hang_up()


@pytest.mark.parametrize(
    ("arrange", "allowed"),
    [
        pytest.param(slow_terminate, {"deferred"}, id="EC2 is slow to terminate"),
        pytest.param(silent_ledger, {"terminated", "unreported"}, id="the ledger is silent"),
        pytest.param(dripping_reports, {"unreported"}, id="the backend drips its answers"),
    ],
)
def test_a_run_returns_before_its_time_is_up_and_the_next_one_finishes(
    account: Account, scripted: ScriptedBackend, arrange: Arrange, allowed: set[str]
) -> None:
    scripted.mark(*account.launch(1))
    account.run()  # the clients are there, as they are in all runs but the first
    ids = account.launch(3)
    scripted.mark(*ids)
    arrange(account, scripted)

    watch = Stopwatch()
    done = account.run(timeout=TIME)

    assert watch.seconds < TIME + SLACK
    assert set(checks.counts(done.returned)) - {"listed"} <= allowed

    scripted.calm()
    account.aws.faults.clear()
    account.aws.latency.clear()
    finishes(account, scripted)
    assert [account.state(one) for one in ids] == ["terminated"] * 3
    assert all(scripted.successes(one) >= 1 for one in ids)


def test_reports_that_there_is_no_time_for_are_the_next_runs(
    account: Account, scripted: ScriptedBackend
) -> None:
    """One report at a time of 0.2 s each: some are made, and none is begun too late."""
    account.run(BACKEND_CONCURRENCY="1")
    ids = account.launch(20)
    scripted.mark(*ids)

    def takes_its_time(exchange: Exchange) -> None:
        exchange.wait(0.2)
        exchange.genuine()

    scripted.always_meets(REPORT, takes_its_time)
    watch = Stopwatch()
    done = checks.counts(account.run(timeout=TIME, BACKEND_CONCURRENCY="1").returned)
    assert watch.seconds < TIME + SLACK
    assert set(done) == {"listed", "terminated", "unreported"}
    assert done["listed"] == 20
    assert account.aws.fleet.live == []

    assert scripted.count(REPORT) < 20
    scripted.calm()
    finishes(account, scripted)
    assert [scripted.successes(one) for one in ids] == [1] * 20


def test_when_looking_takes_all_the_time_to_act_nothing_is_terminated_any_more(
    account: Account, scripted: ScriptedBackend
) -> None:
    account.run()
    ids = account.launch(3)
    scripted.mark(*ids)
    account.aws.latency["DescribeInstances"] = 1.7  # of 2.5 s, 0.875 are kept for reports
    assert account.counts(timeout=2.5) == {"listed": 3, "deferred": 3}
    assert account.aws.calls.count("TerminateInstances") == 0
    assert scripted.reports == []
    account.aws.latency.clear()
    assert account.counts() == {"listed": 3, "terminated": 3}
