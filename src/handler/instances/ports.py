"""What a run needs of the outside. Adapters implement these; tests run one suite on each pair."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Protocol

from handler.aws.errors import AwsError
from handler.backend.errors import BackendError
from handler.instances.model import Agent, AgentList, Instance, Observed
from handler.instances.outcome import Settled, Summary
from handler.instances.surroundings import Member


@dataclass(frozen=True, slots=True)
class Report:
    """One termination report (contract section 1): a success has no error and an end."""

    instance_id: str
    error: str | None
    ended_at: datetime | None


class Backend(Protocol):
    """The product's backend, as one agent reports to it."""

    def report(self, report: Report) -> None:
        """Deliver one report. Raises BackendError unless the backend acknowledged it."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """An instance's states before and after a call, as EC2 returned them."""

    previous: str
    current: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """EC2's answer to a call that it carried out.

    Attributes:
        changes: by id; one may be missing.
        request_id: EC2's.
        left_out: ids that were not asked for after all, since they were judged again before.
    """

    changes: Mapping[str, Change]
    request_id: str | None
    left_out: frozenset[str] = frozenset()


class Machines(Protocol):
    """EC2's instances, in the function's own account and region.

    What looks may be asked again by the SDK; what destroys is asked exactly once.
    """

    def look(self, zones: Mapping[str, str | None]) -> Observed:
        """What EC2 shows of up to 200 instances now, given with the zones they are believed in."""
        ...

    def neighbours(
        self, logical_ids: Collection[str], ids: Collection[str]
    ) -> tuple[Instance, ...] | AwsError:
        """Running instances that bear one of these `LogicalAgentId`s, or have one of these ids.

        Others may be among them.
        """
        ...

    def fleet_size(self, tags: Mapping[str, str], *, or_keys: Collection[str]) -> int | AwsError:
        """How many live instances bear all of these tags, or (where there are any) all of these keys."""
        ...

    def fleets(self, fleets: Collection[str]) -> Mapping[str, bool | AwsError]:
        """Which of these EC2 Fleets and Spot Fleets replace their members; one not shown is absent."""
        ...

    def members(
        self, ids: Collection[str], left: Callable[[], float]
    ) -> Mapping[str, Member | AwsError]:
        """What Auto Scaling and EC2 show of these members of groups; one not shown is absent.

        Those that were not asked for within so many seconds are `OUT_OF_TIME`.
        """
        ...

    def terminate(self, ids: Sequence[str], *, dry_run: bool) -> Accepted | AwsError:
        """Ask EC2 once to terminate up to 1,000 instances of one Availability Zone.

        With `dry_run` EC2 only says whether it would: `Accepted` without changes means yes.
        """
        ...

    def terminate_in_group(self, instance_id: str) -> Accepted | AwsError:
        """Ask Auto Scaling once to terminate a member, which the group does not replace."""
        ...

    def standing_requests(
        self, requests: Collection[str]
    ) -> Mapping[str, str | AwsError | None] | AwsError:
        """Of each of these Spot requests its state, or None where it launches nothing any more.

        Or why that is not known; of the kind MISSING: EC2 says that it does not exist, which it
        also says of a new one.
        """
        ...

    def cancel_requests(self, requests: Sequence[str], *, dry_run: bool) -> Accepted | AwsError:
        """Cancel Spot requests. A `disabled` one's stopped instance ends with it."""
        ...

    def live_from(self, requests: Collection[str]) -> Mapping[str, str] | AwsError:
        """Live instances that these Spot requests launched: instance id → request."""
        ...


class History(Protocol):
    """The account's own record of what happened to its instances."""

    def lived_here(self, instance_id: str) -> bool | AwsError:
        """Whether the instance was ever this account's, as far back as the record goes."""
        ...


@dataclass(slots=True)
class CancelledRequest:
    """A Spot request that was cancelled: the instances it is known to have launched, and when."""

    instances: set[str]
    at: datetime


class Claim(Enum):
    """What stands in a report's way."""

    FREE = auto()
    """Nothing: it is this run's to make."""
    REPORTED = auto()
    """An acknowledged one is younger than the window."""
    UNDER_WAY = auto()
    """Another run is making it at this moment."""


class Table(Protocol):
    """The idempotency table, as reporting uses it (`idempotency.py`)."""

    def claim(self, instance_ids: Sequence[str]) -> Mapping[str, Claim]:
        """Claim these success reports for this run."""
        ...

    def acknowledged(self, instance_ids: Sequence[str]) -> None:
        """Keep that these were acknowledged."""
        ...

    def release(self, instance_ids: Sequence[str]) -> None:
        """Give claims back whose reports did not get through."""
        ...


class Memory(Protocol):
    """When each machine was first seen here, and when last (`first_seen.py`)."""

    def load(self) -> AwsError | None:
        """Read what other execution environments have seen until now."""
        ...

    def lately(self, now: datetime) -> Collection[str]:
        """The machines that were listed so lately that they may be marked still."""
        ...

    def note(self, ids: Sequence[str], now: datetime) -> Mapping[str, datetime]:
        """Remember that these are alive now, and return when each was first seen."""
        ...


class RunJournal(Protocol):
    """Where a run's story goes (`journal.py`)."""

    def settled(self, settled: Settled) -> None: ...
    def accepted(self, instance_ids: Sequence[str], request_id: str | None) -> None: ...
    def list_received(self, received: AgentList) -> None: ...
    def list_failed(self, agent: Agent, error: BackendError) -> None: ...
    def look_up_failed(self, what: str, error: AwsError) -> None: ...
    def fuse_blown(self, why: str) -> None: ...
    def stuck(self, instance: Instance, seconds: float) -> None: ...
    def came_back(self, instance_id: str, request: str) -> None: ...
    def overdue(self, instance_ids: Sequence[str], after: float) -> None: ...
    def summary(
        self, summary: Summary, settled: Sequence[Settled], answered_in: timedelta
    ) -> None: ...


class Dependencies(Protocol):
    """All that a run may need; what it does not ask for is never made.

    A run with nothing to do touches only the lists: no AWS client is built for it.
    """

    def list_of(self, agent: Agent, left: Callable[[], float]) -> AgentList:
        """An agent's list, within so many seconds. Raises BackendError."""
        ...

    def report_as(self, agent: Agent) -> Backend:
        """The backend, as an agent reports to it."""
        ...

    @property
    def cancelled(self) -> dict[str, CancelledRequest]:
        """Spot requests cancelled lately, by id: a memory that may be lost without harm."""
        ...

    @property
    def machines(self) -> Machines: ...

    @property
    def history(self) -> History: ...

    @property
    def table(self) -> Table: ...

    @property
    def first_seen(self) -> Memory: ...

    @property
    def journal(self) -> RunJournal: ...

    def tell(self, settled: Sequence[Settled]) -> None:
        """Send the run's events, where the operator wants any (`events.py`)."""
        ...
