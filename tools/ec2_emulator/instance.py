"""An instance: what it is, and the history of what could be seen of it."""

from collections.abc import Mapping
from dataclasses import dataclass

STATE_CODES = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
}
LIVE = frozenset({"pending", "running", "stopping", "stopped"})


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an instance ends: both of EC2's ways to say it."""

    transition: str  # gets the time
    code: str
    message: str


USER = Cause(
    "User initiated ({} GMT)",
    "Client.UserInitiatedShutdown",
    "Client.UserInitiatedShutdown: User initiated shutdown",
)
# Seen on real instances: the transition says "User initiated", without a time; only the code tells.
INSIDE = Cause(
    "User initiated",
    "Client.InstanceInitiatedShutdown",
    "Client.InstanceInitiatedShutdown: Instance initiated shutdown",
)
SPOT = Cause(
    "Service initiated ({} GMT)",
    "Server.SpotInstanceTermination",
    "Server.SpotInstanceTermination: Spot instance termination",
)


@dataclass(frozen=True, slots=True)
class View:
    """What can change about an instance, from one moment on."""

    at: float
    state: str
    tags: Mapping[str, str]
    transition_reason: str = ""
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class Operator:
    """The AWS service that manages an instance, and whether EC2 hides what it manages."""

    principal: str
    hidden: bool = True


@dataclass(slots=True)
class Instance:
    """One instance and the history of its views."""

    id: str
    type: str
    zone: str
    image_id: str
    launched_at: float
    reservation_id: str
    sequence: int
    protected: bool
    stuck: bool
    spot_request_id: str | None
    group: str | None
    fleet_id: str | None
    operator: Operator | None
    unseen_until: float  # DescribeInstances, eventually consistent, does not show it before
    views: list[View]

    @property
    def state(self) -> str:
        return self.views[-1].state

    @property
    def tags(self) -> Mapping[str, str]:
        return self.views[-1].tags

    @property
    def hidden(self) -> bool:
        """Whether a filtered look leaves it out unless managed resources are asked for."""
        return self.operator is not None and self.operator.hidden

    @property
    def live(self) -> bool:
        return self.state in LIVE

    def seen_at(self, at: float) -> View | None:
        """The view that held at a moment; None before there was any."""
        for view in reversed(self.views):
            if view.at <= at:
                return view
        return None
