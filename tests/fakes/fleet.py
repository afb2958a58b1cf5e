"""EC2 as AWS documents it, in memory: a bulk call is all or nothing, and every call is recorded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from threading import Lock

from handler.aws.errors import AwsError, ErrorKind
from handler.aws.retry import OUT_OF_TIME
from handler.instances.model import Ending, Instance, Observed, State
from handler.instances.ports import Accepted, Change
from handler.instances.surroundings import Leaving, Member
from tests.fakes.build import NOW

LIVE = {State.PENDING, State.RUNNING, State.STOPPING, State.STOPPED}


class FakeFleet:
    """The port `Machines`.

    `faults` is taken from by each call that changes something: an error is its answer, None lets it
    through. A fault of the kind NO_ANSWER hides the answer of a call that *was* carried out when
    `lost_answers` says so.
    """

    def __init__(self, instances: Iterable[Instance] = ()) -> None:
        self.instances = {one.instance_id: one for one in instances}
        self.protected: set[str] = set()
        self.forbidden: set[str] = set()
        self.unreadable: dict[str, AwsError] = {}
        self.odd_states: dict[str, str] = {}
        self.silent: set[str] = set()
        self.standing: set[str] = set()
        self.disabled: set[str] = set()
        self.unknown_requests: dict[str, AwsError] = {}
        self.replacing: dict[str, bool | AwsError] = {}
        self.group_members: dict[str, Member | AwsError] = {}
        self.cancelled: list[str] = []
        self.cancelled_as = "cancelled"
        self.faults: list[AwsError | None] = []
        self.lost_answers = False
        self.size_error: AwsError | None = None
        self.peers_error: AwsError | None = None
        self.standing_error: AwsError | None = None
        self.live_from_answer: dict[str, str] | AwsError = {}
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        self.terminated: list[str] = []
        self.shrunk: list[str] = []
        self.before_look: Callable[[], None] = lambda: None
        self.before_member: Callable[[], None] = lambda: None
        self.before_requests: Callable[[], None] = lambda: None
        self.before_terminate: Callable[[], None] = lambda: None
        self.clock: Callable[[], datetime] = lambda: NOW
        self._lock = Lock()

    def called(self, name: str) -> list[tuple[str, ...]]:
        """The arguments of the calls of this name."""
        return [arguments for call, arguments in self.calls if call == name]

    def change(self, instance_id: str, state: State, *, by_api: bool = True) -> None:
        """Let something happen to an instance."""
        ending = Ending(by_api, self.clock()) if state.ended else None
        self.instances[instance_id] = replace(
            self.instances[instance_id], state=state, ending=ending
        )

    def look(self, zones: Mapping[str, str | None]) -> Observed:
        self._note("look", zones)
        self.before_look()
        known = {one: self.instances[one] for one in zones if one in self.instances}
        unreadable = {one: self.unreadable[one] for one in zones if one in self.unreadable}
        seen = {one: it for one, it in known.items() if one not in unreadable}
        return Observed(
            seen, frozenset(zones.keys() - known.keys() - unreadable.keys()), unreadable
        )

    def terminate(self, ids: Sequence[str], *, dry_run: bool) -> Accepted | AwsError:
        self._note("dry-terminate" if dry_run else "terminate", ids)
        self.before_terminate()
        with self._lock:
            fault = self.faults.pop(0) if self.faults else None
            if fault is not None and not self.lost_answers:
                return fault
            answer = self._judge(ids) or self._carry_out(ids, dry_run=dry_run)
            return answer if fault is None else fault

    def terminate_in_group(self, instance_id: str) -> Accepted | AwsError:
        self._note("terminate_in_group", [instance_id])
        with self._lock:
            fault = self.faults.pop(0) if self.faults else None
            if fault is not None:
                return fault
            self.shrunk.append(instance_id)
            self.change(instance_id, State.SHUTTING_DOWN)
        return Accepted({instance_id: Change("running", "shutting-down")}, "req-shrink")

    def fleets(self, fleets: Collection[str]) -> Mapping[str, bool | AwsError]:
        self._note("fleets", fleets)
        return {one: self.replacing[one] for one in fleets if one in self.replacing}

    def members(
        self, ids: Collection[str], left: Callable[[], float]
    ) -> Mapping[str, Member | AwsError]:
        self._note("members", ids)
        free = Member(Leaving.NO, protected_from_scale_in=False, termination_protected=False)
        answers: dict[str, Member | AwsError] = dict.fromkeys(ids, OUT_OF_TIME)
        for one in ids:
            if left() > 0:
                self.before_member()
                answers[one] = self.group_members.get(one, free)
        return answers

    def fleet_size(self, tags: Mapping[str, str], *, or_keys: Collection[str]) -> int | AwsError:
        self._note("fleet_size", [*(f"{key}={value}" for key, value in tags.items()), *or_keys])
        return self.size_error if self.size_error is not None else self.count(tags, or_keys)

    def count(self, tags: Mapping[str, str], or_keys: Collection[str] = ()) -> int:
        """Live instances that bear the tags, or all of the keys."""
        return sum(
            one.state in LIVE
            and (
                tags.items() <= one.tags.items()
                or (bool(or_keys) and set(or_keys) <= one.tags.keys())
            )
            for one in self.instances.values()
        )

    def neighbours(
        self, logical_ids: Collection[str], ids: Collection[str]
    ) -> tuple[Instance, ...] | AwsError:
        self._note("neighbours", [*logical_ids, *ids])
        if self.peers_error is not None:
            return self.peers_error
        return tuple(
            one
            for one in self.instances.values()
            if one.state is State.RUNNING
            and (one.instance_id in ids or one.tags.get("LogicalAgentId") in logical_ids)
        )

    def standing_requests(
        self, requests: Collection[str]
    ) -> Mapping[str, str | AwsError | None] | AwsError:
        self._note("standing_requests", requests)
        self.before_requests()
        if self.standing_error is not None:
            return self.standing_error
        states: dict[str, str | AwsError | None] = dict.fromkeys(requests)
        states |= dict.fromkeys(self.standing.intersection(requests), "active")
        states |= dict.fromkeys(self.disabled.intersection(requests), "disabled")
        return states | {
            one: self.unknown_requests[one] for one in requests if one in self.unknown_requests
        }

    def cancel_requests(self, requests: Sequence[str], *, dry_run: bool) -> Accepted | AwsError:
        self._note("dry-cancel" if dry_run else "cancel", requests)
        with self._lock:
            fault = self.faults.pop(0) if self.faults else None
            if fault is not None:
                return fault
            if dry_run:
                return Accepted({}, "req-dry")
            if self.cancelled_as == "cancelled":
                self.standing -= set(requests)
            self.cancelled += requests
        return Accepted({r: Change("active", self.cancelled_as) for r in requests}, "req-cancel")

    def live_from(self, requests: Collection[str]) -> Mapping[str, str] | AwsError:
        self._note("live_from", requests)
        return self.live_from_answer

    def _note(self, call: str, arguments: Iterable[str]) -> None:
        with self._lock:
            self.calls.append((call, tuple(arguments)))

    def _judge(self, ids: Sequence[str]) -> AwsError | None:
        for one in ids:
            if one not in self.instances:
                return AwsError(
                    "InvalidInstanceID.NotFound",
                    f"The instance ID '{one}' does not exist",
                    ErrorKind.MISSING,
                    frozenset({one}),
                    "req-missing",
                )
        if self.forbidden.intersection(ids):
            return AwsError(
                "UnauthorizedOperation", "You are not authorized.", ErrorKind.REFUSED, frozenset()
            )
        if self.protected.intersection(ids):
            return AwsError(
                "OperationNotPermitted", "It may not be terminated.", ErrorKind.REFUSED, frozenset()
            )
        return None

    def _carry_out(self, ids: Sequence[str], *, dry_run: bool) -> Accepted:
        if dry_run:
            return Accepted({}, "req-dry")
        changes = {}
        for one in ids:
            before = self.instances[one].state
            if one in self.odd_states:
                changes[one] = Change(before.value, self.odd_states[one])
                continue
            if not before.ended:
                self.terminated.append(one)
                self.change(one, State.SHUTTING_DOWN)
            if one not in self.silent:
                changes[one] = Change(before.value, self.instances[one].state.value)
        return Accepted(changes, "req-terminate")
