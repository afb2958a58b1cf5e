"""The backend's list as it comes over the wire (contract section 1), validated entry by entry."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError
from pydantic_core import from_json

from handler.instances.model import Invalid, Listing, Marked
from handler.instances.ports import BackendError

SHOWN = 200
"""Characters of a bad entry that are logged."""

Seconds = Annotated[float, Field(allow_inf_nan=False)]


class Entry(BaseModel):
    """One instance of the list; fields not named here are ignored (quirk 6)."""

    model_config = ConfigDict(frozen=True)

    instance_id: Annotated[str, Field(pattern=r"^i-(?:[0-9a-f]{8}|[0-9a-f]{17})$")]
    reason: str | None = None
    az: str | None = None
    seconds_waiting: Seconds | None = None
    seconds_since_marked: Seconds | None = None

    def marked(self) -> Marked:
        """The same for the domain."""
        waited = self.seconds_waiting
        if waited is None:
            waited = self.seconds_since_marked
        return Marked(
            self.instance_id,
            (self.reason or "unknown")[:SHOWN],
            self.az or None,
            None if waited is None else max(waited, 0.0),
        )


class Envelope(BaseModel):
    """The list's outer shape: without it a run can do nothing."""

    instances: list[Any]
    auto_terminate_enabled: StrictBool | Literal[0, 1]  # 0 and 1: quirk 2


def read_listing(body: bytes) -> Listing:
    """Read the answer to `GET instances-to-terminate`.

    Raises:
        BackendError: the body is not of the contract's shape; names what is wrong with it.
    """
    try:
        envelope = Envelope.model_validate(from_json(body))
    except ValidationError as error:
        raise BackendError(
            f"the backend's list is not of the agreed shape: {_say(error)}"
        ) from None
    except ValueError as error:
        raise BackendError(f"the backend's list is not JSON: {error}") from None
    marked: dict[str, Marked] = {}
    invalid: list[Invalid] = []
    for raw in envelope.instances:
        try:
            entry = Entry.model_validate(raw).marked()
        except ValidationError as error:
            invalid.append(Invalid(repr(raw)[:SHOWN], _say(error)))
            continue
        if entry.instance_id in marked:
            invalid.append(Invalid(entry.instance_id, "listed twice: the first entry holds"))
        else:
            marked[entry.instance_id] = entry
    return Listing(tuple(marked.values()), tuple(invalid), bool(envelope.auto_terminate_enabled))


def _say(error: ValidationError) -> str:
    """Every fault with its place, without the input."""
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or 'entry'}: {fault['msg']}"
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    )


class Acknowledgement(BaseModel):
    """The answer to a report: anything else, a proxy's page say, acknowledges nothing."""

    success: Literal[True, 1]


def is_acknowledged(body: bytes) -> bool:
    """Whether the body is the backend's own acknowledgement of a report."""
    try:
        Acknowledgement.model_validate_json(body)
    except ValidationError:
        return False
    return True


class Complaint(BaseModel):
    """The backend's own answer to what it does not do (contract section 1, quirk 7)."""

    error: str


def said_by(body: bytes, secret: str | None) -> str:
    """What the backend itself says of an error, to be added to a message.

    Nothing else is shown of an answer: a page from in between may repeat the request's headers,
    and the token with them. Where the words repeat it, it is hidden before they are cut.
    """
    try:
        said = Complaint.model_validate_json(body).error
    except ValidationError:
        return ""
    return f": {(said.replace(secret, '[token]') if secret else said)[:SHOWN]}"
