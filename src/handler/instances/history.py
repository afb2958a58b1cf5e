"""The account's own record of its instances: CloudTrail's event history."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from handler.aws import error_codes
from handler.aws.errors import AwsError

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail import CloudTrailClient
    from mypy_boto3_cloudtrail.type_defs import EventTypeDef

PAUSE = 0.5
"""Seconds between look-ups: LookupEvents allows two a second per account and region."""
UNKNOWN_FOR = 900.0
"""Seconds for which "not known" is believed: CloudTrail shows an event within 15 minutes."""


MOST_PAGES = 10
"""Pages of one look-up, 50 events each: failed attempts may hide the instance's own launch."""


@dataclass(slots=True)
class Unknown:
    """What CloudTrail did not know lately, and when it was last asked; outlives a run."""

    since: dict[str, float] = field(default_factory=dict)
    asked: float = float("-inf")


@dataclass(slots=True)
class CloudTrailHistory:
    """The port `History` on LookupEvents, which reaches 90 days back.

    Args:
        client: makes the CloudTrail client, the first time it is needed.
        remember: calls its function for an id unless it said yes within the window.
        sleep, monotonic: the clock.
        unknown: what is remembered of earlier runs.
    """

    client: Callable[[], CloudTrailClient]
    remember: Callable[[str, Callable[[], bool]], bool]
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    unknown: Unknown = field(default_factory=Unknown)

    def lived_here(self, instance_id: str) -> bool | AwsError:
        """Whether anything was ever done to the instance in this account and region."""
        now = self.monotonic()
        if now - self.unknown.since.get(instance_id, float("-inf")) < UNKNOWN_FOR:
            return False
        try:
            lived = self.remember(instance_id, lambda: self._look_up(instance_id))
        except _NotAnAnswer:
            return error_codes.NOT_AWS
        except error_codes.SDK_ERRORS as error:
            return error_codes.read(error)
        if not lived:
            self.unknown.since[instance_id] = now
        return lived

    def _look_up(self, instance_id: str) -> bool:
        found = {"AttributeKey": "ResourceName", "AttributeValue": instance_id}
        token: dict[str, str] = {}
        for _ in range(MOST_PAGES):
            self.sleep(max(0.0, self.unknown.asked + PAUSE - self.monotonic()))
            self.unknown.asked = self.monotonic()
            answer: dict[str, Any] = self.client().lookup_events(  # type: ignore[assignment]
                LookupAttributes=[found],  # type: ignore[list-item]
                **token,  # type: ignore[arg-type]
            )
            if error_codes.lacks(answer, "Events"):
                raise _NotAnAnswer
            if any(_was_done(event) for event in answer["Events"]):
                return True
            if not answer.get("NextToken"):
                return False
            token = {"NextToken": answer["NextToken"]}
        return False


class _NotAnAnswer(Exception):  # noqa: N818 - carries a value past the memory of proofs
    """The answer was not CloudTrail's: nothing is known, and nothing remembered."""


def _was_done(event: EventTypeDef) -> bool:
    """Whether the event changed something: a failed call may name another account's instance."""
    if event.get("ReadOnly") == "true":
        return False
    return "errorCode" not in json.loads(event.get("CloudTrailEvent") or "{}")
