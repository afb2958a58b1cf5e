"""Auto Scaling groups: as many instances as desired, whoever terminates them."""

from dataclasses import dataclass

GROUP_TAG = "aws:autoscaling:groupName"


@dataclass(slots=True)
class Group:
    """One group; its members are the instances that bear its name."""

    name: str
    desired: int = 0
    min_size: int = 0
