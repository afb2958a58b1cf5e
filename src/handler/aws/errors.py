"""What can go wrong at AWS, as values that the run decides by."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class ErrorKind(StrEnum):
    """What an error means for what to do next."""

    THROTTLED = "throttled"
    """Asked too often: wait and ask the same again."""
    NO_ANSWER = "no-answer"
    """The call may or may not have been carried out: look at the truth."""
    FAULTY = "faulty"
    """AWS itself failed, and said so; like NO_ANSWER, but there is a code to report."""
    MISSING = "missing"
    """EC2 does not know an id."""
    REFUSED = "refused"
    """AWS said no, because of one or some of the ids."""
    IN_USE = "in-use"
    """AWS said no, since something else uses what was to be deleted."""
    NO_SUCH_CALL = "no-such-call"
    """The endpoint does not know the operation at all."""
    LOCKED_OUT = "locked-out"
    """AWS said no to the caller, whatever the ids: credentials, region, account."""


@dataclass(frozen=True, slots=True)
class AwsError:
    """What AWS, or the way to it, answered instead of a result: a value, not an exception.

    Attributes:
        code: AWS's error code, or the SDK exception's name when there was no answer.
        message: AWS's message.
        kind: what follows from it for the caller.
        named: instance ids that the message names.
        request_id: AWS's request id, where there is one.
        denied: whether the caller lacks a permission, as the code says; for people.
    """

    code: str
    message: str
    kind: ErrorKind
    named: frozenset[str] = frozenset()
    request_id: str | None = None
    denied: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
