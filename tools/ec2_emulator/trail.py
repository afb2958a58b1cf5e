"""CloudTrail's event history of this account: 90 days, by resource name among others."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.ec2_emulator.clock import Clock, as_datetime
from tools.ec2_emulator.errors import AwsError
from tools.ec2_emulator.instance import Instance

KEPT_SECONDS = 90 * 86_400
_ATTRIBUTES = {"ResourceName", "EventName"}


@dataclass(frozen=True, slots=True)
class Event:
    """A call that somebody made in this account."""

    name: str
    source: str
    at: float
    ids: tuple[str, ...]
    error_code: str | None


class Trail:
    """What was recorded, and when it can be looked up."""

    def __init__(self, clock: Clock, *, region: str, account: str) -> None:
        self.clock = clock
        self.region = region
        self.account = account
        self.delivery_seconds = 0.0  # AWS takes minutes
        # A failed call names what it asked for, so an id that is not ours can have an event as well.
        self.records_failures = True
        self._events: list[Event] = []

    def launched(self, instance: Instance) -> None:
        self._events.append(
            Event("RunInstances", "ec2.amazonaws.com", instance.launched_at, (instance.id,), None)
        )

    def called(self, name: str, source: str, ids: Iterable[str], error_code: str | None) -> None:
        if error_code is None or self.records_failures:
            self._events.append(Event(name, source, self.clock(), tuple(ids), error_code))

    def forget(self, instance_id: str) -> None:
        """Drop every event about an instance, as if it had been here more than 90 days ago."""
        self._events = [event for event in self._events if instance_id not in event.ids]

    def lookup_events(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """LookupEvents, the newest event first."""
        size = parameters.get("MaxResults", 50)
        if not 1 <= size <= 50:
            raise AwsError("InvalidMaxResultsException", "Max results must be between 1 and 50.")
        start = _offset(parameters.get("NextToken"))
        found = [event for event in self._listed() if self._matches(event, parameters)]
        more = len(found) > start + size
        answer: dict[str, Any] = {
            "Events": [self._described(number, each) for number, each in enumerate(found)][
                start : start + size
            ]
        }
        return {**answer, "NextToken": f"offset-{start + size}"} if more else answer

    def _listed(self) -> Sequence[Event]:
        now = self.clock()
        oldest, newest = now - KEPT_SECONDS, now - self.delivery_seconds
        listed = [event for event in self._events if oldest <= event.at <= newest]
        return sorted(listed, key=lambda event: event.at, reverse=True)

    def _matches(self, event: Event, parameters: Mapping[str, Any]) -> bool:
        attributes = parameters.get("LookupAttributes", [])
        if len(attributes) > 1 or any(a["AttributeKey"] not in _ATTRIBUTES for a in attributes):
            raise AwsError(
                "InvalidLookupAttributesException", "You can specify only one attribute, by name."
            )
        start, end = parameters.get("StartTime"), parameters.get("EndTime")
        if (start is not None and event.at < start) or (end is not None and event.at > end):
            return False
        return all(
            a["AttributeValue"]
            in (event.ids if a["AttributeKey"] == "ResourceName" else [event.name])
            for a in attributes
        )

    def _described(self, number: int, event: Event) -> dict[str, Any]:
        time = as_datetime(event.at)
        record: dict[str, Any] = {
            "eventVersion": "1.11",
            "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "eventSource": event.source,
            "eventName": event.name,
            "awsRegion": self.region,
            "recipientAccountId": self.account,
            "requestParameters": {
                "instancesSet": {"items": [{"instanceId": key} for key in event.ids]}
            },
        }
        if event.error_code is not None:
            record["errorCode"] = f"Client.{event.error_code}"
        return {
            "EventId": f"00000000-0000-4000-8000-{number:012x}",
            "EventName": event.name,
            "EventTime": time,
            "EventSource": event.source,
            "ReadOnly": "false",
            "Username": "run",
            "Resources": [
                {"ResourceType": "AWS::EC2::Instance", "ResourceName": key} for key in event.ids
            ],
            "CloudTrailEvent": json.dumps(record),
        }


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    word, _, number = token.partition("-")
    if word != "offset" or not number.isdigit():
        raise AwsError("InvalidNextTokenException", "The token is not one that was returned.")
    return int(number)
