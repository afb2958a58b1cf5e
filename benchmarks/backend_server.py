"""A backend that costs little: what is measured is who calls it.

One thread, no framework, answers composed beforehand: next to it a client's own work can be seen.
It speaks TLS, with a certificate, an intermediate's and a root that stands in the client's bundle of CAs
beside all the public ones: so a client verifies, and loads, what it does in life.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import certifi

from benchmarks.settings import ZONES
from tests.integration.certificates import Authority

_REPORTED = json.dumps({"success": True, "message": "Termination report recorded"}).encode()


class BackendServer:
    """Lists what is marked until its success is reported (contract, section 1).

    Args:
        secure: whether it speaks TLS; without, its own work is less, where it counts as the client's.
    """

    def __init__(self, *, secure: bool = True) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="spot-cleanup-bench-")
        self._context = None
        if secure:
            folder = Path(self._folder.name)
            root = Authority(folder)
            self._context = Authority(folder, root).server("127.0.0.1")
            known = Path(certifi.where()).read_text() + root.bundle.read_text()
            (folder / "bundle.pem").write_text(known)
        self._connections = 0
        self._marked: dict[str, dict[str, Any]] = {}
        self._latency = 0.0
        self._calls: Counter[str] = Counter()
        self._received = 0
        self._failures: list[str] = []
        self._port = 0
        self._listening = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True).start()
        self._listening.wait(10)

    def url(self) -> str:
        """Where it listens."""
        return f"http{'s' * bool(self._context)}://127.0.0.1:{self._port}"

    def bundle(self) -> str:
        """The file of CAs that clients must trust."""
        return str(Path(self._folder.name) / "bundle.pem")

    def reset(self, *, latency: float = 0.0) -> None:
        """Mark nothing, count from zero, answer after so many seconds."""
        self._latency = latency
        self._marked = {}
        self._calls = Counter()
        self._received = 0
        self._failures = []

    def mark(self, ids: list[str]) -> None:
        """List these, spread over the zones as `AwsServer.launch` spreads them."""
        self._marked = {
            one: {
                "instance_id": one,
                "instance_type": "c5.large",
                "az": ZONES[number % len(ZONES)],
                "reason": "zombie_timeout",
                "seconds_waiting": 320 + number,
            }
            for number, one in enumerate(ids)
        }

    def forget_calls(self) -> None:
        """Count from zero."""
        self._calls = Counter()
        self._received = 0
        self._connections = 0

    def seen(self) -> dict[str, Any]:
        """Requests by call, bytes received, new connections, failures reported, and how many are marked."""
        return {
            "calls": dict(self._calls),
            "bytes": self._received,
            "connections": self._connections,
            "failures": list(self._failures),
            "left": len(self._marked),
        }

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: _Connection(self), "127.0.0.1", 0, backlog=128, ssl=self._context
        )
        self._port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await server.serve_forever()

    def connected(self) -> None:
        """Somebody has made a connection."""
        self._connections += 1

    @property
    def latency(self) -> float:
        """Seconds before an answer."""
        return self._latency

    def answer(self, head: bytes, body: bytes) -> bytes:
        """The whole answer to one request."""
        self._received += len(head) + 4 + len(body)
        if head.startswith(b"GET"):
            self._calls["list"] += 1
            found = {
                "instances": list(self._marked.values()),
                "auto_terminate_enabled": True,
                "terminate_wait_seconds": 300,
            }
            return _framed(json.dumps(found).encode())
        self._calls[head.split(b" ", 2)[1].rsplit(b"/", 1)[-1].decode()] += 1
        report = json.loads(body)
        if report.get("success"):
            self._marked.pop(report["instance_id"], None)
        elif "instance_id" in report:
            self._failures.append(str(report.get("error")))
        return _framed(_REPORTED)


class _Connection(asyncio.Protocol):
    def __init__(self, server: BackendServer) -> None:
        self._server = server
        self._read = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows asyncio's own type
        self._transport = transport
        self._server.connected()

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, rest = self._read.partition(b"\r\n\r\n")
        if not end or len(rest) < (length := _length(head)):
            return
        self._read = rest[length:]
        answer = self._server.answer(head, rest[:length])
        if self._server.latency:
            loop = asyncio.get_running_loop()
            loop.call_later(self._server.latency, self._send, answer)
        else:
            self._send(answer)

    def _send(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":", 1)[1])
    return 0


def _framed(body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
