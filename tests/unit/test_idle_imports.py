"""A run with nothing to do: one HTTP call, no AWS call, and no AWS SDK loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

SRC = Path(__file__).parents[2] / "src"
LIST = {"instances": [], "auto_terminate_enabled": True, "terminate_wait_seconds": 300}
POWERTOOLS_OWN = {"botocore"}
"""Powertools registers its user agent with the bare package: a millisecond, and no client."""
RUN = """
import json, sys
from handler.termination import lambda_handler

class Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "x"
    def get_remaining_time_in_millis(self):
        return 60_000

answer = lambda_handler({}, Context())
loaded = sorted(sys.modules)
print(json.dumps({"answer": answer, "loaded": loaded}))
"""


class Backend(BaseHTTPRequestHandler):
    """Lists nothing, and notes what it was asked."""

    asked: list[tuple[str, str, str | None]]

    def do_GET(self) -> None:
        type(self).asked.append(("GET", self.path, self.headers["Authorization"]))
        body = json.dumps(LIST).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def backend() -> Iterator[tuple[str, list[tuple[str, str, str | None]]]]:
    asked: list[tuple[str, str, str | None]] = []
    handler = type("Noting", (Backend,), {"asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_an_idle_run_makes_one_http_call_and_loads_no_aws_sdk(
    backend: tuple[str, list[tuple[str, str, str | None]]],
) -> None:
    url, asked = backend
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SRC),
            "AWS_REGION": "us-east-1",
            "AGENT_ID": "agent-1",
            "SERVER_URL": url,
            "CLIENT_TOKEN": "s3cret-token",
            "IDEMPOTENCY_TABLE": "reports",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.splitlines()
    told = json.loads(last)
    assert told["answer"]["listed"] == 0
    assert asked == [("GET", "/api/agents/agent-1/instances-to-terminate", "Bearer s3cret-token")]
    loaded = {name for name in told["loaded"] if name.split(".")[0] in {"boto3", "botocore"}}
    assert loaded <= POWERTOOLS_OWN
    assert not [line for line in lines if '"_aws"' in line], "an idle run sends no metrics"
    assert "s3cret-token" not in done.stdout + done.stderr
