"""No secret in the log or in an answer, with every library's logger at DEBUG (contract section 2).

The built functions under AWS's runtime, against a backend that repeats the token wherever it can.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from local.stack import Stack, run_stack
from tests.integration.scripted import LIST, REPORT, Exchange, ScriptedBackend
from tests.support.lambda_runtime import LambdaRuntime, Result

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.built import Artifact

pytestmark = pytest.mark.artifact

TOKEN = "s3cr3t-t0ken/of'a\\client"
SESSION = "IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3QtMSJHMEUCIQD"
PASSWORD = "pr0xy-passw0rd"
LOUD = """
import logging

from handler.{module} import lambda_handler as real

LIBRARIES = ["aws_lambda_powertools", "boto3", "botocore", "requests", "s3transfer", "urllib3"]


def handler(event, context):
    logging.getLogger().setLevel(logging.DEBUG)
    for name in [*LIBRARIES, *logging.root.manager.loggerDict]:
        library = logging.getLogger(name)
        if not library.handlers:  # the function's own level is the function's
            library.setLevel(logging.DEBUG)
            library.addHandler(logging.StreamHandler())
    return real(event, context)
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with run_stack() as running:
        running.set_token(TOKEN)
        yield running


@pytest.fixture
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend(TOKEN) as running:
        yield running


Runtime = Callable[..., AbstractContextManager[Callable[[dict[str, object]], Result]]]


@pytest.fixture
def runtime(artifact: Artifact, stack: Stack, backend: ScriptedBackend, tmp_path: Path) -> Runtime:
    """A job's environment, its libraries as loud as they can be; what it is called with is looked through."""

    @contextmanager
    def started(module: str, **more: str) -> Iterator[Callable[[dict[str, object]], Result]]:
        (tmp_path / "loud.py").write_text(LOUD.format(module=module))
        environment = stack.environment(
            AWS_LAMBDA_LOG_LEVEL="DEBUG",
            POWERTOOLS_LOG_LEVEL="DEBUG",
            POWERTOOLS_DEBUG="true",
            **{"SERVER_URL": backend.url, "AWS_SESSION_TOKEN": SESSION, **more},
        )
        with LambdaRuntime(
            env=environment,
            timeout=20,
            handler="loud.handler",
            built=artifact,
            extra_path=tmp_path,
        ) as environment_of_lambda:

            def call(event: dict[str, object]) -> Result:
                result = environment_of_lambda.invoke(event)
                hidden(result, TOKEN, SESSION, PASSWORD)
                return result

            yield call

    return started


def hidden(result: Result, *secrets: str) -> None:
    told = f"{result.logs}{result.payload!r}{result.error_message}{json.dumps(result.payload)}"
    for secret in secrets:
        once = json.dumps(secret)[1:-1]
        for spelled in (
            secret,
            once,
            json.dumps(once)[1:-1],
            repr(secret)[1:-1],
            quote(secret, ""),
        ):
            assert spelled not in told
        assert secret[:14] not in told


def entries() -> list[dict[str, object]]:
    """Valid and invalid ones, which say the token in every field."""
    good = {"instance_id": "i-1234567890abcdef0", "reason": TOKEN, "az": TOKEN}
    bad: dict[str, object] = {"instance_id": TOKEN, "az": [TOKEN], "reason": {TOKEN: TOKEN}}
    seconds: dict[str, object] = {"instance_id": "i-1234567890abcdef1", "seconds_waiting": TOKEN}
    return [{**good, "seconds_waiting": 400}, bad, seconds, {TOKEN: TOKEN}]


def not_http(exchange: Exchange) -> None:
    """urllib3 warns of what it cannot read, and quotes it."""
    exchange.write(f"{TOKEN}\r\n\r\n".encode())
    exchange.hang_up()


def bad_headers(exchange: Exchange) -> None:
    exchange.write(f"HTTP/1.1 200 OK\r\n{TOKEN}\r\n: {TOKEN}\r\nA\r\n\r\n{TOKEN}".encode())
    exchange.hang_up()


def refused(exchange: Exchange) -> None:
    exchange.answer(500, json.dumps({"error": f"Bearer {TOKEN} is not known: {TOKEN}"}).encode())


def no_json(exchange: Exchange) -> None:
    exchange.answer(200, json.dumps({"instances": TOKEN, TOKEN: TOKEN}).encode())


def redirected(exchange: Exchange) -> None:
    exchange.answer(302, TOKEN.encode(), Location=f"https://user:{TOKEN}@elsewhere.example/{TOKEN}")


JOBS: dict[str, list[dict[str, object]]] = {
    "termination": [{}, {"doctor": True}],
    "housekeeping": [{}],
}
FAULTS = [not_http, bad_headers, refused, no_json, redirected]


@pytest.mark.parametrize("module", JOBS)
def test_a_job_says_nothing_and_repeats_no_answer_that_tells_the_token(
    module: str, runtime: Runtime, backend: ScriptedBackend, stack: Stack
) -> None:
    """In one environment: the first call, which is cold, says the most."""
    with runtime(module) as call:
        for event in JOBS[module]:
            backend.mark(*stack.launch(count=1), reason=TOKEN)
            backend.extra = [*entries()]
            backend.always_meets(REPORT, refused)
            backend.always_meets("cleanup-report", refused)
            result = call(event)
            assert result.ok, result.error_message
        for fault in FAULTS:
            for kind in (LIST, REPORT, "cleanup-report"):
                backend.always_meets(kind, fault)
            for event in JOBS[module]:
                seen = len(backend.seen)
                call(event)
                assert len(backend.seen) > seen


@pytest.mark.parametrize(
    ("module", "proxy"),
    [
        *(("termination", f"http://user:{PASSWORD}@127.0.0.1:{port}") for port in ("1", "port")),
        ("termination", f"http//user:{PASSWORD}@127.0.0.1:1"),
        ("termination", f"//:{PASSWORD}@"),
        ("housekeeping", f"http://user:{PASSWORD}@127.0.0.1:port"),
    ],
)
def test_a_proxy_s_password_is_not_told(module: str, proxy: str, runtime: Runtime) -> None:
    with runtime(
        module, SERVER_URL="https://backend.example", HTTPS_PROXY=proxy, NO_PROXY="127.0.0.1"
    ) as call:
        for event in JOBS[module]:
            result = call(event)  # a busy machine does not come to its end: the list is late
            assert any(one in result.logs for one in ("backend", "did not come in time"))


def test_plain_http_goes_past_a_proxy_however_it_is_spelled(
    runtime: Runtime, backend: ScriptedBackend
) -> None:
    """`HTTP://127.0.0.1` went through the proxy, the token in clear."""
    with ScriptedBackend(TOKEN) as proxy:
        url = backend.url.replace("http://", "HTTP://")
        more: dict[str, Any] = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), proxy.url)
        with runtime("termination", SERVER_URL=url, CLIENT_TOKEN=TOKEN, **more) as call:
            result = call({})
        assert result.ok, result.error_message
        assert not [kind for kind, _ in proxy.seen if kind == LIST]
    assert backend.count(LIST) == 1


def test_bad_settings_and_events_are_told_without_the_token(runtime: Runtime) -> None:
    with runtime("termination", CLIENT_TOKEN=TOKEN, PROTECT_TAG=f" {TOKEN}") as call:
        for event in ({TOKEN: 1}, {"agent_id": TOKEN}, {"detail": TOKEN}):
            result = call(event)  # type: ignore[arg-type] # values of several kinds
            assert result.error_type == "EventError"
            assert "PROTECT_TAG" in str(result.error_message)
