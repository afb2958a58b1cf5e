"""The socket: HTTP/1.1 on loopback, connections kept alive, or broken on purpose.

The standard library's server: werkzeug's closes the connection after each answer and does not let go
of the socket, and both matter here.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tools.ec2_emulator.router import Answer

Respond = Callable[[Mapping[str, str], bytes], Answer]


class Server:
    """A server on a free port, in a thread of its own."""

    def __init__(self, respond: Respond) -> None:
        self._http = _Http(respond)
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        self._http.close_connections()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # clients keep their connections open longer than a test lasts
    request_queue_size = 128

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        with self._open_lock:
            left = list(self._open)
        for each in left:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Http

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        # HTTP's names have no case, and not every client writes them as botocore does.
        headers = {name.title(): value for name, value in self.headers.items()}
        self._send(self.server.respond(headers, body))

    def _send(self, answer: Answer) -> None:
        if answer.body is None:
            self.close_connection = True
            return
        length = len(answer.body)
        head = (
            f"HTTP/1.1 {answer.status} {_phrase(answer.status)}\r\n"
            f"Content-Type: {answer.content_type}\r\n"
            f"x-amzn-RequestId: {answer.request_id}\r\n"
            f"Content-Length: {length}\r\n"
            + "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
            + "\r\n"
        ).encode()
        # In one piece, so that it costs one packet.
        self.wfile.write(head + (answer.body if answer.complete else answer.body[: length // 2]))
        self.close_connection = self.close_connection or not answer.complete

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Calls are in the call log."""


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
