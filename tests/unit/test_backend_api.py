"""What is sent to the backend, how often, and what is said of its answers."""

from __future__ import annotations

import json
from typing import Any, Self

import pytest
import requests
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import ProtocolError

from handler.backend.api import LARGEST_BODY, LONGEST_PAUSE, TRIES, BackendApi
from handler.backend.errors import BackendError
from handler.backend.token import ClientToken
from tests.fakes.clock import FakeClock

TOKEN = "s3cret-token"
ACKNOWLEDGED = b'{"success": true, "message": "Termination report recorded"}'
EMPTY = b'{"instances": [], "auto_terminate_enabled": true, "terminate_wait_seconds": 300}'


class Answer:
    """As much of a response as is read."""

    def __init__(self, status: int, body: bytes = b"{}", retry_after: str | None = None) -> None:
        self.status_code = status
        self.body = self.rest = body
        self.headers = CaseInsensitiveDict({"Retry-After": retry_after} if retry_after else {})

    def __enter__(self) -> Self:
        self.rest = self.body
        return self

    def __exit__(self, *_: object) -> None: ...

    @property
    def raw(self) -> Self:
        return self

    def read1(self, size: int, *, decode_content: bool) -> bytes:
        assert decode_content
        chunk, self.rest = self.rest[:size], self.rest[size:]
        return chunk


class CutOff(Answer):
    """Breaks off in the middle of its body."""

    def read1(self, size: int, *, decode_content: bool) -> bytes:
        if not self.rest:
            raise ProtocolError("IncompleteRead")
        return super().read1(size, decode_content=decode_content)


class Session(requests.Session):
    """Answers in turn, the last one for ever; an exception is raised."""

    def __init__(self, *answers: Answer | Exception) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked: list[tuple[str, str, dict[str, Any]]] = []

    def send(self, request: requests.PreparedRequest, **given: Any) -> Answer:  # type: ignore[override]
        told = {"headers": request.headers, "data": request.body, **given}
        self.asked.append((request.method or "", request.url or "", told))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Token:
    """A client token of which there may be a second."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.renewed = 0

    def get(self) -> str:
        return self.tokens[0]

    def renew(self, refused: str) -> str | None:
        self.renewed += 1
        self.tokens = self.tokens[1:] or self.tokens
        return self.tokens[0] if self.tokens[0] != refused else None


class Call:
    """One agent's calls on a clock that only moves when it sleeps."""

    def __init__(
        self,
        *answers: Answer | Exception,
        tokens: tuple[str, ...] = (TOKEN,),
        agent: str = "agent-1",
        seconds: float = 60,
    ) -> None:
        self.session = Session(*answers)
        self.clock = FakeClock(seconds)
        self.token = Token(*tokens)
        held: ClientToken = self.token  # type: ignore[assignment]
        self.api = BackendApi(self.session, "https://b.example/base", agent, held, self.clock.sleep)

    def left(self) -> float:
        return self.clock.left

    def list(self) -> bool:
        return self.api.list(self.left).auto_terminate_enabled

    def post(self) -> None:
        self.api.post("termination-report", {"instance_id": "i-1"}, self.left)

    def refusal(self) -> str:
        with pytest.raises(BackendError) as caught:
            self.list()
        return str(caught.value)

    @property
    def tries(self) -> int:
        return len(self.session.asked)


def test_the_list_is_asked_for_with_the_token_and_no_redirect() -> None:
    call = Call(Answer(200, EMPTY))
    assert call.list() is True
    ((method, url, given),) = call.session.asked
    assert (method, url) == (
        "GET",
        "https://b.example/base/api/agents/agent-1/instances-to-terminate",
    )
    assert given["headers"]["Authorization"] == f"Bearer {TOKEN}"
    assert given["allow_redirects"] is False
    assert all(0 < limit <= 10 for limit in given["timeout"])


