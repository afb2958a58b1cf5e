"""The structured log and the metrics of a run (contract section 2)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, get_args

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from handler.instances.model import Instance, Invalid
from handler.instances.outcome import STILL_WAITING, Outcome, Settled, Summary
from handler.settings import LogLevel

if TYPE_CHECKING:
    from handler.settings import Settings

SERVICE = "spot-cleanup"
"""Powertools' service name where POWERTOOLS_SERVICE_NAME is not set."""


def _level() -> str:
    """The level to start with: a bad one is for the settings to tell, which needs a logger."""
    level = os.environ.get("POWERTOOLS_LOG_LEVEL", "").upper()
    return level if level in get_args(LogLevel) else "INFO"


logger = Logger(
    service=os.environ.get("POWERTOOLS_SERVICE_NAME") or SERVICE, level=_level(), utc=True
)
"""Made at import, since it must be there to tell that the settings are bad."""

_LOUD = frozenset({Outcome.REFUSED, Outcome.FAILED, Outcome.UNREPORTED})


@dataclass(frozen=True, slots=True)
class CloudWatchJournal:
    """The port `Journal`: JSON lines, and metrics in CloudWatch's embedded format."""

    settings: Settings
    agent_id: str

    def settled(self, settled: Settled) -> None:
        """One line per entry: what happened to an instance is found by its id."""
        marked = settled.marked
        fields: dict[str, Any] = {
            "instance_id": marked.instance_id,
            "reason": marked.reason,
            "outcome": settled.outcome.key,
            "why": settled.why,
            "error_code": settled.error_code,
            "previous_state": settled.previous_state,
            "current_state": settled.current_state,
            "ec2_request_id": settled.request_id,
            "seconds_waited": marked.waited,
        }
        say = logger.warning if settled.outcome in _LOUD else logger.info
        say(f"instance {settled.outcome.key}", extra=_present(fields))

    def accepted(self, instance_ids: Sequence[str], request_id: str | None) -> None:
        """What EC2 was asked and agreed to, whatever becomes of the rest of the run."""
        logger.info(
            "EC2 accepted to terminate",
            extra={"instance_ids": list(instance_ids), "ec2_request_id": request_id},
        )

    def invalid(self, entry: Invalid) -> None:
        """An entry that nobody can act on is the backend's fault to mend."""
        logger.warning(
            "entry invalid",
            extra={"outcome": Outcome.INVALID.key, "entry": entry.shown, "why": entry.why},
        )

    def fuse_blown(self, why: str) -> None:
        """One line and one metric; the template has an alarm on it."""
        logger.error("fuse blown: nothing is terminated in this run", extra={"why": why})
        self.send([("FuseBlown", MetricUnit.Count, 1)])

    def stuck(self, instance: Instance, seconds: float) -> None:
        """EC2 does not finish what it began."""
        logger.warning(
            "instance stuck in shutting-down",
            extra={"instance_id": instance.instance_id, "seconds": round(seconds)},
        )
        self.send([("InstancesStuck", MetricUnit.Count, 1)])

    def came_back(self, instance_id: str, request: str) -> None:
        """A cancelled Spot request launched another instance all the same."""
        logger.warning(
            "instance came back from a Spot request that was cancelled",
            extra={"instance_id": instance_id, "spot_request": request},
        )
        self.send([("InstancesCameBack", MetricUnit.Count, 1)])

    def summary(self, summary: Summary, settled: Sequence[Settled], answered_in: timedelta) -> None:
        """One line with the counts; a metric for each that is not zero."""
        values = [("InstancesListed", MetricUnit.Count, float(summary.listed))]
        values += [(o.metric, MetricUnit.Count, float(summary.counts[o])) for o in Outcome]
        waits = [s.marked.waited or 0.0 for s in settled if s.outcome in STILL_WAITING]
        values.append(("OldestWait", MetricUnit.Seconds, max(waits, default=0.0)))
        took = [
            ("TimeToTerminate", MetricUnit.Seconds, s.took)
            for s in settled
            if s.outcome is Outcome.TERMINATED and s.took is not None
        ]
        self.send([value for value in values if value[2]] + took)
        # In the log and no metric: a metric that every run sends is billed every hour.
        backend_ms = round(answered_in / timedelta(milliseconds=1), 1)
        logger.info(
            "run finished", extra={"summary": summary.as_returned(), "backend_ms": backend_ms}
        )

    def send(self, values: Sequence[tuple[str, MetricUnit | str, float]]) -> None:
        """Metrics are billed by the hour in which they are sent: nothing to say, nothing sent."""
        if not values:
            return
        metrics = EphemeralMetrics(
            namespace=self.settings.metrics_namespace, service=self.settings.service_name
        )
        metrics.add_dimension(name="agent_id", value=self.agent_id)
        for name, unit, value in values:
            metrics.add_metric(name=name, unit=unit, value=value)
        if metrics.metric_set:  # it has sent a hundred values by itself, and may have none left
            metrics.flush_metrics()


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}
