"""Lambda entry of the termination function: parse, wire, run, return."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from handler.deadline import Deadline
from handler.instances.guard import Policy
from handler.instances.run import Limits, TerminationJob
from handler.settings import Settings
from handler.telemetry import logger
from handler.wiring import RunOutside, environment

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Do one run, and return its counts (contract section 2).

    Args:
        event: what invoked the function; `agent_id` in it is the one of `AGENT_ID`'s that this run
            is for, `dry_run` makes it dry, and `doctor` has everything examined instead.
        context: Lambda's own.

    Raises:
        SettingsError: the environment or the event is bad; names every bad variable.
        TokenError: the client token is not to be had.
        BackendError: the backend's list is not to be had, or not of the agreed shape.
    """
    if _asks_for_the_doctor(event):
        from handler.doctor.entry import examine

        return examine(event, context, _policy, _limits)
    try:
        settings = Settings.read(os.environ, event)
        logger.append_keys(agent_id=settings.agent_id)
        return run(settings, context)
    except Exception as error:
        logger.error("run failed: %s", error)
        raise


def _asks_for_the_doctor(event: object) -> bool:
    return isinstance(event, dict) and event.get("doctor") is True


def run(settings: Settings, context: LambdaContext) -> dict[str, int | bool]:
    """One run under these settings."""
    deadline = Deadline(lambda: context.get_remaining_time_in_millis() / 1000)
    job = TerminationJob(
        outside=RunOutside(environment(settings, os.environ), deadline, context),
        policy=_policy(settings),
        limits=_limits(settings),
        deadline=deadline,
        clock=lambda: datetime.now(UTC),
        sleep=time.sleep,
    )
    return job.run().as_returned()


def _policy(settings: Settings) -> Policy:
    return Policy(
        region=settings.region,
        required_tags=dict(settings.required_tags),
        protect_tag=settings.protect_tag,
        missing_instance=settings.missing_instance_policy,
        asg_members=settings.asg_members,
        require_running_peer=settings.require_running_peer,
        confirm_termination=settings.confirm_termination,
        dry_run=settings.dry_run,
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        auto_terminate_enabled=settings.auto_terminate_enabled,
        max_terminations_per_run=settings.max_terminations_per_run,
        max_fleet_percent=settings.max_fleet_percent,
        backend_concurrency=settings.backend_concurrency,
        stuck_after_seconds=settings.stuck_after_seconds,
    )
