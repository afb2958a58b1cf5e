"""Stands before the reference backend: spoils calls by a script, and notes what was recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.wiring import Answer

Call = Literal["instances-to-terminate", "termination-report"]
Kind = Literal["refused", "page", "lost", "half", "slow", "echo"]


@dataclass
class BackendFault:
    """What happens to the next `times` calls of a kind.

    Attributes:
        call: which call.
        kind: `refused`: HTTP 500, nothing done. `page`: somebody else's HTML with a 200, nothing
            done. `lost`: done, and then a 503. `half`: done, and the answer breaks off. `slow`:
            done after `seconds`. `echo`: an error page that shows the request's headers.
        times: how many tries meet it.
        seconds: of `slow`.
        padding: of `echo`: characters that stand before what is shown.
        status: of `echo`.
    """

    call: Call
    kind: Kind
    times: int = 1
    seconds: float = 0.0
    padding: int = 0
    status: int = 400


@dataclass(frozen=True, slots=True)
class Recorded:
    """A report that the backend has recorded."""

    instance_id: str
    success: bool
    error: str | None
    terminated_at: str | None
    at: float
    acknowledged: bool
    """Whether the backend's answer went back whole."""
    state: str | None
    """What was true of the instance at that moment; None where EC2 does not know it."""


@dataclass
class Gate:
    """The script, and the notes."""

    truth: Callable[[str], str | None] = lambda _: None
    now: Callable[[], float] = lambda: 0.0
    wait: Callable[[float], None] = lambda _: None
    script: list[BackendFault] = field(default_factory=list)
    recorded: list[Recorded] = field(default_factory=list)
    fired: list[str] = field(default_factory=list)
    calls: list[tuple[str, float]] = field(default_factory=list)
    under_way: int = 0  # touched by the event loop alone

    def clear(self) -> None:
        self.script.clear()
        self.recorded.clear()
        self.fired.clear()
        self.calls.clear()

    def take(self, call: str) -> BackendFault | None:
        self.calls.append((call, self.now()))
        for fault in self.script:
            if fault.call == call and fault.times > 0:
                fault.times -= 1
                self.fired.append(f"{call} {fault.kind}")
                return fault
        return None


class Gated:
    """The middleware: outside of everything else in the backend."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        self._gate.under_way += 1
        try:
            await self._meet(scope, receive, send)
        finally:
            self._gate.under_way -= 1

    async def _meet(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _whole(receive)
        fault = self._gate.take(scope["path"].rpartition("/")[2])
        kind = fault.kind if fault else None
        if kind == "refused":
            await Answer({"error": "2003 (HY000): Can't connect"}, 500)(scope, receive, send)
            return
        if kind == "page":
            page = Answer("<html>Sign in to the network</html>", 200, media_type="text/html")
            await page(scope, receive, send)
            return
        if fault is not None and kind == "echo":
            shown = {name.decode(): value.decode() for name, value in scope["headers"]}
            error = f"bad request{'.' * fault.padding}: {shown['authorization']}"
            page = Answer({"error": error}, fault.status)
            await page(scope, receive, send)
            return
        if fault is not None and kind == "slow":
            self._gate.wait(fault.seconds)
        answer = await _answer_of(self._app, scope, body)
        self._note(body, answer, acknowledged=kind not in {"lost", "half"})
        if kind == "lost":
            await Answer({"error": "upstream timed out"}, 503)(scope, receive, send)
            return
        start, content = answer
        await send(start)
        if kind == "half":
            part = content[: len(content) // 2]  # the rest never comes: the connection is closed
            await send({"type": "http.response.body", "body": part, "more_body": True})
        else:
            await send({"type": "http.response.body", "body": content})

    def _note(self, body: bytes, answer: tuple[Message, bytes], *, acknowledged: bool) -> None:
        if not body or answer[0]["status"] != 200:
            return
        sent = json.loads(body)
        self._gate.recorded.append(
            Recorded(
                sent["instance_id"],
                sent["success"],
                sent["error"],
                sent["terminated_at"],
                self._gate.now(),
                acknowledged,
                self._gate.truth(sent["instance_id"]),
            )
        )


async def _answer_of(app: ASGIApp, scope: Scope, body: bytes) -> tuple[Message, bytes]:
    start: list[Message] = []
    content: list[bytes] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.append(message)
        else:
            content.append(bytes(message.get("body", b"")))

    await app(scope, receive, keep)
    return start[0], b"".join(content)


async def _whole(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body
