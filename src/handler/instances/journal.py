"""The story of a termination run: one line for each machine, and the metrics (contract section 2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from handler.aws.errors import AwsError
from handler.backend.errors import BackendError
from handler.instances.model import Agent, AgentList, Instance
from handler.instances.outcome import Outcome, Settled, Summary
from handler.telemetry import COUNT, SECONDS, Metric, logger

_LOUD = frozenset({Outcome.REFUSED, Outcome.FAILED, Outcome.UNREPORTED})
NOT_WAITING = frozenset({Outcome.IGNORED, Outcome.REPLAYED, Outcome.INVALID})
"""Outcomes that `OldestWait` does not look at. A backend lists confirmed replicas for ever, with an
ever larger wait (contract section 1, quirk 4)."""
QUIET = frozenset({Outcome.REPLAYED})
"""A run with nothing but these and placeholders sends no metric: it would be billed for every hour."""


@dataclass(slots=True)
class Journal:
    """Where a run's story goes.

    Args:
        send: sends metrics.
        version: the product's, in the run's last line.
    """

    send: Callable[[Sequence[Metric]], None]
    version: str
    _metrics: Counter[str] = field(default_factory=Counter, init=False)

    def settled(self, settled: Settled) -> None:
        """One line per machine: what happened to it is found by its id."""
        marked, trace = settled.marked, settled.trace
        fields: dict[str, Any] = {
            "agent_id": marked.agent.agent_id,
            "instance_id": marked.instance_id,
            "reason": marked.reason,
            "outcome": settled.outcome.key,
            "why": settled.why,
            "error_code": trace.error_code,
            "previous_state": trace.previous_state,
            "current_state": trace.current_state,
            "ec2_request_id": trace.request_id,
            "seconds_waited": marked.waited,
            "untagged": settled.untagged or None,
        }
        say = logger.warning if settled.outcome in _LOUD or _unasked(settled) else logger.info
        say(f"instance {settled.outcome.key}", extra=_present(fields))

    def accepted(self, instance_ids: Sequence[str], request_id: str | None) -> None:
        """What EC2 was asked and agreed to, whatever becomes of the rest of the run."""
        logger.info(
            "EC2 accepted to terminate",
            extra={"instance_ids": list(instance_ids), "ec2_request_id": request_id},
        )

    def list_received(self, received: AgentList) -> None:
        """What of a list nobody can act on: the backend's to mend, but for placeholders."""
        for entry in received.told:
            (logger.info if entry.placeholder else logger.warning)(
                "entry invalid",
                extra={
                    "agent_id": entry.agent.agent_id,
                    "outcome": Outcome.INVALID.key,
                    "entry": entry.shown,
                    "why": entry.why,
                },
            )
        if (more := received.invalid + received.placeholders - len(received.told)) > 0:
            logger.warning(
                "more entries invalid", extra={"agent_id": received.agent.agent_id, "count": more}
            )

    def list_failed(self, agent: Agent, error: BackendError) -> None:
        """One agent's list was not to be had; the others go on."""
        logger.warning("agent failed: %s", error, extra={"agent_id": agent.agent_id})

    def look_up_failed(self, what: str, error: AwsError) -> None:
        """AWS refused or did not answer a look-up: nothing is decided by it."""
        self._unanswered("look-up failed", what, error)

    def table_not_usable(self, error: AwsError) -> None:
        """Whether a success was reported already cannot be looked up: reports go on all the same."""
        said = "idempotency table not usable: reports go on without it, and may be made twice"
        self._unanswered(said, "idempotency table", error)

    def _unanswered(self, said: str, what: str, error: AwsError) -> None:
        """The template's alarms go by the metric and the code."""
        logger.warning(
            said,
            extra={
                "look_up": what,
                "error_code": error.code,
                "error": str(error),
                "ec2_request_id": error.request_id,
            },
        )
        self._metrics["LookUpFailures"] += 1

    def fuse_blown(self, why: str) -> None:
        """One line and one metric; the template has an alarm on it."""
        logger.error("fuse blown: nothing is terminated in this run", extra={"why": why})
        self._metrics["FuseBlown"] += 1

    def stuck(self, instance: Instance, seconds: float) -> None:
        """EC2 does not finish what it began."""
        logger.warning(
            "instance stuck in shutting-down",
            extra={"instance_id": instance.instance_id, "seconds": round(seconds)},
        )
        self._metrics["InstancesStuck"] += 1

    def came_back(self, instance_id: str, request: str) -> None:
        """A cancelled Spot request launched another instance all the same."""
        logger.warning(
            "instance came back from a Spot request that was cancelled",
            extra={"instance_id": instance_id, "spot_request": request},
        )
        self._metrics["InstancesCameBack"] += 1

    def overdue(self, instance_ids: Sequence[str], after: float) -> None:
        """Ours, and not ended a long time after it was first seen, whatever the backend's clock says."""
        logger.warning(
            "instances overdue",
            extra={
                "instance_ids": list(instance_ids)[:100],
                "seconds": after,
                "count": len(instance_ids),
            },
        )
        self._metrics["InstancesOverdue"] += len(instance_ids)

    def summary(self, summary: Summary, settled: Sequence[Settled], answered_in: timedelta) -> None:
        """One line with the counts; a metric for each that is not zero."""
        self.send(
            [
                *self._totals(summary, settled),
                *((name, COUNT, float(count)) for name, count in self._metrics.items()),
            ]
        )
        # In the log and no metric: a metric that every run sends is billed every hour.
        backend_ms = round(answered_in / timedelta(milliseconds=1), 1)
        logger.info(
            "run finished",
            extra={
                "summary": summary.as_returned(),
                "backend_ms": backend_ms,
                "version": self.version,
            },
        )

    def _totals(self, summary: Summary, settled: Sequence[Settled]) -> list[Metric]:
        values: list[Metric] = [("AgentsFailed", COUNT, float(summary.agents_failed))]
        counts = summary.counts.copy()
        counts[Outcome.INVALID] -= summary.placeholders
        if any(counts[one] for one in Outcome if one not in QUIET):
            values += [("InstancesListed", COUNT, float(summary.listed))]
            values += [(one.metric, COUNT, float(counts[one])) for one in Outcome]
            values += [("InstancesUntagged", COUNT, float(summary.untagged))]
        waits = [
            one.marked.waited
            for one in settled
            if one.outcome not in NOT_WAITING and one.marked.waited is not None
        ]
        took = [
            one.took
            for one in settled
            if one.outcome is Outcome.TERMINATED and one.took is not None
        ]
        values += [
            ("OldestWait", SECONDS, max(waits, default=0.0)),
            ("ZombieHours", COUNT, sum(took) / 3600),
        ]
        return [value for value in values if value[2]] + [
            ("TimeToTerminate", SECONDS, one) for one in took
        ]


def _unasked(settled: Settled) -> bool:
    """Deferred since AWS refused or did not answer: somebody has to know."""
    return settled.outcome is Outcome.DEFERRED and settled.trace.error_code is not None


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}
