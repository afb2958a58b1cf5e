"""Spot requests: what asks for an instance, and asks again when it is persistent."""

from dataclasses import dataclass


@dataclass(slots=True)
class SpotRequest:
    """One Spot instance request."""

    id: str
    type: str
    tags: dict[str, str]
    created_at: float
    state: str = "active"
    instance_id: str | None = None

    def __post_init__(self) -> None:
        if self.type not in {"one-time", "persistent"}:
            raise ValueError(f"no such type of Spot request: {self.type}")

    def instance_ended(self) -> bool:
        """Note the end of the instance; true if another one is to be launched."""
        if self.state != "active":
            return False
        self.state = "open" if self.type == "persistent" else "closed"
        return self.state == "open"

    def cancel(self) -> str:
        """Cancel what can be cancelled; the instance, if there is one, runs on."""
        if self.state in {"active", "open"}:
            self.state = "cancelled"
        return self.state
