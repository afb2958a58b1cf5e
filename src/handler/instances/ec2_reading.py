"""What EC2's answer says of an instance."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from handler.aws.errors import AwsError, ErrorKind
from handler.instances.calls import tags_of
from handler.instances.model import Ending, Instance, State

_WHEN = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:GMT|UTC)\)")


class Found:
    """What one look gathers, instance by instance."""

    def __init__(self) -> None:
        self.seen: dict[str, Instance] = {}
        self.gone: set[str] = set()
        self.unreadable: dict[str, AwsError] = {}

    @property
    def ids(self) -> set[str]:
        """Ids that EC2 showed."""
        return {*self.seen, *self.unreadable}

    def add(self, shown: Sequence[Mapping[str, Any]]) -> None:
        """Take what an answer shows."""
        for raw in shown:
            instance = read_instance(raw)
            if isinstance(instance, AwsError):
                self.unreadable[raw["InstanceId"]] = instance
            else:
                self.seen[instance.instance_id] = instance


def read_instance(raw: Mapping[str, Any]) -> Instance | AwsError:
    """One of DescribeInstances' instances; an error where its state is none that is known."""
    name = raw.get("State", {}).get("Name")
    try:
        state = State(name)
    except ValueError:  # a state that EC2 did not have when this was written: nothing is decided
        return AwsError("UnknownState", f"EC2 shows the state {name!r}", ErrorKind.FAULTY)
    operator = raw.get("Operator", {})
    return Instance(
        instance_id=raw["InstanceId"],
        state=state,
        zone=raw.get("Placement", {}).get("AvailabilityZone", ""),
        tags=tags_of(raw),
        ending=_ending(raw) if state.ended else None,
        spot_request=raw.get("SpotInstanceRequestId") or None,
        operator=(operator.get("Principal") or "unknown") if operator.get("Managed") else None,
    )


def _ending(raw: Mapping[str, Any]) -> Ending:
    """How it ended: EC2's `User initiated (2025-11-25 12:30:00 GMT)`, and the reason's code."""
    transition = raw.get("StateTransitionReason") or ""
    code = raw.get("StateReason", {}).get("Code") or "Client.UserInitiatedShutdown"
    return Ending(
        by_api=transition.startswith("User initiated") and code == "Client.UserInitiatedShutdown",
        at=_moment(transition),
    )


def _moment(transition: str) -> datetime | None:
    when = _WHEN.search(transition)
    if when is None:
        return None
    try:
        return datetime.fromisoformat(when[1]).replace(tzinfo=UTC)
    except ValueError:
        return None
