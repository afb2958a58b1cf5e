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
    image_id: str = ""  # of its launch specification
    unseen_until: float = 0.0  # DescribeSpotInstanceRequests does not know it before

    def __post_init__(self) -> None:
        if self.type not in {"one-time", "persistent"}:
            raise ValueError(f"no such type of Spot request: {self.type}")

    def instance_stopped(self) -> None:
        """The user stops the instance; a one-time request's cannot be stopped."""
        if self.type == "persistent" and self.state == "active":
            self.state = "disabled"

    def instance_ended(self) -> bool:
        """Note the end of the instance; true if another one is to be launched."""
        if self.state not in {"active", "disabled"}:
            return False
        self.state = "open" if self.type == "persistent" else "closed"
        return self.state == "open"

    def cancel(self) -> bool:
        """Cancel what can be cancelled; true if the instance ends with it.

        An active request's instance runs on, a disabled one's, which is stopped, is terminated
        (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-spot-instances-cancel.html).
        """
        ends_instance = self.state == "disabled"
        if self.state in {"active", "open", "disabled"}:
            self.state = "cancelled"
        return ends_instance
