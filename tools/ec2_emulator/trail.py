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
    # For an AssumeRole: who asked, a service (`ec2.amazonaws.com`) or nobody but a user.
    invoked_by: str | None = None


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

    def assumed_role(
        self, instance_id: str, *, hours: int = 1, invoked_by: str | None = "ec2.amazonaws.com"
    ) -> None:
        """EC2 fetched credentials for the instance's role, once in each of the last hours.

        The session's name is the instance's id, by which the history finds the event
        (a recorded one: https://summitroute.com/blog/2020/10/09/public_dataset_of_cloudtrail_logs_from_flaws_cloud/).
        Anybody may choose that name for a session of their own: then no service stands in
        `invokedBy`.
        """
        role = f"arn:aws:iam::{self.account}:role/machine"
        session = f"arn:aws:sts::{self.account}:assumed-role/machine/{instance_id}"
        names = (instance_id, f"AROAEXAMPLEEXAMPLE:{instance_id}", session, role)
        self._events += [
            Event(
                "AssumeRole",
                "sts.amazonaws.com",
                self.clock() - hour * 3_600,
                names,
                None,
                invoked_by,
            )
            for hour in range(hours)
        ]

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
        assumed = event.name == "AssumeRole"
        record: dict[str, Any] = {
            "eventVersion": "1.11",
            "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "eventSource": event.source,
            "eventName": event.name,
            "awsRegion": self.region,
            "recipientAccountId": self.account,
            **(_session(event) if assumed else _instances(event)),
        }
        if event.error_code is not None:
            record["errorCode"] = f"Client.{event.error_code}"
        return {
            "EventId": f"00000000-0000-4000-8000-{number:012x}",
            "EventName": event.name,
            "EventTime": time,
            "EventSource": event.source,
            "ReadOnly": "true" if assumed else "false",
            "Username": "run",
            "Resources": [
                {"ResourceType": _resource_type(event, key), "ResourceName": key}
                for key in event.ids
            ],
            "CloudTrailEvent": json.dumps(record),
        }


def _instances(event: Event) -> dict[str, Any]:
    items = [{"instanceId": key} for key in event.ids]
    return {"requestParameters": {"instancesSet": {"items": items}}}


def _session(event: Event) -> dict[str, Any]:
    who = (
        {"type": "AWSService", "invokedBy": event.invoked_by}
        if event.invoked_by
        else {"type": "IAMUser", "userName": "somebody"}
    )
    instance_id, *_, role = event.ids
    return {
        "userIdentity": who,
        "requestParameters": {"roleArn": role, "roleSessionName": instance_id},
    }


def _resource_type(event: Event, name: str) -> str:
    if event.name != "AssumeRole":
        return "AWS::EC2::Instance"
    return "AWS::IAM::Role" if ":role/" in name else "AWS::STS::AssumedRole"


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    word, _, number = token.partition("-")
    if word != "offset" or not number.isdigit():
        raise AwsError("InvalidNextTokenException", "The token is not one that was returned.")
    return int(number)
