"""What the backend wants gone, and what EC2 shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from handler.aws.errors import AwsError

ZOMBIE = "zombie_timeout"
"""An old primary that outlived its wait (contract section 1)."""
REPLICA = "replica_terminated"
"""A replica of the agent's own that is no longer wanted (contract section 1)."""


@dataclass(frozen=True, slots=True)
class Agent:
    """One of `AGENT_ID`'s; `logical_id` is its machines' tag `LogicalAgentId`, where it is known."""

    agent_id: str
    logical_id: str | None = None


class UntaggedReplicas(StrEnum):
    """What happens to replicas that bear the polling worker's tags alone (`UNTAGGED_REPLICAS`)."""

    REFUSE = "refuse"
    TERMINATE = "terminate"


@dataclass(frozen=True, slots=True)
class Marked:
    """One valid entry of the backend's list.

    `waited` is in seconds since the instance was marked, or None where the backend does not say.
    """

    instance_id: str
    reason: str
    zone: str | None = None
    waited: float | None = None


@dataclass(frozen=True, slots=True)
class Invalid:
    """An entry of the list that cannot be acted on; `shown` is what to log of it."""

    shown: str
    why: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The backend's list as received: valid entries, first of each id, and the others."""

    marked: tuple[Marked, ...]
    invalid: tuple[Invalid, ...]
    auto_terminate_enabled: bool


class State(StrEnum):
    """An instance's state (EC2 API, `InstanceState`)."""

    PENDING = "pending"
    RUNNING = "running"
    SHUTTING_DOWN = "shutting-down"
    TERMINATED = "terminated"
    STOPPING = "stopping"
    STOPPED = "stopped"

    @property
    def ended(self) -> bool:
        """Whether there is no way back from it."""
        return self in {State.SHUTTING_DOWN, State.TERMINATED}


@dataclass(frozen=True, slots=True)
class Ending:
    """How and when an instance ended, as EC2 remembers it.

    `by_api` is true for EC2's own `User initiated`; false for Spot interruption, a shutdown from
    inside, and the like. `at` is None where EC2 gives no time.
    """

    by_api: bool
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """What EC2 shows of one instance."""

    instance_id: str
    state: State
    zone: str
    tags: Mapping[str, str] = field(default_factory=dict)
    ending: Ending | None = None
    spot_request: str | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look at EC2 showed.

    An id that is neither in `seen` nor in `unreadable` is not known to EC2 in this account and
    region. `unreadable` says why, for ids whose look-up failed: nothing is decided about them.
    """

    seen: Mapping[str, Instance]
    unreadable: Mapping[str, AwsError]
