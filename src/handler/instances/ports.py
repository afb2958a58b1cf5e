"""What a run needs of the outside. Adapters implement these; tests run one suite on each pair."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from handler.aws.errors import AwsError
from handler.instances.model import Instance, Observed
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
    """EC2's answer to a call that it carried out; an id may be missing from it."""

    changes: Mapping[str, Change]
    request_id: str | None


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
        """Running instances that bear one of these `LogicalAgentId`s, or have one of these ids."""
        ...

    def fleet_size(self, tags: Mapping[str, str], *, or_keys: Collection[str]) -> int | AwsError:
        """How many live instances bear all of these tags, or (where there are any) all of these keys."""
        ...

    def fleets(self, fleets: Collection[str]) -> Mapping[str, bool | AwsError]:
        """Which of these EC2 Fleets and Spot Fleets replace their members; one not shown is absent."""
        ...

    def members(self, ids: Collection[str]) -> Mapping[str, Member | AwsError]:
        """What Auto Scaling and EC2 show of these members of groups; one not shown is absent."""
        ...

    def terminate(self, ids: Sequence[str], *, dry_run: bool) -> Accepted | AwsError:
        """Ask EC2 once to terminate up to 1,000 instances of one Availability Zone.

        With `dry_run` EC2 only says whether it would: `Accepted` without changes means yes.
        """
        ...

    def terminate_in_group(self, instance_id: str) -> Accepted | AwsError:
        """Ask Auto Scaling once to terminate a member, which the group does not replace."""
        ...

    def standing_requests(self, requests: Collection[str]) -> Mapping[str, str] | AwsError:
        """The persistent ones of these Spot requests that are not over: request → its state."""
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
