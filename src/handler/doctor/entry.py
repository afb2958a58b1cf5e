"""The doctor's entry: an event with `doctor` examines the function instead of running it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from handler.deadline import Deadline
from handler.doctor.examination import Doctor, Orders
from handler.doctor.findings import Diagnosis
from handler.doctor.wiring import (
    DoctorOutside,
    DoctorSurroundings,
    surroundings_without_settings,
)
from handler.settings import EventError, Settings, SettingsError
from handler.telemetry import logger
from handler.wiring import environment

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from handler.instances.guard import Policy
    from handler.instances.run import Limits


def examine(
    event: dict[str, Any],
    context: LambdaContext,
    policy: Callable[[Settings], Policy],
    limits: Callable[[Settings], Limits],
) -> dict[str, object]:
    """Examine everything that a run depends on; terminate, report and change nothing.

    Args:
        event: what invoked the function; `agent_id` in it is one of `AGENT_ID`'s.
        context: Lambda's own.
        policy: how a run reads its policy from the settings.
        limits: how a run reads its limits.

    Returns:
        `healthy`, `checks` (check, status, found, cause, cure), and `text`: the same for people.

    Raises:
        EventError: the event holds what is not known.
    """

    def left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    def clock() -> datetime:
        return datetime.now(UTC)

    doctor = Doctor(Deadline(left), clock, time.sleep)
    try:
        settings = Settings.read(os.environ, event)
    except EventError:
        raise
    except SettingsError as error:
        schedule = _schedule_of(os.environ)
        surroundings = _surroundings(context.function_name, os.environ)
        return _told(doctor.examine_without_settings(str(error), surroundings, schedule))
    outside = DoctorOutside(
        environment(settings, os.environ), context.function_name, clock, left, time.monotonic
    )
    orders = Orders(
        patient=f"spot-cleanup, agent {settings.agent_id} in {settings.region}",
        policy=policy(settings),
        limits=limits(settings),
        token_parameter=settings.token_parameter(settings.agent_id),
        token_given=settings.client_token is not None,
        table=settings.idempotency_table,
        schedule_name=settings.schedule_name,
    )
    return _told(doctor.examine(outside, orders))


def _surroundings(function_name: str, variables: Mapping[str, str]) -> DoctorSurroundings | None:
    """What can be examined under bad settings; nothing where there is not even a region."""
    region = variables.get("AWS_REGION") or variables.get("AWS_DEFAULT_REGION")
    return surroundings_without_settings(region, function_name) if region else None


def _schedule_of(variables: Mapping[str, str]) -> str | None:
    """The schedule's name, if it is good by itself."""
    name = variables.get("SCHEDULE_NAME", "")
    return name if name.count("/") == 1 else None


def _told(diagnosis: Diagnosis) -> dict[str, object]:
    logger.info("doctor", extra={"healthy": diagnosis.healthy, "failed": diagnosis.failures})
    return diagnosis.as_returned()
