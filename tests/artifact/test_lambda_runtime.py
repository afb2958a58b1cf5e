"""The runtime that the other tests rely on does what Lambda does."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.lambda_runtime import LambdaRuntime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.built import Artifact

PROBE = """
import json, os, sys, time
calls = 0
def handler(event, context):
    global calls
    calls += 1
    print(json.dumps({"said": event.get("say")}))
    time.sleep(event.get("sleep", 0))
    if "raise" in event:
        raise ValueError(event["raise"])
    if event.get("exit"):
        os._exit(1)
    return {"calls": calls, "left": context.get_remaining_time_in_millis(), "env": dict(os.environ)}
"""

pytestmark = pytest.mark.artifact


@pytest.fixture
def runtime(artifact: Artifact, tmp_path: Path) -> Iterator[LambdaRuntime]:
    (tmp_path / "probe.py").write_text(PROBE)
    with LambdaRuntime(
        env={"COLOUR": "red"},
        timeout=3,
        handler="probe.handler",
        built=artifact,
        extra_path=tmp_path,
    ) as started:
        yield started


def test_the_first_call_is_cold_and_the_second_warm(runtime: LambdaRuntime) -> None:
    assert runtime.init_ms is None
    first, second = runtime.invoke({}), runtime.invoke({})
    assert [first.payload["calls"], second.payload["calls"]] == [1, 2]
    assert runtime.cold_starts == 1
    assert runtime.init_ms is not None


def test_the_function_sees_only_what_lambda_and_its_own_environment_set(
    runtime: LambdaRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THIS_SHELL", "1")
    seen = runtime.invoke({}).payload
    assert seen["env"]["COLOUR"] == "red"
    assert seen["env"]["AWS_LAMBDA_FUNCTION_TIMEOUT"] == "3"
    assert "OF_THIS_SHELL" not in seen["env"]
    assert 1000 < seen["left"] <= 3000


def test_an_exception_is_an_error_and_the_environment_goes_on(runtime: LambdaRuntime) -> None:
    result = runtime.invoke({"raise": "no"})
    assert (result.payload, result.error_type, result.error_message) == (None, "ValueError", "no")
    assert runtime.invoke({}).payload["calls"] == 2


def test_the_time_limit_ends_a_call_and_the_next_one_is_cold(runtime: LambdaRuntime) -> None:
    result = runtime.invoke({"sleep": 5})
    assert result.error_type == "Sandbox.Timedout"
    assert result.error_message == "Task timed out after 3.00 seconds"
    assert runtime.invoke({}).payload["calls"] == 1
    assert runtime.cold_starts == 2


def test_a_process_that_dies_is_an_error_and_the_next_call_is_cold(runtime: LambdaRuntime) -> None:
    assert not runtime.invoke({"exit": True}).ok
    assert runtime.invoke({}).payload["calls"] == 1


def test_a_call_s_log_is_its_own(runtime: LambdaRuntime) -> None:
    for word in ("one", "two"):
        result = runtime.invoke({"say": word})
        assert [r["said"] for r in result.log_records if "said" in r] == [word]
        assert result.logs.rstrip().splitlines()[-1].startswith("REPORT")
    assert '"one"' in runtime.logs


def test_a_kill_ends_the_call(runtime: LambdaRuntime) -> None:
    results = []
    call = threading.Thread(
        target=lambda: results.append(runtime.invoke({"say": "here", "sleep": 2}))
    )
    call.start()
    while "here" not in runtime.logs:
        time.sleep(0.01)
    runtime.kill()
    call.join()
    assert [result.error_type for result in results] == ["Killed"]
    assert not runtime.running
    assert runtime.invoke({}).payload["calls"] == 1


def test_calls_at_once_are_taken_one_after_another(runtime: LambdaRuntime) -> None:
    results: list[int] = []
    calls = [
        threading.Thread(target=lambda: results.append(runtime.invoke({}).payload["calls"]))
        for _ in range(4)
    ]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert sorted(results) == [1, 2, 3, 4]
