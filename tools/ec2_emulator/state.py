"""The fleet, as a test arranges it: launches, tags, interruptions."""

from collections.abc import Mapping

from tools.ec2_emulator.fleets import Ec2Fleet
from tools.ec2_emulator.groups import GROUP_TAG, Group
from tools.ec2_emulator.instance import INSIDE, SPOT, USER, Instance, Operator, View
from tools.ec2_emulator.lifecycle import Lifecycle
from tools.ec2_emulator.spot import SpotRequest


class Fleet(Lifecycle):
    """An account's instances in one region, and what happens to them besides the calls that are tested."""

    def launch(
        self,
        *,
        zone: str | None = None,
        tags: Mapping[str, str] | None = None,
        protected: bool = False,
        spot: str | None = None,
        request_tags: Mapping[str, str] | None = None,
        asg: str | None = None,
        fleet: str | None = None,
        operator: str | Operator | None = None,
        state: str = "running",
        launch_time: float | None = None,
        instance_type: str = "c5.large",
        image_id: str = "ami-0123456789abcdef0",
        instance_id: str | None = None,
        stuck: bool = False,
    ) -> str:
        """Start an instance and return its id.

        Args:
            zone: the region's zone `a` where none is named.
            tags: the instance's tags.
            protected: termination protection; EC2 has none for Spot instances.
            spot: `one-time` or `persistent`.
            request_tags: the Spot request's own; what launches instances rarely tags it.
            asg: a group's name; the group is made, or grows, to hold the instance.
            fleet: the id of a fleet from `create_fleet`, which grows to hold the instance.
            operator: the service that manages it, such as `eks.amazonaws.com`; hidden by default.
            state: what it is in from the start.
            launch_time: seconds since the epoch; the start is visible from then on, subject to the lag.
            instance_type: shown, nothing more.
            image_id: shown, nothing more.
            instance_id: instead of a made-up one.
            stuck: once shutting down it stays so.
        """
        if spot and protected:
            raise ValueError("EC2 has no termination protection for Spot instances")
        with self.lock:
            self.settle()
            at = self.clock() if launch_time is None else launch_time
            request = None
            if spot:
                request = SpotRequest(self._new_id("sir", 8), spot, dict(request_tags or {}), at)
                self.requests[request.id] = request
            marks = dict(tags or {})
            if asg:
                self.groups.setdefault(asg, Group(asg)).desired += 1
                marks[GROUP_TAG] = asg
            if fleet:
                self.fleets[fleet].target += 1
                marks |= self.fleets[fleet].tag
            return self._start(
                Instance(
                    id=instance_id or self._new_id("i", 17),
                    type=instance_type,
                    zone=zone or f"{self.region}a",
                    image_id=image_id,
                    launched_at=at,
                    reservation_id=self._new_id("r", 17),
                    sequence=self._sequence,
                    protected=protected,
                    stuck=stuck,
                    spot_request_id=request.id if request else None,
                    group=asg,
                    fleet_id=fleet,
                    operator=Operator(operator) if isinstance(operator, str) else operator,
                    unseen_until=at + self.launch_lag,
                    views=[View(at, state, marks)],
                )
            )

    def create_fleet(self, kind: str = "maintain", *, spot: bool = False) -> str:
        """A fleet of no members yet: an EC2 Fleet, or with `spot` a Spot Fleet request; its id."""
        with self.lock:
            prefix = "sfr" if spot else "fleet"
            fleet = Ec2Fleet(self._new_id(prefix, 36), kind, spot, self.clock())
            self.fleets[fleet.id] = fleet
            return fleet.id

    def launch_elsewhere(self) -> str:
        """An instance of another account, of which this one knows no more than its id."""
        with self.lock:
            instance_id = self._new_id("i", 17)
            self.elsewhere.add(instance_id)
            return instance_id

    def unsee(self, instance_id: str, seconds: float) -> None:
        """DescribeInstances does not show it for this long, in whatever state it is."""
        with self.lock:
            self.instances[instance_id].unseen_until = self.clock() + seconds

    def tag(self, instance_id: str, key: str, value: str) -> None:
        with self.lock:
            instance = self.instances[instance_id]
            self._change(instance, tags={**instance.tags, key: value})

    def untag(self, instance_id: str, key: str) -> None:
        with self.lock:
            instance = self.instances[instance_id]
            self._change(instance, tags={k: v for k, v in instance.tags.items() if k != key})

    def stop(self, instance_id: str) -> None:
        with self.lock:
            instance = self.instances[instance_id]
            self._change(instance, state="stopped")
            if request := self.requests.get(instance.spot_request_id or ""):
                request.instance_stopped()

    def interrupt(self, instance_id: str) -> None:
        """The Spot service takes its instance back."""
        with self.lock:
            self.end(self.instances[instance_id], SPOT)

    def shut_down_inside(self, instance_id: str) -> None:
        """The instance's own operating system shuts it down, and it is set to terminate then."""
        with self.lock:
            self.end(self.instances[instance_id], INSIDE)

    def terminate(self, instance_id: str) -> None:
        """Somebody else terminates it, past all protection."""
        with self.lock:
            self.end(self.instances[instance_id], USER)

    def forget(self, instance_id: str) -> None:
        """EC2 no longer knows it, as an hour after its end."""
        with self.lock:
            del self._instances[instance_id]

    def unstick(self, instance_id: str) -> None:
        """Let a stuck shutdown end."""
        with self.lock:
            self._finish(self.instances[instance_id], self.clock())
