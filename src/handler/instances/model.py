"""What the backend wants gone, for whom, and what EC2 shows."""

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
    """One agent of `AGENT_ID`; `logical_id` is the value of its machines' tag `LogicalAgentId`."""

    agent_id: str
    logical_id: str | None = None


class UntaggedReplicas(StrEnum):
    """What happens to replicas that bear only the polling worker's tags (`UNTAGGED_REPLICAS`)."""

    REFUSE = "refuse"
    TERMINATE = "terminate"


@dataclass(frozen=True, slots=True)
class Marked:
    """One valid entry of one agent's list.

    Attributes:
        instance_id: EC2's.
        reason: the backend's; what is not known counts as a zombie's.
        agent: whose list it stands in.
        listed_at: when that list arrived (UTC); `waited` counts up to it.
        zone: where the backend believes it is, or None.
        waited: seconds since it was marked, or None: the backend does not say, or says a negative
            number (contract section 1, quirk 6).
    """

    instance_id: str
    reason: str
    agent: Agent
    listed_at: datetime
    zone: str | None = None
    waited: float | None = None

    @property
    def as_replica(self) -> bool:
        """Whether it is listed as a replica."""
        return self.reason == REPLICA


@dataclass(frozen=True, slots=True)
class Invalid:
    """An entry that cannot be acted on; `placeholder`: of a replica that was never launched.

    `instance_id` and `reason` are the beginnings of its texts of these names, or None.
    """

    agent: Agent
    shown: str
    why: str
    placeholder: bool = False
    instance_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class AgentList:
    """One agent's list as received.

    Attributes:
        agent: who asked.
        enabled: its own `auto_terminate_enabled`.
        marked: the valid entries: of each id the first, and one more where the backend lists it
            both as a replica and as a zombie.
        told: entries that cannot be acted on, as far as they are told one by one.
        invalid: how many there are, placeholders aside.
        placeholders: how many entries are placeholders.
        held: the machines that invalid entries name: the backend wants these gone, too.
    """

    agent: Agent
    enabled: bool
    marked: tuple[Marked, ...]
    told: tuple[Invalid, ...] = ()
    invalid: int = 0
    placeholders: int = 0
    held: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One machine of this run's lists: its entries, in `AGENT_ID`'s order.

    Attributes:
        listed: by agents whose switch is on; may be empty.
        switched_off: by agents whose switch is off.
    """

    instance_id: str
    listed: tuple[Marked, ...]
    switched_off: tuple[Marked, ...] = ()

    @property
    def first(self) -> Marked:
        """The entry of the first agent that lists it; one whose switch is on comes first."""
        return (self.listed or self.switched_off)[0]


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
    """What EC2 shows of one instance.

    Attributes:
        instance_id, state, zone, tags: EC2's.
        ending: how it ended, if it has.
        spot_request: the Spot request that launched it.
        operator: the AWS service that manages it, if one does (EC2 API, `OperatorResponse`).
    """

    instance_id: str
    state: State
    zone: str
    tags: Mapping[str, str] = field(default_factory=dict)
    ending: Ending | None = None
    spot_request: str | None = None
    operator: str | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """What one look at EC2 showed of the ids that it was asked about.

    Attributes:
        seen: id → the instance.
        gone: ids that EC2 itself says do not exist, asked by their id.
        unreadable: id → why nothing is known about it: nothing is decided.
    """

    seen: Mapping[str, Instance]
    gone: frozenset[str]
    unreadable: Mapping[str, AwsError]
