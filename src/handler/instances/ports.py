"""What a run needs of the outside. Adapters implement these; tests run one suite on each pair."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Protocol

from handler.aws.errors import AwsError
from handler.backend.errors import BackendError as BackendError  # noqa: PLC0414 - it lived here
from handler.instances.model import Instance, Invalid, Listing, Sight
from handler.instances.outcome import Settled, Summary


@dataclass(frozen=True, slots=True)
class Report:
    """One termination report (contract section 1): a success has no error and an end."""

    instance_id: str
    error: str | None
    ended_at: datetime | None


class Backend(Protocol):
    """The product's backend, as one agent sees it."""

    def marked(self) -> Listing:
        """The instances to terminate. Raises BackendError when they are not to be had."""
        ...

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
    """EC2's answer to a call that it carried out; an id may be missing from it."""

    changes: Mapping[str, Change]
    request_id: str | None


class Machines(Protocol):
    """EC2's instances, in the function's own account and region."""

    def look(self, ids: Collection[str]) -> Sight:
        """What EC2 shows of these instances now."""
        ...

    def terminate(self, ids: Sequence[str], *, dry_run: bool) -> Accepted | AwsError:
        """Ask EC2 once to terminate up to 1,000 instances of one Availability Zone.

        With `dry_run` EC2 only says whether it would: `Accepted` without changes means yes.
        """
        ...

    def shrink(self, instance_id: str) -> Accepted | AwsError:
        """Terminate a member of an Auto Scaling group, and lower what the group wants by one."""
        ...

    def fleet_size(self, tags: Mapping[str, str]) -> int | AwsError:
        """How many live instances bear all of these tags."""
        ...

    def running_with(self, tag: str, values: Collection[str]) -> Mapping[str, str] | AwsError:
        """Running instances whose `tag` has one of these values: instance id → value."""
        ...

    def standing_requests(self, requests: Collection[str]) -> frozenset[str] | AwsError:
        """Which of these Spot requests would launch another instance when theirs ends."""
        ...

    def cancel_requests(self, requests: Sequence[str], *, dry_run: bool) -> Accepted | AwsError:
        """Cancel Spot requests; the instances that they launched go on running."""
        ...

    def live_from(self, requests: Collection[str]) -> Mapping[str, str] | AwsError:
        """Live instances that these Spot requests launched: instance id → request."""
        ...


class History(Protocol):
    """The account's own record of what happened to its instances."""

    def lived_here(self, instance_id: str) -> bool | AwsError:
        """Whether the instance was ever this account's, as far back as the record goes."""
        ...


class Delivery(Enum):
    """What became of a report that was to be delivered once per window."""

    FIRST = auto()
    """Acknowledged now."""
    REPLAYED = auto()
    """Acknowledged earlier in the window; not sent."""
    UNDER_WAY = auto()
    """Another run is sending it at this moment; not sent."""


class Ledger(Protocol):
    """Remembers acknowledged success reports for the idempotency window."""

    def once(self, instance_id: str, send: Callable[[], None]) -> Delivery:
        """Call `send` unless an acknowledged report is younger than the window.

        What `send` raises comes through, and leaves no record. Without its store the ledger
        sends all the same: a report twice is a nuisance, a report never is money.
        """
        ...


class Journal(Protocol):
    """Where a run's story goes: the structured log and the metrics."""

    def settled(self, settled: Settled) -> None:
        """Write one entry's outcome: the audit trail."""
        ...

    def accepted(self, instance_ids: Sequence[str], request_id: str | None) -> None:
        """Write, at once, that EC2 accepted a call: known even if the run is killed after it."""
        ...

    def invalid(self, entry: Invalid) -> None:
        """Write an entry of the list that cannot be acted on."""
        ...

    def fuse_blown(self, why: str) -> None:
        """Say, once and loudly, that a run terminates nothing."""
        ...

    def stuck(self, instance: Instance, seconds: float) -> None:
        """Warn of an instance that has been shutting down for too long."""
        ...

    def came_back(self, instance_id: str, request: str) -> None:
        """Warn of an instance from a Spot request that this function had cancelled."""
        ...

    def summary(self, summary: Summary, settled: Sequence[Settled], answered_in: timedelta) -> None:
        """Write the run's counts and how long the backend's list took, and send the metrics."""
        ...


@dataclass(slots=True)
class CancelledRequest:
    """A Spot request that was cancelled: the instances it is known to have launched, and when."""

    instances: set[str]
    at: datetime


class Outside(Protocol):
    """All that a run may need; what it does not ask for is never made.

    A run with nothing to do touches only `backend`: no AWS client is built for it.
    """

    @property
    def backend(self) -> Backend: ...

    @property
    def machines(self) -> Machines: ...

    @property
    def history(self) -> History: ...

    @property
    def ledger(self) -> Ledger: ...

    @property
    def journal(self) -> Journal: ...

    @property
    def cancelled(self) -> dict[str, CancelledRequest]:
        """Spot requests cancelled lately, by id: a memory that may be lost without harm."""
        ...

    @property
    def listed(self) -> dict[str, datetime]:
        """Instances listed lately, and when: a memory whose loss weakens one guard, no more."""
        ...
