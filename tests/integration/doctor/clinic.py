"""What the doctor examines here, what it says, and AWS endpoints that say what a test wants."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from handler.termination import lambda_handler
from local.invoke import Invocation, invoke
from local.stack import MANAGED, Stack
from tests.support import runbook

EVENT = json.loads((Path(__file__).parents[3] / "events" / "doctor.json").read_text())
CHECKS = [
    "settings",
    "token",
    "backend_reachable",
    "tls",
    "token_accepted",
    "client_active",
    "agent_known",
    "list_shape",
    "auto_terminate_backend",
    "auto_terminate_function",
    "dry_run",
    "clock_skew",
    "ec2_describe",
    "ec2_terminate",
    "ec2_spot_requests",
    "marked_instances",
    "idempotency_table",
    "housekeeping_references",
    "schedule",
    "last_run",
    "last_hour",
]
AFTER_THE_LIST = {"auto_terminate_backend", "marked_instances"}
BEHIND_THE_TOKEN = {"token_accepted", "client_active", "agent_known", "list_shape"}
WITHOUT_TLS = {"clock_skew"} | BEHIND_THE_TOKEN | AFTER_THE_LIST
WITHOUT_BACKEND = WITHOUT_TLS | {"tls"}


@dataclass
class Told:
    """What the doctor said."""

    invocation: Invocation

    @property
    def checks(self) -> dict[str, dict[str, str]]:
        checks = self.invocation.returned["checks"]
        told = dict.fromkeys(one["check"] for one in checks)
        assert list(told) == CHECKS, "each check, in order; once more where agents differ"
        return {one["check"]: one for one in checks}

    def of(self, status: str) -> set[str]:
        return {name for name, one in self.checks.items() if one["status"] == status}

    def only(self, check: str, found: str, cause: str, *, skipped: set[str]) -> None:
        """Exactly this check failed, with these words; exactly these were skipped for it.

        That the cure is the cause's, the runbook holds: `examine` looks.
        """
        assert self.of("failed") == {check}
        one = self.checks[check]
        assert found in one["found"]
        assert cause in one["cause"]
        assert self.of("skipped") == skipped
        assert self.of("ok") == set(CHECKS) - {check} - skipped
        assert self.invocation.returned["healthy"] is False
        assert f"NOT healthy: {check}" in self.invocation.returned["text"]


@dataclass
class Clinic:
    """A stack as it is deployed: moto, the reference backend over TLS, a schedule, and its runs."""

    stack: Stack
    bundle: Path
    function: str
    schedule: str
    secrets: set[str] = field(default_factory=set)

    def examine(
        self, *, agent_id: str | None = None, timeout: float = 55.0, **variables: str | None
    ) -> Told:
        """Invoke the doctor; what must hold after every examination is checked."""
        event = EVENT if agent_id is None else {**EVENT, "agent_id": agent_id}
        environment = {
            **self.stack.environment(),
            "REQUESTS_CA_BUNDLE": str(self.bundle),
            "SCHEDULE_NAME": self.schedule,
            "POWERTOOLS_SERVICE_NAME": self.function,
            **variables,
        }
        given = {name: value for name, value in environment.items() if value is not None}

        def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
            context.function_name = self.function
            returned: dict[str, Any] = lambda_handler(event, context)
            return returned

        invocation = invoke(handler, given, event, timeout=timeout)
        told = Told(invocation)
        written = json.dumps([invocation.returned, invocation.lines])
        assert not [one for one in self.secrets if one in written], "a token was written"
        assert invocation.emf == [], "an examination is no run"
        for one in told.checks.values():
            assert one["found"]
            assert bool(one["cause"] and one["cure"]) == (one["status"] in {"warning", "failed"})
            for text in (one["found"], one["cause"], one["cure"]):
                assert text in invocation.returned["text"]
        runbook.leads_from(invocation.returned)
        return told

    def zombie(self, **tags: str) -> str:
        (instance_id,) = self.stack.launch(tags={**MANAGED, **tags})
        self.stack.operator.add_zombies(self.stack.agent_id, [instance_id], age_seconds=400)
        return instance_id

    def give(self, token: str) -> None:
        self.secrets.add(token)
        self.stack.set_token(token)

    def make_schedule(self, *, rate: str = "rate(1 minute)") -> None:
        group, _, name = self.schedule.partition("/")
        scheduler = self.stack.aws("scheduler")
        with contextlib.suppress(scheduler.exceptions.ConflictException):  # one group, many agents
            scheduler.create_schedule_group(Name=group)
        arn = "arn:aws:iam::123456789012:role/schedule"
        scheduler.create_schedule(
            Name=name,
            GroupName=group,
            ScheduleExpression=rate,
            FlexibleTimeWindow={"Mode": "OFF"},
            State="ENABLED",
            Target={"Arn": "arn:aws:lambda:us-east-1:123456789012:function:f", "RoleArn": arn},
        )

    def count_run(self, *, minutes_ago: float, error: bool = False) -> None:
        """As Lambda counts a run of the function."""
        for metric in ["Invocations", *(["Errors"] if error else [])]:
            self._count("AWS/Lambda", {"FunctionName": self.function}, metric, 1, minutes_ago)

    def count(self, metric: str, value: int = 1, *, minutes_ago: float = 1, **more: str) -> None:
        """As a run sends a metric of its own; `more` dimensions make it another metric (CloudWatch)."""
        self._count("SpotOptimizer", {"service": self.function, **more}, metric, value, minutes_ago)

    def _count(
        self, namespace: str, dimensions: dict[str, str], metric: str, value: float, ago: float
    ) -> None:
        self.stack.aws("cloudwatch").put_metric_data(
            Namespace=namespace,
            MetricData=[
                {
                    "MetricName": metric,
                    "Dimensions": [{"Name": k, "Value": v} for k, v in dimensions.items()],
                    "Timestamp": datetime.now(UTC) - timedelta(minutes=ago),
                    "Value": value,
                }
            ],
        )


Answer = Callable[[str], tuple[int, str]]


@contextlib.contextmanager
def deaf() -> Iterator[str]:
    """An address that takes no connection and refuses none: Linux drops what its full queue cannot hold."""
    with contextlib.ExitStack() as held:
        server = held.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(2):
            one = held.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        yield f"127.0.0.1:{server.getsockname()[1]}"


@contextlib.contextmanager
def mute() -> Iterator[str]:
    """An address that takes connections and says nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        yield f"127.0.0.1:{server.getsockname()[1]}"


@contextlib.contextmanager
def unused() -> Iterator[str]:
    """An address that nobody listens on."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{kept.getsockname()[1]}"


class Stub:
    """An AWS endpoint that answers every request by one function of its body."""

    def __init__(self, answer: Answer) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                status, body = answer(self.rfile.read(length).decode())
                kind = "text/xml" if body.startswith("<") else "application/x-amz-json-1.1"
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            do_GET = do_POST  # noqa: N815 - the base class looks for the name

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"
