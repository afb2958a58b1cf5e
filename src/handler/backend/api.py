"""The backend's HTTP API (contract section 1), over one `requests` session with keep-alive."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError, InvalidHeader, MaxRetryError
from urllib3.util.retry import Retry

from handler.backend.errors import BackendError
from handler.backend.wire import is_acknowledged, read_listing, said_by
from handler.deadline import Deadline
from handler.instances.model import Listing
from handler.instances.ports import Report

if TYPE_CHECKING:
    from handler.backend.token import ClientToken

TRIES = 4
"""How often one request is made at most."""
CONNECT_TIMEOUT = 3.05
"""Seconds; a little over TCP's first retransmission (requests, "Timeouts")."""
READ_TIMEOUT = 10.0
"""Seconds at most for one try; less when the run's time is short."""
LARGEST_BODY = 64 * 1024 * 1024
"""Bytes: some 300,000 entries. More is no list."""

LONGEST_ERROR = 1000
"""Characters of a failure's reason: EC2 adds kilobytes of encoded details to a denial."""

HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": "spot-cleanup",
}
"""What every request bears, besides the token."""

_ADVICE = {
    401: "the client token is not accepted: put the right one into the SSM parameter",
    403: "the client is inactive: activate it in the backend",
    404: "the backend does not know this agent for this client: check AGENT_ID and SERVER_URL",
}


_time_left: ContextVar[Callable[[], float]] = ContextVar("time_left")
"""Seconds left for the call under way: urllib3 hands nothing through to its retries."""


class _Retry(Retry):
    """urllib3's own, which ends with the run's time, and takes any Retry-After for what it is."""

    def increment(self, *args: Any, **kwargs: Any) -> Self:  # noqa: ANN401 - urllib3's signature
        """The next try's counters; none when the time is over. Raises MaxRetryError then."""
        following = super().increment(*args, **kwargs)
        if _time_left.get()() <= 0:
            raise MaxRetryError(kwargs["_pool"], args[1], kwargs.get("error"))
        return following

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Seconds to wait as the backend asks; one that cannot be read asks for nothing."""
        try:
            asked = super().get_retry_after(response)
        except InvalidHeader:
            return None
        return None if asked is None else min(asked, max(_time_left.get()(), 0.0))

    def get_backoff_time(self) -> float:
        """Seconds to wait before the next try."""
        return min(super().get_backoff_time(), max(_time_left.get()(), 0.0))


class _Session(requests.Session):
    """requests reads a redirect's body and target even where it is told not to follow it."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """No answer is a redirect: the token goes to the configured host, and to no other."""


def open_session(server_url: str, at_once: int) -> requests.Session:
    """A session that retries with jitter, keeps `at_once` connections, and stores no cookies.

    A proxy and a private CA (`REQUESTS_CA_BUNDLE`) are taken from the environment once, as
    requests itself would at every call; a .netrc file is not read, so no other credentials than
    the client token are ever sent.
    """
    retry = _Retry(
        total=TRIES - 1,
        backoff_factor=0.2,
        backoff_jitter=0.3,
        backoff_max=2.0,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=("GET", "POST"),  # a report that is made twice says the same
        raise_on_status=False,
        respect_retry_after_header=True,
        retry_after_max=5,  # the next run comes in a minute; sleeping longer would lose this one
    )
    session = _Session()
    found = session.merge_environment_settings(server_url, {}, False, None, None)
    # Plain http is for loopback only: it must not leave the host through a proxy.
    session.proxies = {} if server_url.startswith("http:") else found["proxies"]
    session.verify = found["verify"]
    session.trust_env = False
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=at_once, max_retries=retry)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


@dataclass(frozen=True, slots=True)
class Reply:
    """What the backend answered.

    Args:
        status: HTTP's.
        body: as it came.
        token: what the request bore, which an error may repeat.
    """

    status: int
    body: bytes
    token: str | None

    @property
    def said(self) -> str:
        """The backend's own words on an error, to be added to a message; never the token."""
        return said_by(self.body, self.token)


