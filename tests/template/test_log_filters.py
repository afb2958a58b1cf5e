"""The filters on the log count what the code really writes, and nothing else."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

import pytest

from handler.aws.error_codes import DENIED
from handler.instances.journal import Journal
from handler.instances.outcome import Outcome, Settled, Trace
from handler.termination import lambda_handler
from local.invoke import Invocation, invoke
from tests.fakes.build import marked
from tests.integration.scripted import LIST, Exchange, ScriptedBackend
from tests.support.filter_pattern import matches
from tests.template.stack import Stack
from tools.ec2_emulator import Emulator

FILTERS = Stack.of("mine").of_type("AWS::Logs::MetricFilter")
ENVIRONMENT = {
    "AWS_REGION": "eu-west-1",
    "AGENT_ID": "agent-1",
    "SERVER_URL": "https://backend.example.com",
    "CLIENT_TOKEN": "t0ken",
    "IDEMPOTENCY_TABLE": "table",
}


def counted(done: Invocation) -> set[str]:
    """The filters that match any of the lines."""
    lines = [json.dumps(line) for line in (*done.lines, *done.emf)]
    assert lines
    return {
        name.removesuffix("Filter")
        for name, one in FILTERS.items()
        if any(matches(one["FilterPattern"], line) for line in lines)
    }


def tell(say: Callable[[Journal], object]) -> set[str]:
    """What is counted of what a journal writes: the lines and the metrics."""

    def handler(*_: object) -> dict[str, object]:
        say(Journal(lambda _: None, "1.0.0"))
        return {}

    return counted(invoke(handler, ENVIRONMENT))


def failing_run(**variables: str) -> set[str]:
    """What is counted of a run that could do nothing."""
    done = Invocation()
    with contextlib.suppress(Exception):  # which one, the log tells
        invoke(lambda_handler, {**ENVIRONMENT, **variables}, timeout=6.0, into=done)
    assert any(str(line["message"]).startswith("run failed: ") for line in done.lines)
    return counted(done)


def settled(outcome: Outcome, *, code: str | None = None, waited: float = 400) -> Settled:
    return Settled(marked(waited=waited), outcome, "because", Trace(error_code=code))


@pytest.mark.parametrize("code", sorted(DENIED))
def test_a_permission_that_is_missing_is_counted_by_its_code(code: str) -> None:
    assert tell(lambda j: j.settled(settled(Outcome.FAILED, code=code))) == {"IamFailures"}


@pytest.mark.parametrize("code", ["InternalError", "OperationNotPermitted", None])
def test_other_failures_are_not(code: str | None) -> None:
    assert tell(lambda j: j.settled(settled(Outcome.FAILED, code=code))) == set()


@pytest.mark.parametrize("outcome", list(Outcome))
def test_an_outcome_is_not_counted_here_for_it_is_a_metric(outcome: Outcome) -> None:
    assert tell(lambda j: j.settled(settled(outcome))) == set()


# ---------------------------------------------------------------- runs that fail


def status(code: int, body: bytes = b"{}") -> Callable[[Exchange], None]:
    return lambda exchange: exchange.answer(code, body)


def reset(exchange: Exchange) -> None:
    exchange.hang_up(reset=True)


@pytest.mark.parametrize(
    ("answer", "unavailable"),
    [
        (status(500), True),
        (status(503), True),
        (status(429), True),
        (status(200, b"<html>"), True),
        (status(200, b'{"instances": 1, "auto_terminate_enabled": true}'), True),
        (reset, True),
        (status(401), False),
        (status(403), False),
        (status(404), False),
    ],
    ids=["500", "503", "429", "html", "shape", "reset", "401", "403", "404"],
)
def test_a_list_that_does_not_come_counts_for_the_backend_unless_it_is_ours_to_mend(
    answer: Callable[[Exchange], None], unavailable: bool
) -> None:
    with ScriptedBackend("t0ken") as backend:
        backend.always_meets(LIST, answer)
        counts = failing_run(SERVER_URL=backend.url)
    assert counts == ({"BackendUnavailable"} if unavailable else set())


def test_a_token_that_may_not_be_read_is_a_permission() -> None:
    with Emulator() as aws:
        aws.policy.denied_actions.add("ssm:GetParameter")
        counts = failing_run(
            **aws.environment, CLIENT_TOKEN="", CLIENT_TOKEN_PARAMETER="/spot/token"
        )
    assert counts == {"IamFailures"}


def test_bad_settings_are_neither() -> None:
    assert failing_run(SERVER_URL="http://backend.example.com") == set()


# ---------------------------------------------------------------- and what the filters send


def test_every_filter_reads_this_stack_s_log_and_has_an_alarm() -> None:
    stack = Stack.of("mine", PowertoolsMetricsNamespace="Space")
    sent = {}
    for name, one in stack.of_type("AWS::Logs::MetricFilter").items():
        assert one["LogGroupName"] == "mine-TerminationLogGroup"
        (transformation,) = one["MetricTransformations"]
        assert transformation["MetricNamespace"] == "Space/mine"
        assert transformation["MetricValue"] == "1"
        assert len(one["FilterPattern"]) <= 1024
        sent[name.removesuffix("Filter")] = transformation["MetricName"]
    watched = {}
    for name, alarm in stack.of_type("AWS::CloudWatch::Alarm").items():
        for metric in [m.get("MetricStat", {}).get("Metric", {}) for m in alarm.get("Metrics", [])]:
            if metric.get("Namespace") == "Space/mine":
                watched[name.removesuffix("Alarm")] = metric["MetricName"]
        if alarm.get("Namespace") == "Space/mine":
            watched[name.removesuffix("Alarm")] = alarm["MetricName"]
    assert watched == sent
