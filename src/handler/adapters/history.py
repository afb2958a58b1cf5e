"""The account's own record of its instances: CloudTrail's event history."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from handler.adapters import aws_errors
from handler.domain.errors import AwsError

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail import CloudTrailClient
    from mypy_boto3_cloudtrail.type_defs import EventTypeDef

PAUSE = 0.5
"""Seconds between look-ups: LookupEvents allows two a second per account and region."""
UNKNOWN_FOR = 900.0
"""Seconds for which "not known" is believed: CloudTrail shows an event within 15 minutes."""


@dataclass(slots=True)
class CloudTrailHistory:
    """The port `History` on LookupEvents, which reaches 90 days back.

    Args:
        client: makes the CloudTrail client, the first time it is needed.
        remember: calls its function for an id unless it said yes within the window.
        sleep, monotonic: the clock.
    """

    client: Callable[[], CloudTrailClient]
    remember: Callable[[str, Callable[[], bool]], bool]
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    _unknown: dict[str, float] = field(default_factory=dict, init=False)
    _asked: float = field(default=float("-inf"), init=False)

    def lived_here(self, instance_id: str) -> bool | AwsError:
        """Whether anything was ever done to the instance in this account and region."""
        now = self.monotonic()
        if now - self._unknown.get(instance_id, float("-inf")) < UNKNOWN_FOR:
            return False
        try:
            lived = self.remember(instance_id, lambda: self._look_up(instance_id))
        except aws_errors.SDK_ERRORS as error:
            return aws_errors.read(error)
        if not lived:
            self._unknown[instance_id] = now
        return lived

    def _look_up(self, instance_id: str) -> bool:
        self.sleep(max(0.0, self._asked + PAUSE - self.monotonic()))
        self._asked = self.monotonic()
        answer = self.client().lookup_events(
            LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": instance_id}]
        )
        return any(_was_done(event) for event in answer["Events"])


def _was_done(event: EventTypeDef) -> bool:
    """Whether the event changed something: a failed call may name another account's instance."""
    if event.get("ReadOnly") == "true":
        return False
    return "errorCode" not in json.loads(event.get("CloudTrailEvent") or "{}")
