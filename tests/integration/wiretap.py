"""Listens in on the reference backend: what agents ask of it, over how many connections."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.wiring import Answer


@dataclass(frozen=True)
class Request:
    """One call of an agent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: tuple[str, int]

    @property
    def call(self) -> str:
        return self.path.rpartition("/")[2]

    def json(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.body)
        return read


Refusal = tuple[int, dict[str, Any]] | tuple[int, dict[str, Any], dict[str, str]]
"""A status, a body, and perhaps headers."""


@dataclass
class Wiretap:
    """The calls since the last `clear`; `intercept` answers some in the backend's place.

    Attributes:
        intercept: asked with each request; what to answer, or None to let it pass.
        most_at_once: the most calls that were under way at the same time.
    """

    requests: list[Request] = field(default_factory=list)
    intercept: Callable[[Request], Refusal | None] = lambda _: None
    most_at_once: int = 0

    def clear(self) -> None:
        self.requests.clear()
        self.most_at_once = 0

    def reset(self) -> None:
        self.clear()
        self.intercept = lambda _: None

    def of(self, call: str) -> list[Request]:
        return [one for one in self.requests if one.call == call]

    @property
    def lists(self) -> list[Request]:
        return self.of("instances-to-terminate")

    @property
    def reports(self) -> list[Request]:
        return self.of("termination-report")


class Tapped:
    """The middleware: outside of everything else in the backend."""

    def __init__(self, app: ASGIApp, wiretap: Wiretap) -> None:
        self._app = app
        self._tap = wiretap
        self._under_way = 0  # touched by the event loop alone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        self._under_way += 1
        self._tap.most_at_once = max(self._tap.most_at_once, self._under_way)
        try:
            body = await _whole(receive)
            request = Request(
                scope["method"],
                scope["path"],
                {name.decode(): value.decode() for name, value in scope["headers"]},
                body,
                tuple(scope["client"]),
            )
            self._tap.requests.append(request)
            refusal = self._tap.intercept(request)
            app = self._app
            if refusal is not None:
                app = Answer(refusal[1], refusal[0], *refusal[2:])
            await app(scope, _again(body, receive), send)
        finally:
            self._under_way -= 1


async def _whole(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


def _again(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
