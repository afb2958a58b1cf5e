"""The backend on a socket: in a thread of this process, or in the foreground."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from backend.app import create_app
from backend.context import Settings
from backend.database import EMBEDDED, create_schema, open_engine


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 finds a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio switches Nagle's delay (40 ms a call) off only then.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


def url_of(listener: socket.socket, *, tls: bool = False) -> str:
    """Where clients reach the socket."""
    host, port = listener.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def uvicorn_server(
    app: FastAPI, *, certfile: str | None = None, keyfile: str | None = None
) -> uvicorn.Server:
    """Uvicorn as this project runs it; with a certificate it speaks TLS."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            ssl_certfile=certfile,
            ssl_keyfile=keyfile,
            timeout_graceful_shutdown=3,
        )
    )


@contextmanager
def serve(
    app: FastAPI,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    certfile: str | None = None,
    keyfile: str | None = None,
) -> Iterator[str]:
    """Serve in a thread while the block runs; yields the base URL."""
    server = uvicorn_server(app, certfile=certfile, keyfile=keyfile)
    with listen(host, port) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            while not server.started:
                if not thread.is_alive():
                    raise RuntimeError("the backend did not start; its log says why")
                time.sleep(0.005)
            yield url_of(listener, tls=certfile is not None)
        finally:
            # Clients keep their connections open, and nobody waits for answers any more.
            server.should_exit = server.force_exit = True
            thread.join(10)


@contextmanager
def run_backend(
    database_url: str = EMBEDDED,
    settings: Settings | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    certfile: str | None = None,
    keyfile: str | None = None,
) -> Iterator[str]:
    """A whole backend while the block runs: schema, application, socket; yields the base URL."""
    engine = open_engine(database_url)
    try:
        create_schema(engine)
        app = create_app(engine, settings)
        with serve(app, host=host, port=port, certfile=certfile, keyfile=keyfile) as url:
            yield url
    finally:
        engine.dispose()