@pytest.mark.parametrize(
    ("agent", "path"), [("a/b", "a%2Fb"), ("a?b#c", "a%3Fb%23c"), ("a%2Fb", "a%252Fb")]
)
def test_an_agent_s_id_is_one_part_of_the_path(agent: str, path: str) -> None:
    call = Call(Answer(200, EMPTY), agent=agent)
    call.list()
    assert call.session.asked[0][1].endswith(f"/api/agents/{path}/instances-to-terminate")


def test_a_report_is_posted_as_json() -> None:
    call = Call(Answer(201, ACKNOWLEDGED))
    call.post()
    ((method, url, given),) = call.session.asked
    assert method == "POST"
    assert url.endswith("/base/api/agents/agent-1/termination-report")
    assert json.loads(given["data"]) == {"instance_id": "i-1"}
    assert given["headers"]["Content-Type"] == "application/json"
    assert given["headers"]["Content-Length"] == str(len(given["data"]))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""), (200, b"<html>login</html>"), (200, b'{"success": false}'), (200, b"{}"),
        (204, b""), (301, ACKNOWLEDGED), (400, ACKNOWLEDGED), (401, ACKNOWLEDGED),
        (500, ACKNOWLEDGED),
    ],
)  # fmt: skip
def test_only_the_backend_s_own_word_acknowledges(status: int, body: bytes) -> None:
    with pytest.raises(BackendError, match=f"HTTP {status}"):
        Call(Answer(status, body)).post()


@pytest.mark.parametrize("token", ["true", "success", ":"])
def test_an_acknowledgement_holds_whatever_the_token_is(token: str) -> None:
    Call(Answer(202, ACKNOWLEDGED), tokens=(token,)).post()


# Tries.

AGAIN = [408, 425, 429, 500, 502, 503, 504, 520, 522, 524, 599]


@pytest.mark.parametrize("status", AGAIN)
def test_what_changes_nothing_is_tried_again(status: int) -> None:
    """Contract section 2, "A retry is due"; 520 to 524 are a content network's (Cloudflare)."""
    call = Call(Answer(status), Answer(status), Answer(200, EMPTY))
    assert call.list() is True
    assert call.tries == 3


@pytest.mark.parametrize("status", [200, 204, 301, 302, 400, 403, 404, 409, 418, 422])
def test_what_another_try_does_not_change_is_asked_once(status: int) -> None:
    call = Call(Answer(status))
    call.refusal()
    assert call.tries == 1


@pytest.mark.parametrize(
    "trouble",
    [
        requests.ConnectionError("refused"),
        requests.Timeout("late"),
        requests.exceptions.ChunkedEncodingError("broken"),
        CutOff(200, EMPTY[:20]),
    ],
)
def test_an_answer_that_does_not_come_whole_is_tried_again(trouble: Answer | Exception) -> None:
    call = Call(trouble, Answer(200, EMPTY))
    assert call.list() is True
    lasting = Call(*[trouble] * TRIES)
    assert "no answer from the backend to GET instances-to-terminate" in lasting.refusal()
    assert lasting.tries == TRIES
    report = Call(trouble, Answer(503), Answer(200, ACKNOWLEDGED))
    report.post()
    assert report.tries == 3


def test_the_pauses_grow_and_are_not_the_same_for_all() -> None:
    pauses = [Call(Answer(500)) for _ in range(20)]
    for call in pauses:
        call.refusal()
        assert call.tries == TRIES
        first, second, third = call.clock.slept
        assert 0.2 <= first <= 0.4 <= second <= 0.8 <= third <= 1.6
    assert len({call.clock.slept[0] for call in pauses}) > 1


def test_no_try_begins_when_the_time_is_over() -> None:
    call = Call(Answer(500), seconds=0.3)
    call.refusal()
    assert call.tries < TRIES
    assert sum(call.clock.slept) <= 0.3
    assert call.clock.left >= 0


def test_one_try_gets_half_of_the_time_that_is_left() -> None:
    call = Call(Answer(200, EMPTY), seconds=4)
    call.list()
    assert call.session.asked[0][2]["timeout"] == (2.0, 2.0)


