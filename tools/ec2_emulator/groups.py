"""Auto Scaling groups: as many instances as desired, whoever terminates them."""

from dataclasses import dataclass, field

GROUP_TAG = "aws:autoscaling:groupName"


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