@dataclass(frozen=True, slots=True)
class BackendApi:
    """The port `Backend` for one agent and one run.

    Args:
        session: shared by all runs of an execution environment, and by a run's threads.
        server_url: the base URL, without a slash at its end.
        agent_id: the agent that the calls speak for.
        token: where the client token comes from.
        deadline: bounds every call's time.
    """

    session: requests.Session
    server_url: str
    agent_id: str
    token: ClientToken
    deadline: Deadline

    def marked(self) -> Listing:
        """GET instances-to-terminate."""
        reply = self.ask_for_list()
        if reply.status != 200:
            raise BackendError(_refusal("the list of instances", reply))
        return read_listing(reply.body)

    def ask_for_list(self, *, anonymously: bool = False) -> Reply:
        """GET instances-to-terminate, as it is answered; without the token only to see the way."""
        call, left = "instances-to-terminate", self.deadline.to_act
        if anonymously:
            return self._try("GET", call, None, None, left)
        return self._call("GET", call, None, left)

    def report(self, report: Report) -> None:
        """POST termination-report; acknowledged is only what the backend says it has recorded."""
        sent = {
            "instance_id": report.instance_id,
            "success": report.error is None,
            "error": report.error and report.error[:LONGEST_ERROR],
            "terminated_at": timestamp(report.ended_at) if report.ended_at else None,
        }
        self.post("termination-report", sent)

    def accepted(self) -> None:
        """Make sure that the backend knows this agent: it answers with its list.

        Raises BackendError where it does not.
        """
        self.marked()

    def post(self, call: str, sent: dict[str, Any]) -> None:
        """Deliver a report; acknowledged is only what the backend says it has recorded.

        Raises BackendError where it is not.
        """
        body = json.dumps(sent).encode()
        reply = self._call("POST", call, body, self.deadline.to_report)
        if not (200 <= reply.status < 300 and is_acknowledged(reply.body)):
            raise BackendError(_refusal("the report", reply))

    def _call(self, method: str, call: str, body: bytes | None, left: Callable[[], float]) -> Reply:
        """One call; on a 401 once more with a token fetched anew."""
        token = self.token.get()
        reply = self._try(method, call, body, token, left)
        if reply.status == 401 and (fresh := self.token.renew(token)) is not None:
            return self._try(method, call, body, fresh, left)
        return reply

    def _try(
        self,
        method: str,
        call: str,
        body: bytes | None,
        token: str | None,
        left: Callable[[], float],
    ) -> Reply:
        per_try = min(max(left() / TRIES, 0.5), READ_TIMEOUT)
        _time_left.set(left)
        try:
            with self.session.send(
                self._prepared(method, call, body, token),
                timeout=(min(CONNECT_TIMEOUT, per_try), per_try),
                allow_redirects=False,
                stream=True,
                verify=self.session.verify,
                proxies=self.session.proxies,
                cert=None,
            ) as response:
                return Reply(response.status_code, _read(response, left), token)
        except (requests.RequestException, HTTPError) as error:
            raise BackendError(f"no answer from the backend to {method} {call}: {error}") from error

    def _prepared(
        self, method: str, call: str, body: bytes | None, token: str | None
    ) -> requests.PreparedRequest:
        """The request as it is sent; `Session.request` would work out the same anew, at a cost."""
        request = requests.PreparedRequest()
        request.method = method
        request.url = f"{self.server_url}/api/agents/{quote(self.agent_id, safe='')}/{call}"
        request.headers = CaseInsensitiveDict(HEADERS)
        request.hooks = self.session.hooks
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            request.headers["Content-Type"] = "application/json"
            request.headers["Content-Length"] = str(len(body))
            request.body = body
        return request


def _read(response: requests.Response, left: Callable[[], float]) -> bytes:
    """The whole body, within bounds of size and time: a server may drip for ever.

    `iter_content` would wait for a whole chunk; this looks at the clock whenever something came.
    """
    body = bytearray()
    while chunk := response.raw.read1(65536, decode_content=True):
        body += chunk
        if len(body) > LARGEST_BODY:
            raise BackendError(f"the backend's answer is larger than {LARGEST_BODY} bytes")
        if left() <= 0:
            raise BackendError("the backend's answer took longer than the run has time")
    return bytes(body)


def timestamp(moment: datetime) -> str:
    """The backend's time format: naive ISO 8601 in UTC, whole seconds (contract, quirk 1)."""
    return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat()


def _refusal(what: str, reply: Reply) -> str:
    status = reply.status
    advice = _ADVICE.get(status, "check the backend")
    if 300 <= status < 400:
        advice = "redirects are not followed: set SERVER_URL to where the backend really is"
    elif 200 <= status < 300:
        advice = "this is not the backend's own answer: is a proxy in between?"
    return f"{what}: the backend answered HTTP {status} ({advice}){reply.said}"
