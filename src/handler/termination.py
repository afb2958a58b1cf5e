"""Lambda entry of the termination function: settings, wire, run, return."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from handler import redact
from handler.deadline import Deadline
from handler.instances.rules import Policy
from handler.instances.run import Limits, TerminationRun
from handler.settings import Settings
from handler.telemetry import logger
from handler.wiring import TerminationDependencies, environment

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@redact.guarded
@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: object, context: LambdaContext) -> dict[str, Any]:
    """Do one run for all agents, and return its counts (contract section 2).

    Args:
        event: what invoked the function; may name one agent, make the run dry, or have everything
            examined instead of a run.
        context: Lambda's own.

    Raises:
        SettingsError: the environment or the event is bad; names every bad variable.
        BackendError: no agent's token or list could be had.
    """
    try:
        if isinstance(event, dict) and event.get("doctor") is True:
            from handler.doctor.entry import examine

            return examine(event, context, policy_of, limits_of)
        return run(Settings.read(os.environ, event), context)
    except Exception as error:
        logger.error("run failed: %s", error)
        raise


def run(settings: Settings, context: LambdaContext) -> dict[str, int | bool]:
    """One run under these settings."""
    deadline = Deadline.of(context)
    return (
        TerminationRun(
            to=TerminationDependencies(environment(settings, os.environ), deadline, context),
            agents=settings.agents,
            acting=settings.acting,
            policy=policy_of(settings),
            limits=limits_of(settings),
            deadline=deadline,
            clock=partial(datetime.now, UTC),
            sleep=time.sleep,
        )
        .run()
        .as_returned()
    )


def policy_of(settings: Settings) -> Policy:
    """What may be terminated, by the settings."""
    return Policy(
        region=settings.region,
        required_tags=dict(settings.required_tags),
        untagged_replicas=settings.untagged_replicas,
        protect_tag=settings.protect_tag,
        missing_instance=settings.missing_instance_policy,
        asg_members=settings.asg_members,
        require_running_peer=settings.require_running_peer,
        confirm_termination=settings.confirm_termination,
        dry_run=settings.dry_run,
    )


def limits_of(settings: Settings) -> Limits:
    """How much one run may do, by the settings."""
    return Limits(
        auto_terminate_enabled=settings.auto_terminate_enabled,
        max_terminations_per_run=settings.max_terminations_per_run,
        max_fleet_percent=settings.max_fleet_percent,
        backend_concurrency=settings.backend_concurrency,
        stuck_after_seconds=settings.stuck_after_seconds,
        overdue_after_seconds=settings.overdue_after_seconds,
    )
