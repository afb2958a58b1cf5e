"""Proves that an instance which EC2 does not know lived in this account (contract, quirk 3).

A backend that several accounts share lists other tenants' zombies. For these EC2 answers "not
found" while they run elsewhere; reporting them as terminated would hide them for ever. The account's
own record is CloudTrail's event history, which reaches 90 days back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from handler.aws import error_codes
from handler.aws.errors import AwsError, ErrorKind
from handler.aws.look_ups import LookUps
from handler.instances.outcome import Left, Outcome, Result, Trace
from handler.instances.ports import History
from handler.instances.rules import ToProve

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail import CloudTrailClient
    from mypy_boto3_cloudtrail.type_defs import EventTypeDef

OWN_ROLE = "ec2.amazonaws.com"
"""Who assumes an instance's role, with the instance's id as the session's name: hourly, so that these
events push the instance's own launch out of the pages that are read."""
PAUSE = 0.5
"""Seconds between look-ups: LookupEvents allows two a second per account and region."""
UNKNOWN_FOR = 900.0
"""Seconds for which "not known" is believed: CloudTrail shows an event within 15 minutes."""


MOST_PAGES = 10
"""Pages of one look-up, 50 events each: failed attempts may hide the instance's own launch."""


def prove(
    decisions: Sequence[ToProve], history: Callable[[], History], look_ups: LookUps
) -> Iterator[list[Result]]:
    """Turn each into an end to report if it is proven, ignored if not, deferred if nobody can say."""
    for decision in decisions:
        lived = look_ups("CloudTrail", partial(history().lived_here, decision.marked.instance_id))
        if isinstance(lived, AwsError):
            why = f"the account's history could not be asked: {lived}"
            yield [Left(decision.marked, Outcome.DEFERRED, why, Trace(error_code=lived.code))]
        elif lived:
            why = "EC2 does not know it any more; it lived in this account"
            yield [replace(decision.ended, why=why)]
        else:
            why = "EC2 does not know it, and the account's history neither: another account's"
            yield [Left(decision.marked, Outcome.IGNORED, why)]


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
        except _Unknown as unknown:
            return unknown.error
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
                raise _Unknown(error_codes.NOT_AWS)
            if any(_proves(event, instance_id) for event in answer["Events"]):
                return True
            if not answer.get("NextToken"):
                return False
            token = {"NextToken": answer["NextToken"]}
        raise _Unknown(UNREAD)


UNREAD = AwsError(
    "TooManyEvents", f"no proof in {MOST_PAGES} pages, and there are more", ErrorKind.NO_ANSWER
)


class _Unknown(Exception):  # noqa: N818 - carries a value past the memory of proofs
    """Nothing is known, and nothing is remembered."""

    def __init__(self, error: AwsError) -> None:
        super().__init__(str(error))
        self.error = error


def _proves(event: EventTypeDef, instance_id: str) -> bool:
    """Whether the event shows that the instance lived here.

    A call that changed something does, where the event says both that it did and that it did not
    fail: a failed one may name another account's instance. So does EC2's own assuming of the
    instance's role, which only happens in the instance's account.
    """
    try:
        told = json.loads(event.get("CloudTrailEvent") or "{}")
    except ValueError:
        return False
    if not isinstance(told, dict) or not told.get("eventName") or "errorCode" in told:
        return False
    if event.get("ReadOnly") == "false":
        return True
    caller, asked = told.get("userIdentity"), told.get("requestParameters")
    return (
        event.get("EventName") == "AssumeRole"
        and isinstance(caller, dict)
        and caller.get("invokedBy") == OWN_ROLE
        and isinstance(asked, dict)
        and asked.get("roleSessionName") == instance_id
    )
