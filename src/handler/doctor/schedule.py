"""The schedule that starts the runs: EventBridge Scheduler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from handler.aws import error_codes
from handler.aws.errors import AwsError
from handler.doctor.recent_runs import Schedule

MISSING = "ResourceNotFoundException"
ENABLED = "ENABLED"


@dataclass(frozen=True, slots=True)
class SchedulerSchedules:
    """The port `Schedules` on GetSchedule.

    Args:
        scheduler: makes the client, the first time it is needed.
    """

    scheduler: Callable[[], Any]

    def find(self, name: str) -> Schedule | AwsError | None:
        """Look one up by `group/name`."""
        group, _, own_name = name.partition("/")
        try:
            answer = self.scheduler().get_schedule(GroupName=group, Name=own_name)
        except error_codes.SDK_ERRORS as error:
            found = error_codes.read(error)
            return None if found.code == MISSING else found
        if error_codes.lacks(answer, "State"):
            return error_codes.NOT_AWS
        return Schedule(answer["State"] == ENABLED, answer["ScheduleExpression"])
