"""`sam local start-lambda` for one function, while a block runs: its container stays from call to call."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from local.sam.build import SAM
from local.sam.files import ROOT, free_port, sam_environment

STARTS_WITHIN = 60.0
ENDS_WITHIN = 30.0
"""Seconds."""


class ServiceError(Exception):
    """SAM did not start, or did not answer as Lambda does; the message holds the end of its log."""


@dataclass(frozen=True)
class Service:
    """Where the function is called."""

    function: str
    port: int
    log: Path

    def invoke(self, event: object, *, timeout: float = 330) -> dict[str, Any]:
        """Call the function and wait; what it returned, or its error's `errorType` and `errorMessage`."""
        url = f"http://127.0.0.1:{self.port}/2015-03-31/functions/{self.function}/invocations"
        answer = requests.post(url, data=json.dumps(event), timeout=timeout)
        try:
            returned: dict[str, Any] = answer.json()
        except ValueError:
            raise ServiceError(f"{answer.status_code} {answer.text}\n{self.told()}") from None
        return returned

    def told(self) -> str:
        """The end of SAM's own log, in which the function's is."""
        return self.log.read_text(errors="replace")[-3000:]


@contextmanager
def start_lambda(function: str, configuration: Path) -> Iterator[Service]:
    """The service while the block runs.

    In debug mode a warm container needs a port of its own on this machine, so there is one service for
    each function.

    Raises:
        ServiceError: SAM did not start.
    """
    service = Service(function, free_port(), configuration.with_name(f"{function}.log"))
    command = [str(SAM), "local", "start-lambda", "--port", str(service.port)]
    command += ["--config-file", str(configuration), "--debug-port", str(free_port())]
    command += ["--warm-containers", "LAZY", "--debug-function", function]
    with service.log.open("wb") as log:
        started = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**sam_environment(os.environ), "TMPDIR": str(configuration.parent)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # it is told to end when its containers are no longer needed
        )
    try:
        _wait(started, service)
        yield service
    finally:
        started.send_signal(signal.SIGINT)
        try:
            started.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def _wait(started: subprocess.Popen[bytes], service: Service) -> None:
    until = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < until and started.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", service.port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise ServiceError(f"sam local start-lambda did not start:\n{service.told()}")
