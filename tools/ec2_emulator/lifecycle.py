"""How instances live and end, and what DescribeInstances may show of it by now.

A state machine over an injected clock. It knows nothing of requests, errors or XML. Changes that lie in
the future (the end of a shutdown, a relaunch) wait in a queue that every look settles first.
"""

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from tools.ec2_emulator.clock import Clock, as_datetime
from tools.ec2_emulator.fleets import Ec2Fleet
from tools.ec2_emulator.groups import Group
from tools.ec2_emulator.instance import Cause, Instance, View
from tools.ec2_emulator.schedule import Schedule
from tools.ec2_emulator.spot import SpotRequest


def _ignore_launch(instance: Instance) -> None: ...


class Lifecycle:
    """All instances of one account and region, with what holds them: Spot requests, groups, fleets."""

    def __init__(self, clock: Clock, *, region: str = "us-east-1", seed: int = 0) -> None:
        self.clock = clock
        self.region = region
        self.lock = threading.RLock()
        self.on_launch: Callable[[Instance], None] = _ignore_launch
        # How long things take, in seconds. At 0 a change is there at the next look.
        self.lag = 0.0
        self.launch_lag = 0.0
        self.shutdown_seconds = 0.0
        self.relaunch_seconds = 0.0
        self.visible_seconds = 3_600.0
        self.tags_kept_seconds = 1_800.0
        self.requests: dict[str, SpotRequest] = {}
        self.groups: dict[str, Group] = {}
        self.fleets: dict[str, Ec2Fleet] = {}
        self.elsewhere: set[str] = set()  # ids that exist in another account
        self._instances: dict[str, Instance] = {}
        self._schedule = Schedule()
        self._seed = seed
        self._sequence = 0

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
            seen = instance and instance.unseen_until <= self.clock()
            if instance and seen and view and not self._expired(view, at):
                shown[key] = (
                    instance,
                    replace(view, tags={}) if self._untagged(view, at) else view,
                )
        return shown

    # How it changes.

    def settle(self) -> None:
        """Let everything happen that is due by now."""
        self._schedule.settle(self.clock())

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
            self._schedule.plan(now + self.shutdown_seconds, lambda at: self._finish(instance, at))
        return state

    def _finish(self, instance: Instance, at: float) -> None:
        if instance.state == "shutting-down":
            instance.views.append(replace(instance.views[-1], at=at, state="terminated"))
            self._ended(instance, at)

    def _ended(self, instance: Instance, at: float) -> None:
        due = at + self.relaunch_seconds
        request = self.requests.get(instance.spot_request_id or "")
        if request and request.instance_ended():
            self._schedule.plan(due, lambda at: self._relaunch(instance, request, at))
        if instance.group or instance.fleet_id:
            self._schedule.plan(due, lambda at: self._refill(instance, at))

    def _relaunch(self, old: Instance, request: SpotRequest, at: float) -> None:
        if request.state == "open":
            request.state, request.instance_id = "active", self._start(self._copy(old, at))

    def _refill(self, old: Instance, at: float) -> None:
        live = [each for each in self._instances.values() if each.live]
        if old.group:  # a group may launch through a fleet; it is the group that decides
            members = [each.id for each in live if each.group == old.group]
            short = self.groups[old.group].lacks(members)
        else:
            fleet = self.fleets[old.fleet_id or ""]
            members = [each.id for each in live if each.fleet_id == old.fleet_id]
            short = fleet.replaces and len(members) < fleet.target
        if short:
            new = self._copy(old, at)
            if spent := self.requests.get(old.spot_request_id or ""):
                request = SpotRequest(self._new_id("sir", 8), spent.type, dict(spent.tags), at)
                self.requests[request.id] = request
                new.spot_request_id = request.id
            self._start(new)

    def _copy(self, old: Instance, at: float) -> Instance:
        return replace(
            old,
            id=self._new_id("i", 17),
            launched_at=at,
            reservation_id=self._new_id("r", 17),
            sequence=self._sequence,
            stuck=False,
            unseen_until=at + self.launch_lag,
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

    def _new_id(self, prefix: str, digits: int) -> str:
        # Hashed, so that the order of ids says nothing about the order of launch.
        self._sequence += 1
        digest = hashlib.sha256(f"{self._seed}/{self._sequence}".encode()).hexdigest()
        return f"{prefix}-{digest[:digits]}"
