"""The structured log, and the metrics in CloudWatch's embedded format (contract section 2)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeAlias, get_args

from aws_lambda_powertools.logging import Logger

from handler import redact
from handler.settings import LogLevel

SERVICE = "spot-cleanup"
"""Powertools' service name where POWERTOOLS_SERVICE_NAME is not set."""
COUNT, SECONDS, GIGABYTES, NO_UNIT = "Count", "Seconds", "Gigabytes", "None"
Metric: TypeAlias = tuple[str, str, float]
"""Name, unit, value."""


def _level() -> str:
    """The level to start with: a bad one is for the settings to tell, which needs a logger."""
    level = os.environ.get("POWERTOOLS_LOG_LEVEL", "").upper()
    return level if level in get_args(LogLevel) else "INFO"


logger = Logger(
    service=os.environ.get("POWERTOOLS_SERVICE_NAME") or SERVICE,
    level=_level(),
    utc=True,
    json_serializer=redact.dumps,
)
"""Made at import, since it must be there to tell that the settings are bad."""
redact.quiet(logger.name)


def metrics_to(namespace: str, service: str) -> Callable[[Sequence[Metric]], None]:
    """What sends metrics, with the dimension `service` alone: the bill must not grow with the agents.

    Metrics are billed by the hour in which they are sent: nothing to say, nothing sent.
    """

    def send(values: Sequence[Metric]) -> None:
        if not values:
            return
        from aws_lambda_powertools.metrics import EphemeralMetrics  # idle runs send none

        metrics = EphemeralMetrics(namespace=namespace, service=service)
        for name, unit, value in values:
            metrics.add_metric(name=name, unit=unit, value=value)
        if metrics.metric_set:  # it has sent a hundred values by itself, and may have none left
            metrics.flush_metrics()

    return send
