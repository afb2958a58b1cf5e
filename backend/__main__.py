"""``python -m backend``: the reference backend as a process.

Prints one line with its URL. ``DATABASE_URL`` chooses the database (default: embedded, in memory);
``OPERATOR_TOKEN`` protects the operator's routes, and is needed to listen beyond loopback.
"""

import argparse
import ipaddress
import os
import sys

from backend.app import create_app
from backend.context import Settings
from backend.database import EMBEDDED, create_schema, open_engine
from backend.quirks import Quirks
from backend.server import listen, url_of, uvicorn_server


def main(arguments: list[str]) -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m backend", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 finds a free one")
    parser.add_argument("--retry-pause", type=float, default=300.0, metavar="SECONDS")
    parser.add_argument("--quirk", action="append", default=[], metavar="NAME[=N]")
    parser.add_argument("--certfile")
    parser.add_argument("--keyfile")
    options = parser.parse_args(arguments)
    operator_token = os.environ.get("OPERATOR_TOKEN") or None
    if operator_token is None and not _is_loopback(options.host):
        parser.error("set OPERATOR_TOKEN to listen on an address beyond loopback")
    try:
        quirks = Quirks.parse(options.quirk)
    except ValueError as error:
        parser.error(str(error))
    settings = Settings(
        retry_pause_seconds=options.retry_pause, operator_token=operator_token, quirks=quirks
    )
    engine = open_engine(os.environ.get("DATABASE_URL") or EMBEDDED)
    create_schema(engine)
    server = uvicorn_server(
        create_app(engine, settings), certfile=options.certfile, keyfile=options.keyfile
    )
    with listen(options.host, options.port) as listener:
        # Already bound: whoever reads the line can connect, and waits for the first answer.
        listener.listen()
        sys.stdout.write(url_of(listener, tls=options.certfile is not None) + "\n")
        sys.stdout.flush()
        server.run([listener])
    engine.dispose()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    main(sys.argv[1:])
