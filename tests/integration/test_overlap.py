"""Two runs at once, in threads and in processes: a doubled event, a slow run, two functions."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from handler.termination import lambda_handler
from local.invoke import LocalContext, invoke
from tests.integration import checks
from tests.integration.scripted import LIST, Exchange, ScriptedBackend
from tests.integration.world import TABLE, Account

ROOT = Path(__file__).parents[2]
Together = Callable[[Account, int], list[dict[str, Any]]]
HARMLESS = {"terminated", "already_gone", "replayed", "deferred"}


class Lines(io.TextIOBase):
    """Passes whole lines on, so that threads that write at once do not mix theirs."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self._mine = threading.local()

    def write(self, text: str) -> int:
        begun = getattr(self._mine, "begun", "") + text
        whole, newline, self._mine.begun = begun.rpartition("\n")
        if newline:
            self._target.write(whole + newline)
        return len(text)


def in_threads(account: Account, runs: int) -> list[dict[str, Any]]:
    """So many runs at once in one execution environment; what each returned."""

    def one(_: int) -> dict[str, Any]:
        context: Any = LocalContext()
        returned: dict[str, Any] = lambda_handler({}, context)
        return returned

    def all_of_them(_event: object, _context: object) -> dict[str, Any]:
        with contextlib.redirect_stdout(Lines(sys.stdout)), ThreadPoolExecutor(runs) as pool:
            return {"runs": list(pool.map(one, range(runs)))}

    done = invoke(all_of_them, account.environment())
    checks.says_nothing_of(account.secrets, done)
    summed = Counter[str]()
    for returned in done.returned["runs"]:
        if returned["replayed"] < returned["listed"]:  # replays alone send nothing
            summed.update(checks.counts(returned))
    assert {name: sum(values) for name, values in done.metrics.items() if name in NAMES} == {
        checks.METRICS[key]: count for key, count in summed.items()
    }, "the metrics of all runs are those of the answers"
    answers: list[dict[str, Any]] = done.returned["runs"]
    return answers


NAMES = set(checks.METRICS.values())


def in_processes(account: Account, runs: int) -> list[dict[str, Any]]:
    """So many runs at once, each in an execution environment of its own."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        **account.environment(),
    }
    with ExitStack() as stack:
        processes = [stack.enter_context(run_apart(environment)) for _ in range(runs)]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        outputs = []
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            out, err = process.communicate(timeout=60)
            assert process.returncode == 0, err[-3_000:]
            assert not any(secret in out + err for secret in account.secrets)
            outputs.append(json.loads(out.splitlines()[-1])["returned"])
    return outputs


@contextlib.contextmanager
def run_apart(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.integration.one_run"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=ROOT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("together", [in_threads, in_processes])
def test_runs_that_overlap_report_each_success_once_and_add_up(
    account: Account, scripted: ScriptedBackend, together: Together
) -> None:
    ids = account.launch(20)
    scripted.mark(*ids)
    both = threading.Barrier(2)

    def lists_the_same_to_both(exchange: Exchange) -> None:
        body = exchange.genuine_body()
        both.wait(9)
        exchange.answer(200, body)

    scripted.meets(LIST, lists_the_same_to_both, lists_the_same_to_both)

    answers = together(account, 2)

    total = Counter[str]()
    for returned in answers:
        counted = checks.counts(returned)
        assert counted["listed"] == 20
        assert set(counted) - {"listed"} <= HARMLESS
        total.update(counted)
    assert total["terminated"] + total["already_gone"] == 20
    assert total["replayed"] + total["deferred"] == 20
    assert [scripted.successes(one) for one in ids] == [1] * 20
    assert account.aws.fleet.live == []
    assert account.counts() == {}, "nothing is left for the next run"


def test_a_record_that_a_killed_run_left_behind_holds_a_report_up_no_longer_than_that_run(
    account: Account, scripted: ScriptedBackend
) -> None:
    (one,) = account.launch()
    scripted.mark(one)
    account.run(PROTECT_TAG="Another")  # by another execution environment
    items = account.aws.tables[TABLE].items
    ((key, item),) = [(key, item) for key, item in items.items() if "data" in item]
    killed = {**item, "status": {"S": "INPROGRESS"}}
    del killed["data"]
    much_later = {"N": "9999999999999"}

    scripted.mark(one)  # its report was never made
    account.aws.tables[TABLE].items[key] = {**killed, "in_progress_expiration": much_later}
    assert account.counts() == {"listed": 1, "deferred": 1}, "it looks as if a run were at it"
    account.aws.tables[TABLE].items[key] = {**killed, "in_progress_expiration": {"N": "1"}}
    assert account.counts() == {"listed": 1, "terminated": 1}
    assert scripted.successes(one) == 2
