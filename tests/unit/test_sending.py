"""A call that destroys is never sent once its run is over, and not made again without another look."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import HTTPClientError

from handler.aws.errors import AwsError, ErrorKind
from handler.aws.retry import OUT_OF_CALLS, Retry
from handler.aws.sending import refuse_what_is_late
from handler.deadline import may_still_act, only_while
from tests.fakes.build import error
from tests.fakes.clock import FakeClock


class Counting(BaseHTTPRequestHandler):
    seen: list[str] = []  # noqa: RUF012 - one server, one test

    def do_POST(self) -> None:
        type(self).seen.append(self.path)
        self.send_response(500)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def client() -> Iterator[Any]:
    Counting.seen = []
    server = HTTPServer(("127.0.0.1", 0), Counting)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    refuse_what_is_late()
    yield boto3.client(
        "ec2",
        region_name="us-east-1",
        endpoint_url=f"http://localhost:{server.server_port}",
        aws_access_key_id="x",
        aws_secret_access_key="y",
        config=Config(retries={"total_max_attempts": 1}),
    )
    server.shutdown()
    server.server_close()


def test_what_hung_in_name_resolution_until_its_run_was_over_is_not_sent(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = 5.0
    real = socket.getaddrinfo

    def hangs(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        left = -60.0  # frozen, and thawed with a later run
        return real(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    with only_while(lambda: left), pytest.raises(HTTPClientError, match="the run was over"):
        client.terminate_instances(InstanceIds=["i-0123456789abcdef0"])
    assert Counting.seen == []


def test_what_waited_for_its_connection_is_not_sent_over_a_kept_one(client: Any) -> None:
    with pytest.raises(client.exceptions.ClientError):
        client.describe_instances()
    with only_while(lambda: 0.0), pytest.raises(HTTPClientError, match="the run was over"):
        client.terminate_instances(InstanceIds=["i-0123456789abcdef0"])
    assert len(Counting.seen) == 1


def test_what_is_in_time_is_sent(client: Any) -> None:
    with only_while(lambda: 1.0), pytest.raises(client.exceptions.ClientError):
        client.terminate_instances(InstanceIds=["i-0123456789abcdef0"])
    assert len(Counting.seen) == 1


# ---- the run's own retry ----


def retry(clock: FakeClock, calls: int | None = None) -> Retry:
    return Retry(clock.deadline(), clock.sleep, calls)


def test_a_run_s_own_call_is_sent_only_while_it_may_act() -> None:
    clock = FakeClock(10)

    def hangs() -> list[bool]:
        before = may_still_act()
        clock.pass_by(60)
        return [before, may_still_act()]

    assert clock.retry()(hangs) == [True, False]


def test_before_each_further_try_the_truth_is_looked_at() -> None:
    clock, story = FakeClock(), []
    answers: list[int | AwsError] = [error(ErrorKind.THROTTLED), error(ErrorKind.THROTTLED), 5]

    def call() -> int | AwsError:
        story.append("call")
        return answers.pop(0)

    def look() -> None:
        story.append("look")

    assert retry(clock)(call, look) == 5
    assert story == ["call", "look", "call", "look", "call"]


def test_what_the_look_shows_may_be_the_answer() -> None:
    assert retry(FakeClock())(lambda: error(ErrorKind.NO_ANSWER), lambda: "gone") == "gone"


@pytest.mark.parametrize("kind", [ErrorKind.REFUSED, ErrorKind.LOCKED_OUT, ErrorKind.IN_USE])
def test_a_refusal_is_an_answer(kind: ErrorKind) -> None:
    clock = FakeClock()
    found = retry(clock)(lambda: error(kind))
    assert isinstance(found, AwsError)
    assert (found.kind, clock.slept) == (kind, [])


def test_tries_end_with_the_time_to_act() -> None:
    clock = FakeClock(60)
    found = retry(clock)(lambda: error(ErrorKind.THROTTLED))
    assert isinstance(found, AwsError)
    assert found.code == "OutOfTime"
    assert clock.deadline().to_report() > 0


def test_calls_end_with_the_run_s_number_of_them() -> None:
    tries = retry(FakeClock(), 2)
    assert [tries(lambda: 1) for _ in range(3)] == [1, 1, OUT_OF_CALLS]
