"""EC2 Fleets and Spot Fleet requests: what launches members, and replaces them where it maintains.

Types and states are those of the API reference:
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_FleetData.html (EC2 Fleet) and
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SpotFleetRequestConfig.html (Spot Fleet).
"""

from dataclasses import dataclass

FLEET_TAG = "aws:ec2:fleet-id"
SPOT_FLEET_TAG = "aws:ec2spot:fleet-request-id"
_TYPES = {False: {"maintain", "request", "instant"}, True: {"maintain", "request"}}


@dataclass(slots=True)
class Ec2Fleet:
    """One fleet; its members are the instances that bear its id."""

    id: str
    type: str
    spot: bool  # a Spot Fleet request
    created_at: float
    state: str = "active"
    target: int = 0

    def __post_init__(self) -> None:
        if self.type not in _TYPES[self.spot]:
            raise ValueError(f"no such type of fleet: {self.type}")

    @property
    def tag(self) -> dict[str, str]:
        """What each member bears."""
        return {SPOT_FLEET_TAG if self.spot else FLEET_TAG: self.id}

    @property
    def replaces(self) -> bool:
        """Whether a member that ends is followed by another one.

        A fleet whose state begins with `deleted` or `cancelled` launches nothing more
        (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/delete-fleet.html).
        """
        return self.type == "maintain" and not self.state.startswith(("deleted", "cancelled"))
