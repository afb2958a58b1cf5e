"""The fleet: what is true of instances, and what DescribeInstances may show of it by now.

A state machine over an injected clock. It knows nothing of requests, errors or XML. Changes that lie in
the future (the end of a shutdown, a relaunch) wait in a queue that every look at the fleet settles first.
"""

import hashlib
import heapq
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from tools.ec2_emulator.clock import Clock, as_datetime
from tools.ec2_emulator.groups import GROUP_TAG, Group
from tools.ec2_emulator.instance import INSIDE, SPOT, USER, Cause, Instance, View
from tools.ec2_emulator.spot import SpotRequest


def _ignore_launch(instance: Instance) -> None: ...


class Fleet:
    """All instances of one account and region, with the Spot requests and groups that hold them."""

    def __init__(self, clock: Clock, *, region: str = "us-east-1", seed: int = 0) -> None:
        self.clock = clock
        self.region = region
        self.lock = threading.RLock()
        self.on_launch: Callable[[Instance], None] = _ignore_launch
        # How long things take, in seconds. At 0 a change is there at the next look.
        self.lag = 0.0
        self.shutdown_seconds = 0.0
        self.relaunch_seconds = 0.0
        self.visible_seconds = 3_600.0
        self.tags_kept_seconds = 1_800.0
        self.requests: dict[str, SpotRequest] = {}
        self.groups: dict[str, Group] = {}
        self._instances: dict[str, Instance] = {}
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._seed = seed
        self._sequence = 0

    # What a test does to the fleet.

    def launch(
        self,
        *,
        zone: str | None = None,
        tags: Mapping[str, str] | None = None,
        protected: bool = False,
        spot: str | None = None,
        asg: str | None = None,
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
            asg: a group's name; the group is made, or grows, to hold the instance.
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
                request = SpotRequest(self._new_id("sir", 8), spot, dict(tags or {}), at)
                self.requests[request.id] = request
            if asg:
                self.groups.setdefault(asg, Group(asg)).desired += 1
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
                    views=[View(at, state, {**(tags or {}), **({GROUP_TAG: asg} if asg else {})})],
                )
            )

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
            self._change(self.instances[instance_id], state="stopped")

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

    # What is true.

    @property
    def instances(self) -> Mapping[str, Instance]:
        """Every instance that EC2 knows, terminated ones too for as long as they are visible."""
        with self.lock:
            self.settle()
            now = self.clock()
            return {k: v for k, v in self._instances.items() if not self._gone(v, now)}

    @property
    def live(self) -> list[str]:
        return [key for key, instance in self.instances.items() if instance.live]

    def get(self, instance_id: str) -> Instance | None:
        instance = self._instances.get(instance_id)
        return None if instance is None or self._gone(instance, self.clock()) else instance

    def tags_of(self, instance: Instance, at: float) -> Mapping[str, str]:
        """An instance's tags at a moment: EC2 drops them some time after the end."""
        view = instance.seen_at(at) or instance.views[0]
        return {} if self._untagged(view, at) else view.tags

    def visible(self, ids: Iterable[str] | None = None) -> dict[str, tuple[Instance, View]]:
        """What DescribeInstances shows now, of all or of these: the truth of `lag` seconds ago."""
        self.settle()
        at = self.clock() - self.lag
        shown = {}
        for key in self._instances if ids is None else ids:
            instance = self._instances.get(key)
            view = instance.seen_at(at) if instance else None
            if instance and view and not self._expired(view, at):
                shown[key] = (
                    instance,
                    replace(view, tags={}) if self._untagged(view, at) else view,
                )
        return shown

    # How it changes.

    def settle(self) -> None:
        """Let everything happen that is due by now."""
        now = self.clock()
        while self._due and self._due[0][0] <= now:
            at, _, happen = heapq.heappop(self._due)
            happen(at)

    def end(self, instance: Instance, cause: Cause) -> str:
        """Terminate, whoever asked for it, and return the state that follows. Harmless when repeated."""
        if not instance.live:
            return instance.state
        now = self.clock()
        time = as_datetime(now).strftime("%Y-%m-%d %H:%M:%S")
        # A stopped instance has nothing to shut down.
        state = "terminated" if instance.state == "stopped" else "shutting-down"
        self._change(
            instance, state=state, transition_reason=cause.transition.format(time), cause=cause
        )
        if state == "terminated":
            self._ended(instance, now)
        elif not instance.stuck:
            self._later(now + self.shutdown_seconds, lambda at: self._finish(instance, at))
        return state

    def unstick(self, instance_id: str) -> None:
        """Let a stuck shutdown end."""
        with self.lock:
            self._finish(self.instances[instance_id], self.clock())

    def _finish(self, instance: Instance, at: float) -> None:
        if instance.state == "shutting-down":
            instance.views.append(replace(instance.views[-1], at=at, state="terminated"))
            self._ended(instance, at)

    def _ended(self, instance: Instance, at: float) -> None:
        due = at + self.relaunch_seconds
        request = self.requests.get(instance.spot_request_id or "")
        if request and request.instance_ended():
            self._later(due, lambda at: self._relaunch(instance, request, at))
        if instance.group:
            self._later(due, lambda at: self._refill(instance, at))

    def _relaunch(self, old: Instance, request: SpotRequest, at: float) -> None:
        if request.state == "open":
            request.state, request.instance_id = "active", self._start(self._copy(old, at))

    def _refill(self, old: Instance, at: float) -> None:
        members = [i for i in self._instances.values() if i.group == old.group and i.live]
        if len(members) < self.groups[old.group or ""].desired:
            self._start(self._copy(old, at))

    def _copy(self, old: Instance, at: float) -> Instance:
        return replace(
            old,
            id=self._new_id("i", 17),
            launched_at=at,
            reservation_id=self._new_id("r", 17),
            sequence=self._sequence,
            stuck=False,
            views=[View(at, "running", old.tags)],
        )

    def _start(self, instance: Instance) -> str:
        self._instances[instance.id] = instance
        request = self.requests.get(instance.spot_request_id or "")
        if request:
            request.instance_id = instance.id
        self.on_launch(instance)
        return instance.id

    def _change(
        self,
        instance: Instance,
        *,
        state: str | None = None,
        tags: Mapping[str, str] | None = None,
        transition_reason: str | None = None,
        cause: Cause | None = None,
    ) -> None:
        last = instance.views[-1]
        instance.views.append(
            View(
                self.clock(),
                last.state if state is None else state,
                last.tags if tags is None else tags,
                last.transition_reason if transition_reason is None else transition_reason,
                cause or last.cause,
            )
        )

    def _gone(self, instance: Instance, at: float) -> bool:
        view = instance.seen_at(at)
        return view is not None and self._expired(view, at)

    def _expired(self, view: View, at: float) -> bool:
        return view.state == "terminated" and at - view.at >= self.visible_seconds

    def _untagged(self, view: View, at: float) -> bool:
        return view.state == "terminated" and at - view.at >= self.tags_kept_seconds

    def _later(self, at: float, happen: Callable[[float], None]) -> None:
        self._sequence += 1
        heapq.heappush(self._due, (at, self._sequence, happen))

    def _new_id(self, prefix: str, digits: int) -> str:
        # Hashed, so that the order of ids says nothing about the order of launch.
        self._sequence += 1
        digest = hashlib.sha256(f"{self._seed}/{self._sequence}".encode()).hexdigest()
        return f"{prefix}-{digest[:digits]}"