@pytest.mark.parametrize(("said", "pause"), [("3", 3.0), ("5", 5.0), ("86400", LONGEST_PAUSE)])
def test_the_backend_may_ask_for_a_pause_within_bounds(said: str, pause: float) -> None:
    call = Call(Answer(429, retry_after=said), Answer(200, EMPTY))
    call.list()
    assert call.clock.slept == [pause]


@pytest.mark.parametrize(
    "said",
    [
        "x", "-5", "0", "", "1e9", "NaN", "\u00b2", "9" * 5000, "Wed, 21 Oct 2015 07:28:00 GMT",
        "Fri, 31 Dec 99999 23:59:59 GMT", "Mon, 99 Foo 2025 99:99:99 GMT",
        "Mon, 01 Jan 0001 00:00:00 +2359",
    ],
)  # fmt: skip
def test_a_pause_that_cannot_be_read_asks_for_nothing(said: str) -> None:
    call = Call(Answer(503, retry_after=said), Answer(200, EMPTY))
    assert call.list() is True
    (pause,) = call.clock.slept
    assert 0.2 <= pause <= LONGEST_PAUSE


# The token.


def test_a_401_is_answered_with_a_token_fetched_anew_once() -> None:
    call = Call(Answer(401), Answer(200, EMPTY), tokens=("old", "new"))
    call.list()
    sent = [given["headers"]["Authorization"] for _, _, given in call.session.asked]
    assert sent == ["Bearer old", "Bearer new"]

    refused = Call(Answer(401), tokens=("old", "new", "newest"))
    assert "HTTP 401" in refused.refusal()
    assert (refused.tries, refused.token.renewed) == (2, 1)

    without_another = Call(Answer(401))
    assert "HTTP 401" in without_another.refusal()
    assert without_another.tries == 1


def test_the_way_can_be_seen_without_the_token() -> None:
    call = Call(Answer(401))
    assert call.api.ask_for_list(call.left, anonymously=True).status == 401
    assert "Authorization" not in call.session.asked[0][2]["headers"]


def test_a_page_from_in_between_is_not_shown() -> None:
    page = f"<pre>Authorization: Bearer {TOKEN}</pre>".encode()
    assert TOKEN not in Call(Answer(502, page)).refusal()


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "put the right one into the SSM parameter"),
        (403, "activate it in the backend"),
        (404, "check AGENT_ID and SERVER_URL"),
        (302, "redirects are not followed"),
        (500, "check the backend"),
        (204, "is a proxy in between?"),
    ],
)
def test_a_list_that_is_not_given_says_what_to_do(status: int, advice: str) -> None:
    said = Call(Answer(status, b'{"error": "its own words"}')).refusal()
    assert f"HTTP {status}" in said
    assert advice in said
    assert "its own words" in said


# Bounds.


def test_an_endless_body_is_not_read_to_its_end() -> None:
    class Endless(Answer):
        given = 0

        def read1(self, size: int, *, decode_content: bool) -> bytes:
            self.given += 8 * 1024 * 1024
            assert self.given < LARGEST_BODY * 2, "it is read to its end"
            return bytes(8 * 1024 * 1024)

    call = Call(Endless(200))
    assert "larger than" in call.refusal()
    assert call.tries == 1


def test_a_body_that_drips_is_not_waited_for() -> None:
    class Dripping(Answer):
        def read1(self, size: int, *, decode_content: bool) -> bytes:
            call.clock.pass_by(1)
            return b" "

    call = Call(Dripping(200))
    assert "took longer than there was time" in call.refusal()
    assert call.clock.left == 0


def test_nothing_is_sent_after_a_pause_that_outlasted_the_time() -> None:
    """Frozen between two tries, and thawed with a later run."""
    call = Call(ProtocolError("x"), Answer(200, ACKNOWLEDGED), seconds=60)
    object.__setattr__(call.api, "sleep", lambda _: call.clock.pass_by(3600))
    with pytest.raises(BackendError, match="no answer from the backend"):
        call.post()
    assert len(call.session.asked) == 1
