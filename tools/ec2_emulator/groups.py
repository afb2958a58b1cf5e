"""Auto Scaling groups: as many instances as desired, whoever terminates them."""

from collections.abc import Collection
from dataclasses import dataclass, field

GROUP_TAG = "aws:autoscaling:groupName"


RETAINED = frozenset({"Terminating:Retained", "Warmed:Terminating:Retained"})


@dataclass(slots=True)
class Group:
    """One group; its members are the instances that bear its name.

    With a hook, a member that is to end waits in it, running, until somebody lets it go on.
    """

    name: str
    desired: int = 0
    min_size: int = 0
    hook: bool = False
    waiting: set[str] = field(default_factory=set)
    # Members in another state than the usual one, such as `Standby` or `Terminating:Retained`.
    states: dict[str, str] = field(default_factory=dict)
    protected_from_scale_in: set[str] = field(default_factory=set)

    def state_of(self, instance_id: str) -> str:
        """A member's lifecycle state."""
        usual = "Terminating:Wait" if instance_id in self.waiting else "InService"
        return self.states.get(instance_id, usual)

    def retains(self, instance_id: str) -> bool:
        """Whether a member stays until it is terminated by hand, outside the desired capacity.

        https://docs.aws.amazon.com/autoscaling/ec2/userguide/manage-retained-instances.html
        """
        return self.state_of(instance_id) in RETAINED

    def lacks(self, members: Collection[str]) -> bool:
        """Whether the group will launch another instance beside these live ones."""
        return sum(not self.retains(each) for each in members) < self.desired
