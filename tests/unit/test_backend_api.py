"""What is sent to the backend, and what is said of its answers; sockets are the integration's."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Self

import pytest
import requests

from handler.backend.api import LARGEST_BODY, BackendApi, open_session, timestamp
from handler.backend.token import ClientToken
from handler.instances.ports import BackendError, Report
from tests.fakes.build import NOW, iid
from tests.fakes.clock import FakeClock

TOKEN = "s3cret-token"
ACKNOWLEDGED = b'{"success": true, "message": "Termination report recorded"}'
LIST = b'{"instances": [], "auto_terminate_enabled": true, "terminate_wait_seconds": 300}'


class Answer:
    """As much of a response as is read."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status_code = status
        self.body = body

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    @property
    def raw(self) -> Self:
        return self

    def read1(self, size: int, *, decode_content: bool) -> bytes:
        assert decode_content
        chunk, self.body = self.body[:size], self.body[size:]
        return chunk


class Session(requests.Session):
    """Answers in turn; an exception is raised."""

    def __init__(self, *answers: Answer | Exception) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked: list[tuple[str, str, dict[str, Any]]] = []

    def send(self, request: requests.PreparedRequest, **given: Any) -> Answer:  # type: ignore[override]
        told = {"headers": request.headers, "data": request.body, **given}
        self.asked.append((request.method or "", request.url or "", told))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Token:
    """A client token of which there may be a second."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)

    def get(self) -> str:
        return self.tokens[0]

    def renew(self, refused: str) -> str | None:
        self.tokens = self.tokens[1:] or self.tokens
        return self.tokens[0] if self.tokens[0] != refused else None


def api(session: Session, *tokens: str, agent: str = "agent-1", seconds: float = 60) -> BackendApi:
    held: ClientToken = Token(*(tokens or (TOKEN,)))  # type: ignore[assignment]
    return BackendApi(session, "https://b.example/base", agent, held, FakeClock(seconds).deadline())


def test_the_list_is_asked_for_with_the_token_and_no_redirect() -> None:
    session = Session(Answer(200, LIST))
    assert api(session).marked().auto_terminate_enabled is True
    ((method, url, given),) = session.asked
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
    session = Session(Answer(200, LIST))
    api(session, agent=agent).marked()
    assert session.asked[0][1].endswith(f"/api/agents/{path}/instances-to-terminate")


def test_a_success_report_is_the_contract_s() -> None:
    session = Session(Answer(200, ACKNOWLEDGED))
    api(session).report(Report(iid(1), None, NOW))
    method, url, given = session.asked[0]
    assert method == "POST"
    assert url.endswith("/api/agents/agent-1/termination-report")
    assert json.loads(given["data"]) == {
        "instance_id": iid(1),
        "success": True,
        "error": None,
        "terminated_at": "2025-11-25T12:30:00",
    }
    assert given["headers"]["Content-Type"] == "application/json"


def test_a_failure_report_is_the_contract_s() -> None:
    session = Session(Answer(200, ACKNOWLEDGED))
    api(session).report(Report(iid(1), "Code: words", None))
    assert json.loads(session.asked[0][2]["data"]) == {
        "instance_id": iid(1),
        "success": False,
        "error": "Code: words",
        "terminated_at": None,
    }


def test_a_reason_without_end_is_cut() -> None:
    session = Session(Answer(200, ACKNOWLEDGED))
    api(session).report(Report(iid(1), "UnauthorizedOperation: " + 9000 * "x", None))
    sent = json.loads(session.asked[0][2]["data"])["error"]
    assert sent.startswith("UnauthorizedOperation: ")
    assert len(sent) == 1000


def test_an_error_without_words_is_still_no_success() -> None:
    session = Session(Answer(200, ACKNOWLEDGED))
    api(session).report(Report(iid(1), "", None))
    assert json.loads(session.asked[0][2]["data"])["success"] is False


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2025, 11, 25, 12, 30, tzinfo=UTC), "2025-11-25T12:30:00"),
        (datetime(2025, 11, 25, 12, 30, 0, 999_999, tzinfo=UTC), "2025-11-25T12:30:00"),
        (
            datetime(2025, 11, 25, 14, 30, tzinfo=timezone(timedelta(hours=2))),
            "2025-11-25T12:30:00",
        ),
        (
            datetime(2025, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))),
            "2024-12-31T18:45:00",
        ),
    ],
)
def test_times_are_naive_utc_in_whole_seconds(moment: datetime, text: str) -> None:
    """Contract section 1, quirk 1: a zone is answered with HTTP 500."""
    assert timestamp(moment) == text


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
        api(Session(Answer(status, body))).report(Report(iid(1), None, NOW))


@pytest.mark.parametrize("status", [201, 202])
def test_any_2xx_with_its_word_acknowledges(status: int) -> None:
    api(Session(Answer(status, ACKNOWLEDGED))).report(Report(iid(1), None, NOW))


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
    with pytest.raises(BackendError, match=f"HTTP {status}.*") as caught:
        api(Session(Answer(status, b'{"error": "its own words"}'))).marked()
    assert advice in str(caught.value)
    assert "its own words" in str(caught.value)


def test_a_page_from_in_between_is_not_shown() -> None:
    page = f"<pre>Authorization: Bearer {TOKEN}</pre>".encode()
    with pytest.raises(BackendError) as caught:
        api(Session(Answer(502, page))).marked()
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("status", [401, 500])
def test_a_backend_that_repeats_the_token_is_not_quoted_with_it(status: int) -> None:
    """Contract section 2: "No secret is ever logged"."""
    body = json.dumps({"error": f"no client with token '{TOKEN}'"}).encode()
    with pytest.raises(BackendError) as caught:
        api(Session(Answer(status, body))).marked()
    assert TOKEN not in str(caught.value)


def test_a_401_is_answered_with_a_token_fetched_anew() -> None:
    session = Session(Answer(401, b"{}"), Answer(200, LIST))
    api(session, "old", "new").marked()
    assert [given["headers"]["Authorization"] for _, _, given in session.asked] == [
        "Bearer old",
        "Bearer new",
    ]


def test_a_second_401_is_the_end_of_it() -> None:
    session = Session(Answer(401, b"{}"), Answer(401, b"{}"))
    with pytest.raises(BackendError, match="HTTP 401"):
        api(session, "old", "new").marked()
    assert len(session.asked) == 2


def test_a_401_without_another_token_is_not_tried_again() -> None:
    session = Session(Answer(401, b"{}"))
    with pytest.raises(BackendError, match="HTTP 401"):
        api(session).marked()
    assert len(session.asked) == 1


@pytest.mark.parametrize(
    "raised", [requests.ConnectionError("refused"), requests.Timeout("late"), requests.HTTPError()]
)
def test_no_answer_is_the_backend_s_error(raised: Exception) -> None:
    with pytest.raises(BackendError, match="no answer from the backend to GET"):
        api(Session(raised)).marked()


def test_an_endless_body_is_not_read_to_its_end() -> None:
    class Endless(Answer):
        given = 0

        def read1(self, size: int, *, decode_content: bool) -> bytes:
            self.given += 8 * 1024 * 1024
            assert self.given < LARGEST_BODY * 2, "it is read to its end"
            return bytes(8 * 1024 * 1024)

    with pytest.raises(BackendError, match="larger than"):
        api(Session(Endless(200, b""))).marked()


def test_a_body_that_comes_after_the_run_s_time_is_not_waited_for() -> None:
    with pytest.raises(BackendError, match="longer than the run has time"):
        api(Session(Answer(200, LIST)), seconds=0).marked()


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_plain_http_never_leaves_the_host_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "http://proxy.example:3128")
    session = open_session("http://127.0.0.1:5000", 2)
    assert session.proxies == {}
    assert session.trust_env is False


def test_cookies_are_not_kept() -> None:
    policy = open_session("https://b.example", 2).cookies.get_policy()
    assert isinstance(policy, DefaultCookiePolicy)
    assert policy.is_not_allowed("b.example")


def test_certificates_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    assert open_session("https://b.example", 2).verify is True
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/private-ca.pem")
    assert open_session("https://b.example", 2).verify == "/etc/private-ca.pem"


@pytest.mark.parametrize(
    ("token", "quoted"),
    [('s3c"r3t', r"s3c\"r3t"), ("s3c\\r3t", r"s3c\\r3t"), ("s3c/r3t", r"s3c\/r3t")],
)
def test_a_token_that_json_escapes_is_not_quoted_either(token: str, quoted: str) -> None:
    body = f'{{"error": "no client {quoted}"}}'.encode()
    with pytest.raises(BackendError) as caught:
        api(Session(Answer(500, body)), token).marked()
    assert token not in str(caught.value)


@pytest.mark.parametrize("token", ["true", "success", ":"])
def test_an_acknowledgement_holds_whatever_the_token_is(token: str) -> None:
    api(Session(Answer(200, ACKNOWLEDGED)), token).report(Report(iid(1), None, NOW))
