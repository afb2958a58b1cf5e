"""The backend's HTTP API (contract section 1), as one agent speaks to it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import requests
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import HTTPError, InvalidHeader
from urllib3.util.retry import Retry

from handler import PRODUCT, redact
from handler.backend.errors import BackendError
from handler.backend.wire import Envelope, is_acknowledged, read_envelope, said_by

if TYPE_CHECKING:
    from handler.backend.token import ClientToken

TRIES = 4
"""How often one request is made at most."""
CONNECT_TIMEOUT = 3.05
"""Seconds; a little over TCP's first retransmission (requests, "Timeouts")."""
READ_TIMEOUT = 10.0
"""Seconds at most for one try; less when there is less time."""
LONGEST_PAUSE = 5.0
"""Seconds, whatever Retry-After says: the next run comes in a minute."""
LARGEST_BODY = 16 * 1024 * 1024
"""Bytes: some 100,000 entries. More is no list, and would not fit into the function's memory."""
LONGEST_ERROR = 1000
"""Characters of a failure's reason: EC2 adds kilobytes of encoded details to a denial."""
AGAIN = frozenset({408, 425, 429})
"""Beside 5xx: what is worth another try (contract section 2, "A retry is due")."""
HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": PRODUCT,
}
"""What every request bears, besides the token."""

_ADVICE = {
    401: "the client token is not accepted: put the right one into the SSM parameter",
    403: "the client is inactive: activate it in the backend",
    404: "the backend does not know this agent for this client: check AGENT_ID and SERVER_URL",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What the backend answered."""

    status: int
    body: bytes
    retry_after: str | None = None

    @property
    def said(self) -> str:
        """The backend's own words on an error, to be added to a message."""
        return said_by(self.body)


@dataclass(frozen=True, slots=True)
class BackendApi:
    """One agent's calls in one run.

    Args:
        session: shared by all runs of an execution environment, and by a run's threads.
        server_url: the base URL, without a slash at its end.
        agent_id: the agent that the calls speak for.
        token: where the client token comes from.
        sleep: waits for so many seconds between tries.
    """

    session: requests.Session
    server_url: str
    agent_id: str
    token: ClientToken
    sleep: Callable[[float], None] = time.sleep

    def list(self, left: Callable[[], float]) -> Envelope:
        """GET instances-to-terminate, within `left` seconds. Raises BackendError."""
        reply = self.ask_for_list(left)
        if reply.status != requests.codes.ok:
            raise BackendError(_refusal("the list of instances", reply), reply.status)
        return read_envelope(reply.body)

    def ask_for_list(self, left: Callable[[], float], *, anonymously: bool = False) -> Reply:
        """The same as it is answered; without the token only to see the way. Raises BackendError."""
        call = "instances-to-terminate"
        if anonymously:
            return self._tries("GET", call, None, None, left)
        return self._call("GET", call, None, left)

    def post(self, call: str, sent: Mapping[str, object], left: Callable[[], float]) -> None:
        """Deliver a report; acknowledged is only what the backend says it has recorded.

        Raises:
            BackendError: it was not acknowledged.
        """
        reply = self._call("POST", call, redact.dumps(sent).encode(), left)
        if not (200 <= reply.status < 300 and is_acknowledged(reply.body)):
            raise BackendError(_refusal("the report", reply), reply.status)

    def _call(self, method: str, call: str, body: bytes | None, left: Callable[[], float]) -> Reply:
        """One call; on a 401 once more with a token fetched anew."""
        token = self.token.get()
        reply = self._tries(method, call, body, token, left)
        if reply.status == requests.codes.unauthorized:
            fresh = self.token.renew(token)
            if fresh is not None:
                return self._tries(method, call, body, fresh, left)
        return reply

    def _tries(
        self,
        method: str,
        call: str,
        body: bytes | None,
        token: str | None,
        left: Callable[[], float],
    ) -> Reply:
        """Ask until there is an answer to keep: a report that is made twice says the same.

        requests' own retries do not see an answer that breaks off in its body, so the tries are made here.
        """
        request = self._prepared(method, call, body, token)
        for tries in range(1, TRIES + 1):
            answer: Reply | BackendError
            try:
                answer = self._once(request, left)
            except (requests.RequestException, HTTPError) as error:
                answer = BackendError(f"no answer from the backend to {method} {call}: {error}")
                answer.__cause__ = error
                pause = _back_off(tries)
            else:
                if answer.status not in AGAIN and answer.status < 500:
                    return answer
                pause = _asked(answer.retry_after) or _back_off(tries)
            if tries == TRIES or left() <= 0:
                break
            self.sleep(max(min(pause, LONGEST_PAUSE, left()), 0.0))
            if left() <= 0:  # the pause outlasted the run, in a frozen environment by far
                break
        if isinstance(answer, BackendError):
            raise answer
        return answer

    def _once(self, request: requests.PreparedRequest, left: Callable[[], float]) -> Reply:
        """One try gets half of the time that is left: there is time for another, and for a slow one."""
        limit = min(max(left() / 2, 0.5), READ_TIMEOUT)
        with self.session.send(
            request,
            timeout=(min(CONNECT_TIMEOUT, limit), limit),
            allow_redirects=False,
            stream=True,
            proxies=self.session.proxies,
        ) as response:
            body = _read(response, left)
            return Reply(response.status_code, body, response.headers.get("Retry-After"))

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
            raise BackendError("the backend's answer took longer than there was time")
    return bytes(body)


def _back_off(tries: int) -> float:
    """Seconds before the next try: twice as long each time, and never for all at once."""
    return 0.2 * 2.0**tries * random.uniform(0.5, 1.0)  # noqa: S311 - jitter


def _asked(retry_after: str | None) -> float:
    """Seconds that the backend asks to wait; what cannot be read asks for nothing."""
    if not retry_after:
        return 0.0
    try:
        asked: float = Retry().parse_retry_after(retry_after)
        return max(asked, 0.0)
    except (InvalidHeader, ValueError, OverflowError, TypeError):
        return 0.0


def _refusal(what: str, reply: Reply) -> str:
    status = reply.status
    advice = _ADVICE.get(status, "check the backend")
    if 300 <= status < 400:
        advice = "redirects are not followed: set SERVER_URL to where the backend really is"
    elif 200 <= status < 300:
        advice = "this is not the backend's own answer: is a proxy in between?"
    return f"{what}: the backend answered HTTP {status} ({advice}){reply.said}"
