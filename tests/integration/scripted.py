"""A backend whose every answer a test can script, down to the bytes on the socket."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

LIST = "instances-to-terminate"
REPORT = "termination-report"


class Exchange:
    """One request as a fault sees it, and the ways to answer it.

    Args:
        handler: the connection's.
        body: of the request.
        genuine: the well-behaved backend's answer.
        ending: set when the server is calm again, or being closed.
    """

    def __init__(
        self,
        handler: BaseHTTPRequestHandler,
        body: bytes,
        genuine: Callable[[], tuple[int, Any]],
        ending: threading.Event,
    ) -> None:
        self.handler = handler
        self.body = body
        self.headers: Mapping[str, str] = {k.lower(): v for k, v in handler.headers.items()}
        self._genuine = genuine
        self._ending = ending

    @property
    def call(self) -> str:
        return self.handler.path.rpartition("/")[2]

    def genuine(self, **headers: str) -> None:
        """Answer as the backend should."""
        status, answer = self._genuine()
        self.answer(status, json.dumps(answer).encode(), **headers)

    def genuine_body(self) -> bytes:
        """What the backend should answer, for faults that spoil it on the way."""
        return json.dumps(self._genuine()[1]).encode()

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """A whole answer."""
        self.head(status, {"Content-Length": str(len(body)), **headers})
        self.write(body)

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self.handler.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()

    def write(self, piece: bytes) -> bool:
        """Send these bytes; False when the client has given up."""
        try:
            self.handler.wfile.write(piece)
            self.handler.wfile.flush()
        except OSError:
            return False
        return True

    def wait(self, seconds: float) -> bool:
        """Let time pass; whether the trouble ended meanwhile."""
        return self._ending.wait(seconds)

    def hang_up(self, *, reset: bool = False) -> None:
        """Close the connection after this exchange; with a reset instead of an orderly end."""
        if reset:
            linger = struct.pack("ii", 1, 0)
            self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.handler.rfile.close()
            self.handler.wfile.close()
            self.handler.connection.close()
        self.handler.close_connection = True


Fault = Callable[[Exchange], None]


class ScriptedBackend:
    """Well-behaved until told otherwise: lists what is marked, and takes reports of it.

    Attributes:
        marked: the entries by instance id; a success report takes its entry away.
        extra: entries that are listed as they are, whatever is reported.
        enabled: `auto_terminate_enabled` as listed.
        reports: the bodies of the reports that were recorded.
        seen: every request, as (call, headers).
    """

    def __init__(self, token: str, tls: ssl.SSLContext | None = None) -> None:
        self.token = token
        self.marked: dict[str, dict[str, Any]] = {}
        self.extra: list[Any] = []
        self.enabled: Any = True
        self.reports: list[dict[str, Any]] = []
        self.seen: list[tuple[str, Mapping[str, str]]] = []
        self._scripts: dict[str, deque[Fault]] = {LIST: deque(), REPORT: deque()}
        self._always: dict[str, Fault] = {}
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._tls = tls
        self._port = 0
        self._http: _Http | None = None
        self.up()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending.set()
        self.down()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def up(self) -> None:
        """Listen, again on the same port."""
        self._http = _Http(self._port, self._answer, self._tls)
        self._port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def down(self) -> None:
        """Stop listening and close every connection: nothing answers on the port."""
        http, self._http = self._http, None
        if http is not None:
            http.shutdown()
            http.server_close()
            http.close_connections()

    def mark(self, *instance_ids: str, **more: Any) -> None:
        for one in instance_ids:
            self.marked[one] = {
                "instance_id": one,
                "instance_type": "c5.large",
                "az": "us-east-1a",
                "reason": "zombie_timeout",
                "seconds_waiting": 320,
                **more,
            }

    def meets(self, call: str, *faults: Fault) -> None:
        """The next requests of this call meet these faults, one each."""
        self._scripts[call].extend(faults)

    def always_meets(self, call: str, fault: Fault) -> None:
        self._always[call] = fault

    def calm(self) -> None:
        """No more faults; those under way end."""
        self._ending.set()
        self._ending = threading.Event()
        self._always.clear()
        for script in self._scripts.values():
            script.clear()
        self.seen.clear()
        if self._http is None:
            self.up()

    def count(self, call: str) -> int:
        return sum(1 for seen, _ in self.seen if seen == call)

    def successes(self, instance_id: str) -> int:
        return sum(r["instance_id"] == instance_id and r["success"] for r in self.reports)

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        exchange = Exchange(handler, body, lambda: self._genuine(exchange), self._ending)
        with self._lock:
            self.seen.append((exchange.call, exchange.headers))
            script = self._scripts.get(exchange.call)
            fault = script.popleft() if script else self._always.get(exchange.call)
        if fault is None:
            exchange.genuine()
        else:
            fault(exchange)

    def _genuine(self, exchange: Exchange) -> tuple[int, Any]:
        if exchange.headers.get("authorization") != f"Bearer {self.token}":
            return 401, {"error": "Invalid client token"}
        with self._lock:
            if exchange.call == LIST:
                return 200, {
                    "instances": [*self.marked.values(), *self.extra],
                    "auto_terminate_enabled": self.enabled,
                    "terminate_wait_seconds": 300,
                }
            report = json.loads(exchange.body)
            self.reports.append(report)
            if report["success"]:
                self.marked.pop(report["instance_id"], None)
        return 200, {"success": True, "message": "Termination report recorded"}


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(
        self,
        port: int,
        respond: Callable[[BaseHTTPRequestHandler, bytes], None],
        tls: ssl.SSLContext | None,
    ) -> None:
        self.respond = respond
        self.tls = tls
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self.tls is not None:
            connection.settimeout(10)
            connection = self.tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        self._open.add(connection)
        return connection, address

    def close_connections(self) -> None:
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that break are what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Http

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.server.respond(self, self.rfile.read(length))

    do_POST = do_GET  # noqa: N815 - the base class looks for the name
    do_CONNECT = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Requests are in `seen`."""
