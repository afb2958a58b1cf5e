"""The shapes that every call of the backend's API shares (contract section 1), checked by hand.

By hand, since a validation library costs more start-up time than all the rest of a run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from handler import redact
from handler.backend.errors import BackendError

SHOWN = 200
"""Characters that are shown of what the backend says."""
NOT_OF_THE_SHAPE = "the backend's list is not of the agreed shape"
MOST_OBJECTS = 1_000_000
"""JSON objects in a list's body: ten times what the largest real one holds. Each costs memory."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A list's outer shape: without it a run can do nothing. The entries are as they came."""

    instances: list[Any]
    auto_terminate_enabled: bool


def read_envelope(body: bytes) -> Envelope:
    """Read the answer to `GET instances-to-terminate`.

    `auto_terminate_enabled` may be a boolean, 0, 1, or null, which is off (quirks 2 and 6).

    Raises:
        BackendError: the body is not of the contract's shape; names what is wrong with it.
    """
    if body.count(b"{") > MOST_OBJECTS:
        raise BackendError(f"the backend's list has more than {MOST_OBJECTS} entries")
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BackendError(f"the backend's list is not JSON: {_said(error)}") from None
    if not isinstance(answer, dict):
        raise BackendError(f"{NOT_OF_THE_SHAPE}: it is {_kind(answer)}, not an object")
    wrong = []
    if not isinstance(answer.get("instances"), list):
        wrong.append(_wrong(answer, "instances", "a list"))
    enabled = answer.get("auto_terminate_enabled", "")
    if not (enabled is None or isinstance(enabled, bool) or enabled in (0, 1)):
        wrong.append(_wrong(answer, "auto_terminate_enabled", "true, false, 0, 1 or null"))
    if wrong:
        raise BackendError(f"{NOT_OF_THE_SHAPE}: {'; '.join(wrong)}")
    return Envelope(answer["instances"], bool(enabled))


def is_acknowledged(body: bytes) -> bool:
    """Whether the body is the backend's own acknowledgement of a report.

    Anything else, a proxy's page say, acknowledges nothing.
    """
    success = _object(body).get("success")
    return success is True or (type(success) is int and success == 1)


def said_by(body: bytes) -> str:
    """What the backend itself says of an error (quirk 7), to be added to a message.

    Nothing else is shown of an answer: a page from in between may repeat the request's headers.
    """
    said = _object(body).get("error")
    return f": {redact.text(said)[:SHOWN]}" if isinstance(said, str) and said else ""


def wire_time(moment: datetime) -> str:
    """The backend's time format: naive ISO 8601 in UTC, whole seconds (contract, quirk 1)."""
    return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat()


def _object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _wrong(answer: dict[str, Any], key: str, wanted: str) -> str:
    return f"{key} is {_kind(answer[key])}, not {wanted}" if key in answer else f"{key} is missing"


def _kind(value: object) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "a boolean",
        type(None): "null",
    }
    return names.get(type(value), "a number")


def _said(error: Exception) -> str:
    """Where the JSON breaks off, never what stands there."""
    at = getattr(error, "pos", None)
    return (
        f"{getattr(error, 'msg', type(error).__name__)} at {at}" if at is not None else "unreadable"
    )
