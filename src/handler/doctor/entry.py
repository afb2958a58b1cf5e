"""The doctor's entry: an event with `doctor` examines the function instead of running it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from handler.deadline import Deadline
from handler.doctor import examination
from handler.doctor.dependencies import Dependencies
from handler.doctor.findings import Findings
from handler.settings import EventError, Settings, SettingsError
from handler.telemetry import logger
from handler.wiring import Environment, environment

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from handler.instances.rules import Policy
    from handler.instances.run import Limits


class Region(NamedTuple):
    """What there is of the settings where they are bad: clients need no more."""

    region: str


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
    deadline = Deadline.of(context)

    def subject(built: Environment, settings: Settings, schedule: str | None) -> Dependencies:
        function = context.function_name
        return Dependencies(
            *(built, settings, function, schedule, deadline, _now, time.sleep, policy, limits),
            local=os.environ.get("AWS_SAM_LOCAL") == "true",
        )

    try:
        settings = Settings.read(os.environ, event)
    except EventError:
        raise
    except SettingsError as error:
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        known = None
        if region:
            only = cast("Settings", Region(region))
            known = subject(Environment(only), only, _schedule_of(os.environ))
        return _told(Findings("spot-cleanup", examination.examine(known, str(error))))
    about = f"spot-cleanup, {_agents(settings)} in {settings.region}"
    known = subject(environment(settings, os.environ), settings, settings.schedule_name)
    return _told(Findings(about, examination.examine(known, None)))


def _agents(settings: Settings) -> str:
    ids = [one.agent_id for one in settings.acting]
    return f"agent {ids[0]}" if len(ids) == 1 else f"{len(ids)} agents"


def _now() -> datetime:
    return datetime.now(UTC)


def _schedule_of(variables: Mapping[str, str]) -> str | None:
    """The schedule's name, if it is good by itself."""
    name = variables.get("SCHEDULE_NAME", "")
    return name if name.count("/") == 1 else None


def _told(findings: Findings) -> dict[str, object]:
    logger.info("doctor", extra={"healthy": findings.healthy, "failed": findings.failures})
    return findings.as_returned()
