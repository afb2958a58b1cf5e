"""The housekeeping function, as it is deployed."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from aws_lambda_powertools.utilities.typing import LambdaContext

from handler.housekeeping import lambda_handler
from local.invoke import LocalContext

TIMEOUT = 300.0
"""Seconds; the template's own."""


def prepare() -> Callable[[], object]:
    """One run with an event of its own."""
    return lambda: lambda_handler({}, cast("LambdaContext", LocalContext(TIMEOUT)))
