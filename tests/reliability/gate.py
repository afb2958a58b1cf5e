"""Stands before the reference backend: spoils calls by a script, and notes lists and reports."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.wiring import Answer

Call = Literal["instances-to-terminate", "termination-report"]
Kind = Literal["refused", "page", "busy", "lost", "half", "slow"]
RETRY_AFTER = ("1m0s", "0.493", "-1", "9999999999", "Tue, 01 Jan 99999 00:00:00 GMT", "soon", "")
"""What gateways have been seen to send, and what no number is."""
Listed: TypeAlias = Mapping[str, list[tuple[bool, str | None]]]
"""Id → of each of its entries in one list, whether it is a replica's, and its zone."""


@dataclass
class BackendFault:
    """What happens to the next `times` calls of a kind.

    Attributes:
        call: which call.
        kind: `refused`: HTTP 500, nothing done. `page`: somebody else's HTML with a 200, nothing
            done. `busy`: 503 with an odd Retry-After, nothing done. `lost`: done, and then a 503.
            `half`: done, and the answer breaks off. `slow`: done after `seconds`.
        times: how many tries meet it.
        seconds: of `slow`.
    """

    call: Call
    kind: Kind
    times: int = 1
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Recorded:
    """A report that the backend has recorded."""

    agent: str
    instance_id: str
    success: bool
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
    lists: list[tuple[str, Listed]] = field(default_factory=list)
    recorded: list[Recorded] = field(default_factory=list)
    fired: list[str] = field(default_factory=list)
    calls: int = 0
    under_way: int = 0  # touched by the event loop alone
    odd: Iterator[str] = field(default_factory=lambda: itertools.cycle(RETRY_AFTER))

    def clear(self) -> None:
        for notes in (self.script, self.lists, self.recorded, self.fired):
            notes.clear()

    def take(self, call: str) -> BackendFault | None:
        self.calls += 1
        for fault in self.script:
            if fault.call == call and fault.times > 0:
                fault.times -= 1
                self.fired.append(f"{call} {fault.kind}")
                return fault
        return None

    def note(self, agent: str, sent: bytes, answer: bytes, *, acknowledged: bool) -> None:
        """A call that was answered with 200."""
        if sent:
            report = json.loads(sent)
            one, success = report["instance_id"], report["success"]
            recorded = Recorded(agent, one, success, self.now(), acknowledged, self.truth(one))
            self.recorded.append(recorded)
        elif acknowledged:
            listed: dict[str, list[tuple[bool, str | None]]] = {}
            for entry in json.loads(answer)["instances"]:
                replica = entry["reason"] == "replica_terminated"
                listed.setdefault(str(entry["instance_id"]), []).append((replica, entry["az"]))
            self.lists.append((agent, listed))


def merged(lists: Sequence[tuple[str, Listed]]) -> dict[str, Listed]:
    """What each agent was told; two runs at once may be told different things."""
    told: dict[str, dict[str, list[tuple[bool, str | None]]]] = {}
    for agent, listed in lists:
        for one, entries in listed.items():
            told.setdefault(agent, {}).setdefault(one, []).extend(entries)
    return dict(told)


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
        agent, call = scope["path"].split("/")[-2:]
        fault = self._gate.take(call)
        kind = fault.kind if fault else None
        instead: Answer | None = None
        if kind == "refused":
            instead = Answer({"error": "2003 (HY000): Can't connect"}, 500)
        elif kind == "page":
            instead = Answer("<html>Sign in to the network</html>", 200, media_type="text/html")
        elif kind == "busy":
            instead = Answer({"error": "busy"}, 503, headers={"Retry-After": next(self._gate.odd)})
        if instead is not None:
            await instead(scope, receive, send)
            return
        if fault is not None and kind == "slow":
            self._gate.wait(fault.seconds)
        start, content = await _answer_of(self._app, scope, body)
        if start["status"] == 200:
            self._gate.note(agent, body, content, acknowledged=kind not in {"lost", "half"})
        if kind == "lost":
            await Answer({"error": "upstream timed out"}, 503)(scope, receive, send)
            return
        await send(start)
        if kind == "half":
            part = content[: len(content) // 2]  # the rest never comes: the connection is closed
            await send({"type": "http.response.body", "body": part, "more_body": True})
        else:
            await send({"type": "http.response.body", "body": content})


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
