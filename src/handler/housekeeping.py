"""Lambda entry of the housekeeping function: parse, wire, run, return."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from handler import redact
from handler.aws.retry import Retry
from handler.deadline import Deadline
from handler.images.model import Policy
from handler.images.run import HousekeepingRun
from handler.settings import Settings
from handler.telemetry import logger
from handler.wiring import environment, housekeeping_dependencies

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@redact.guarded
@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, object]:
    """Do one run, and return its counts; in a dry run the plan as well.

    Args:
        event: what invoked the function; `dry_run` in it makes the run dry.
        context: Lambda's own.

    Raises:
        SettingsError: the environment or the event is bad; names every bad variable.
        TokenError: the client token is not to be had.
        HousekeepingError: the account's images could not be listed.
    """
    try:
        settings = Settings.read(os.environ, event, doctor_allowed=False)
        logger.append_keys(agent_id=settings.acting[0].agent_id)
        return run(settings, context)
    except Exception as error:
        logger.error("run failed: %s", error)
        raise


def run(settings: Settings, context: LambdaContext) -> dict[str, object]:
    """One run under these settings."""
    deadline = Deadline.of(context)
    job = HousekeepingRun(
        to=housekeeping_dependencies(environment(settings, os.environ), settings, deadline),
        policy=_policy(settings),
        cap=settings.max_deletions_per_run,
        dry_run=settings.dry_run,
        deadline=deadline,
        retry=Retry(deadline, time.sleep),
        clock=partial(datetime.now, UTC),
    )
    return job.run().as_returned()


def _policy(settings: Settings) -> Policy:
    return Policy(
        required_tags=dict(settings.required_tags),
        protect_tag=settings.protect_tag,
        images_older_than=timedelta(days=settings.amis_older_than_days),
        snapshots_older_than=timedelta(days=settings.snapshots_older_than_days),
        keep_latest_images=settings.keep_latest_amis,
        keep_latest_snapshots=settings.keep_latest_snapshots,
    )
