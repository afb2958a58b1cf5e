"""The machines and images that a sample event meets, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from moto.ec2.models import ec2_backends

from local.events import HOUSEKEEPING
from local.furnish import ACCOUNT, add_image
from local.stack import Stack

States = dict[str, str]
"""EC2's state of each, by name; an image that is gone is `gone`."""


@dataclass
class Scene:
    """One stack that many events meet in turn, each with something to do.

    Attributes:
        stack: in this process.
        machines: instance ids by name: a primary, and zombies whose wait is over.
        images: image ids by name: the newest, which must stay, and an older one.
    """

    stack: Stack
    machines: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    _made: int = 0

    def prepare(self, function: str) -> None:
        """Two live zombies beside a primary, or an old image beside the newest one."""
        if "primary" not in self.machines:
            (self.machines["primary"],) = self.stack.launch("b")
        if function == HOUSEKEEPING:
            self._image("newest", age_days=40)
            self._image("old", age_days=60)
            return
        for name in ("zombie 1", "zombie 2"):
            if name not in self.machines or self.stack.state(self.machines[name]) != "running":
                (self.machines[name],) = self.stack.launch("a")
                self.stack.operator.add_zombies(
                    self.stack.agent_id, [self.machines[name]], age_seconds=400
                )

    def states(self, function: str) -> States:
        """What EC2 shows of what the function is about."""
        if function == HOUSEKEEPING:
            return {name: self._state(image) for name, image in self.images.items()}
        return {name: self.stack.state(machine) for name, machine in self.machines.items()}

    def _image(self, name: str, *, age_days: float) -> None:
        if name in self.images and self._state(self.images[name]) != "gone":
            return
        self._made += 1
        self.images[name] = add_image(
            self.stack, f"{name}-{self._made}", self.machines["primary"], age_days=age_days
        )

    def _state(self, image: str) -> str:
        moto: Any = ec2_backends[ACCOUNT][self.stack.region]
        return "available" if image in moto.amis else "gone"
