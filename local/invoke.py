"""Invokes the real handler in this process, as Lambda would, and keeps what it wrote."""

from __future__ import annotations

import io
import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import Any, cast
from unittest.mock import patch

from aws_lambda_powertools.utilities.typing import LambdaContext

TIMEOUT = 55.0
"""Seconds; the template's own."""

Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


@dataclass(slots=True)
class LocalContext:
    """What Lambda passes as the context; its time runs out like Lambda's."""

    timeout: float = TIMEOUT
    function_name: str = "spot-cleanup-local"
    function_version: str = "$LATEST"
    memory_limit_in_mb: int = 256
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:spot-cleanup-local"
    log_group_name: str = "/aws/lambda/spot-cleanup-local"
    log_stream_name: str = "local"
    _ends: float = field(init=False)

    def __post_init__(self) -> None:
        self._ends = time.monotonic() + self.timeout

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda would kill the run."""
        return max(int((self._ends - time.monotonic()) * 1000), 0)


@dataclass(slots=True)
class Invocation:
    """One invocation: what came back, and what was written.

    Attributes:
        returned: the handler's answer.
        lines: the structured log, one mapping a line.
        metrics: every metric's values, by name, over all the EMF lines.
        emf: the EMF lines as written.
    """

    returned: dict[str, Any] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    emf: list[dict[str, Any]] = field(default_factory=list)

    def outcome(self, instance_id: str) -> dict[str, Any]:
        """The audit line of one instance; there must be exactly one."""
        found = [
            line
            for line in self.lines
            if line.get("instance_id") == instance_id and "outcome" in line
        ]
        (line,) = found
        return line

    def read(self, text: str) -> None:
        """Sort what was written into log lines and metrics."""
        for raw in text.splitlines():
            line = json.loads(raw)
            if "_aws" not in line:
                self.lines.append(line)
                continue
            self.emf.append(line)
            for directive in line["_aws"]["CloudWatchMetrics"]:
                for metric in directive["Metrics"]:
                    self.metrics.setdefault(metric["Name"], []).extend(line[metric["Name"]])


@contextmanager
def _written_to(stream: io.StringIO) -> Iterator[None]:
    """Powertools keeps the standard output of its import; let its handlers write here instead."""
    handlers = [
        handler
        for name in list(logging.root.manager.loggerDict)
        for handler in logging.getLogger(name).handlers
        if type(handler) is logging.StreamHandler  # not those of a test runner that listens in
    ]
    before = [handler.setStream(stream) for handler in handlers]
    try:
        with redirect_stdout(stream):
            yield
    finally:
        for handler, old in zip(handlers, before, strict=True):
            handler.setStream(old or stream)


def invoke(
    handler: Handler,
    environment: Mapping[str, str],
    event: dict[str, Any] | None = None,
    *,
    timeout: float = TIMEOUT,
    into: Invocation | None = None,
) -> Invocation:
    """Call the handler under exactly this environment.

    Args:
        handler: `handler.termination.lambda_handler`, say.
        environment: all that the function sees of the environment.
        event: what invoked it.
        timeout: the function's time limit in seconds, as told to it; nothing is killed.
        into: filled also when the handler raises, for who wants to see what it wrote.
    """
    invocation = into if into is not None else Invocation()
    stream = io.StringIO()
    context = cast("LambdaContext", LocalContext(timeout))
    keep = {"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", "/")}
    with patch.dict(os.environ, {**keep, **environment}, clear=True):
        try:
            with _written_to(stream):
                invocation.returned = handler({} if event is None else event, context)
        finally:
            invocation.read(stream.getvalue())
    return invocation
