"""What the doctor needs of the outside, and how the outside answers it. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Protocol

from handler.aws.errors import AwsError
from handler.doctor.recent_runs import Minute, Schedule
from handler.instances.model import Instance, Listing
from handler.instances.ports import Machines


class TokenFault(Enum):
    """Why the client token cannot be read."""

    MISSING = auto()
    DENIED = auto()
    KEY = auto()
    """SSM would give it, its KMS key does not."""
    NOT_A_TOKEN = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class TokenTrouble:
    """`said` is the error's text; it never holds what the parameter holds.

    `error` is AWS's, where AWS gave one.
    """

    fault: TokenFault
    said: str
    error: AwsError | None = None


class TokenExamination(Protocol):
    """The client token, as SSM has it now."""

    def read(self) -> TokenTrouble | None:
        """Why it cannot be read, or None where it can."""
        ...


class Barrier(Enum):
    """What stopped a request on its way to the backend."""

    NAME = auto()
    """The host's name does not resolve."""
    REFUSED = auto()
    SILENCE = auto()
    UNTRUSTED = auto()
    """The certificate is by an authority that is not known here."""
    EXPIRED = auto()
    WRONG_NAME = auto()
    HANDSHAKE = auto()
    """No TLS could be agreed on."""
    BUNDLE = auto()
    """The file with the trusted authorities is not usable."""
    BROKEN = auto()
    """The connection ended in the middle."""


TLS_BARRIERS = frozenset(
    {
        Barrier.UNTRUSTED,
        Barrier.EXPIRED,
        Barrier.WRONG_NAME,
        Barrier.HANDSHAKE,
        Barrier.BUNDLE,
    }
)


@dataclass(frozen=True, slots=True)
class Unreached:
    """There was no HTTP answer; `said` is the innermost error's text."""

    barrier: Barrier
    said: str


@dataclass(frozen=True, slots=True)
class Answered:
    """There was one.

    Attributes:
        status: of HTTP.
        own: whether it is the backend's own: its list, or `{"error": ...}`.
        said: the backend's error, or what is wrong with the list.
        listing: the list, where it is one.
        stated: the answer's date.
        sent: when the request was sent, at the earliest.
        received: when the answer came.
    """

    status: int
    own: bool
    said: str
    listing: Listing | None
    stated: datetime | None
    sent: datetime
    received: datetime


class BackendExamination(Protocol):
    """The backend's list, asked for as a run does."""

    @property
    def host(self) -> str:
        """The host, and the port where one is given, of `SERVER_URL`."""
        ...

    @property
    def encrypted(self) -> bool:
        """Whether `SERVER_URL` is https."""
        ...

    def ask(self, *, anonymously: bool) -> Answered | Unreached:
        """Ask; anonymously where there is no token, to see how far a request gets."""
        ...


class Inspected(Machines, Protocol):
    """EC2's instances, and which of them the function may be asked to terminate."""

    def running(self, tags: Mapping[str, str]) -> tuple[Instance, ...] | AwsError:
        """Running instances that bear all of these tags."""
        ...


class Authorizations(Protocol):
    """The reasons that AWS gives in code."""

    def decode(self, error: AwsError) -> str | AwsError | None:
        """Why AWS denied it; None where the error holds no coded reason."""
        ...


class TableFault(Enum):
    """Why the idempotency table cannot be used."""

    MISSING = auto()
    DENIED = auto()
    SCHEMA = auto()
    """Its key is not the one that Powertools uses."""
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class TableTrouble:
    """The first action that the table does not take, and what AWS said."""

    fault: TableFault
    action: str
    error: AwsError


class TableExamination(Protocol):
    """The idempotency table."""

    def examine(self) -> TableTrouble | None:
        """Try every action that the function needs, and change nothing by it."""
        ...


class Schedules(Protocol):
    """What starts the runs."""

    def find(self, name: str) -> Schedule | AwsError | None:
        """The schedule of this `group/name`, or None where there is none."""
        ...


class Runs(Protocol):
    """The function's own runs, as Lambda counted them."""

    def since(self, began: datetime, now: datetime) -> tuple[Minute, ...] | AwsError:
        """The minutes in which there were runs."""
        ...


class Surroundings(Protocol):
    """What is there even where the settings are bad."""

    @property
    def schedules(self) -> Schedules: ...

    @property
    def runs(self) -> Runs: ...


class ToExamine(Surroundings, Protocol):
    """Everything that is examined; each is made when it is first asked for."""

    @property
    def token(self) -> TokenExamination: ...

    @property
    def backend(self) -> BackendExamination: ...

    @property
    def machines(self) -> Inspected: ...

    @property
    def authorizations(self) -> Authorizations: ...

    @property
    def table(self) -> TableExamination: ...
