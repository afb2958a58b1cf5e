"""The termination function, as it is deployed."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import cast

from aws_lambda_powertools.utilities.typing import LambdaContext

from handler.termination import lambda_handler
from local.invoke import TIMEOUT, LocalContext


def prepare() -> Callable[[], object]:
    """One run with an event of its own; `BENCH_TIMEOUT` is its time limit in seconds."""
    timeout = float(os.environ.get("BENCH_TIMEOUT", TIMEOUT))
    return lambda: lambda_handler({}, cast("LambdaContext", LocalContext(timeout)))
