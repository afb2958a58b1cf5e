"""Decides about every machine of the lists: looks at EC2, and judges each by what is true now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from handler.aws.errors import AwsError, ErrorKind
from handler.aws.look_ups import LookUps
from handler.aws.retry import OUT_OF_TIME
from handler.deadline import side_by_side
from handler.instances.listing import INSTANCE_ID
from handler.instances.model import Candidate, Instance, Marked, Observed
from handler.instances.outcome import Ended
from handler.instances.ownership import Agents, logical_id
from handler.instances.ports import Machines
from handler.instances.rules import (
    PARENT_TAG,
    Decision,
    Policy,
    ToProve,
    ToTerminate,
    decide,
    defer,
    elsewhere,
)
from handler.instances.surroundings import Surroundings, fleets_of, hold_back, needs_neighbours

NOT_ASKED = AwsError("NotAsked", "EC2 was not asked about it", ErrorKind.NO_ANSWER)
T = TypeVar("T")
LOOKED_AT_TOGETHER = 200
"""Ids of one DescribeInstances call: values of one filter (AWS, DescribeInstances)."""
LOOKS_AT_ONCE = 8
SURROUNDINGS_SHARE = 0.5
"""The share of the time to act in which what is around machines is looked up: what is not known by then
is deferred, and those that nothing is around still have time."""
JUST_MARKED = 60.0
"""Seconds since its marking in which an instance may be younger than EC2's answers."""
SETTLING = 3.0
"""Seconds that EC2's answers get to catch up (EC2 API, "Eventual consistency")."""


@dataclass(slots=True)
class Judge:
    """Changes nothing; a run acts on what it decides, and the doctor shows it.

    Args:
        machines: EC2; not asked for where nothing of the lists is this region's.
        agents: those of `AGENT_ID`.
        policy: what may be terminated.
        look_ups: asks within the run's time.
        clock: the time now (UTC).
        sleep: waits for so many seconds.
        listed: ids that stand in a list of this run.
        listed_lately: ids that stood in one before, and may be marked still; asked for where it matters.
    """

    machines: Callable[[], Machines]
    agents: Agents
    policy: Policy
    look_ups: LookUps
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    listed: Collection[str]
    listed_lately: Callable[[], Collection[str]]
    seen: dict[str, Instance] = field(default_factory=dict, init=False)
    """What EC2 showed last."""
    _candidates: dict[str, Candidate] = field(default_factory=dict, init=False)

    def judge(self, candidates: Sequence[Candidate]) -> list[Decision]:
        """Look at EC2, and decide about each; the decisions are in the candidates' order."""
        region = self.policy.region
        observed = self._see([c for c in candidates if c.listed and not elsewhere(c, region)])
        self.seen |= observed.seen
        self.remember(candidates)
        now = self.clock()
        decisions = [
            decide(one, _shown(observed, one.instance_id), self.agents, self.policy, now)
            for one in candidates
        ]
        return self._hold_back(decisions)

    def remember(self, candidates: Iterable[Candidate]) -> None:
        """Know these by their ids, should they be decided about again."""
        self._candidates |= {one.instance_id: one for one in candidates}

    def again(self, decisions: Sequence[ToTerminate]) -> list[Decision]:
        """Make decisions of before again, by what EC2 shows now: before an act that has waited.

        It stays the same owner's: what has just ended may have lost the tag that says whose it is. An
        instance that was alive a moment ago and now is said not to exist is left to the next run:
        what has ended is shown for an hour.
        """
        again = self.judge([self._candidates[one.marked.instance_id] for one in decisions])
        return [_of_same_owner(*pair) for pair in zip(decisions, again, strict=True)]

    def _hold_back(self, decisions: Sequence[Decision]) -> list[Decision]:
        around = self._surroundings([one for one in decisions if isinstance(one, ToTerminate)])
        return [
            hold_back(one, around, self.policy) if isinstance(one, ToTerminate) else one
            for one in decisions
        ]

    def _surroundings(self, decisions: Sequence[ToTerminate]) -> Surroundings:
        """Everything that is asked about more than one machine at once, and only where it matters."""
        curious = [one.instance for one in decisions if needs_neighbours(one, self.policy)]
        fleets = sorted({fleet for one in decisions for fleet in fleets_of(one.instance)})
        members = [one.instance.instance_id for one in decisions if one.through_group]
        left = self._share_left()
        machines = self.machines
        return Surroundings(
            self._neighbours(curious, left) if curious else (),
            self.listed,
            self.listed_lately() if curious else (),
            self._each("fleets", fleets, lambda: machines().fleets(fleets), left),
            # It keeps to its share by itself: what it has by then is not to be lost.
            self._each(
                "Auto Scaling members",
                members,
                lambda: machines().members(members, left),
                self.look_ups.deadline.to_act,
            ),
        )

    def _share_left(self) -> Callable[[], float]:
        """Seconds left of the share of time that these look-ups may take."""
        to_act = self.look_ups.deadline.to_act
        kept = to_act() * (1 - SURROUNDINGS_SHARE)
        return lambda: to_act() - kept

    def _neighbours(
        self, instances: Iterable[Instance], left: Callable[[], float]
    ) -> Iterable[Instance] | AwsError:
        workloads = {found for one in instances if (found := logical_id(one)) is not None}
        named = {one.tags.get(PARENT_TAG, "") for one in instances}
        parents = {one for one in named if INSTANCE_ID.fullmatch(one)}
        machines = self.machines()
        return self.look_ups("neighbours", lambda: machines.neighbours(workloads, parents), left)

    def _each(
        self,
        what: str,
        ids: Sequence[str],
        ask: Callable[[], Mapping[str, T | AwsError]],
        left: Callable[[], float],
    ) -> Mapping[str, T | AwsError]:
        """A look-up that answers for each id by itself."""
        if not ids:
            return {}
        answer = self.look_ups(what, ask, left)
        if isinstance(answer, AwsError):
            return dict.fromkeys(ids, answer)
        self._tell(what, answer.values())
        return answer

    def _tell(self, what: str, answers: Iterable[object]) -> None:
        """Each failure once, however many ids it stands for."""
        for error in {one for one in answers if isinstance(one, AwsError)} - {OUT_OF_TIME}:
            self.look_ups.tell(what, error)

    def _see(self, candidates: Sequence[Candidate]) -> Observed:
        """Look at what is marked; twice at what EC2 does not know and may not show yet.

        A replica that was launched and switched off within seconds may not be shown yet. Reported as
        gone it would run for ever, unseen. An unknown wait is as doubtful as a short one.
        """
        observed = self._look({one.instance_id: _zone(one) for one in candidates})
        doubtful = {
            one.instance_id: _zone(one)
            for one in candidates
            if one.instance_id in observed.gone and any(map(_may_be_new, one.listed))
        }
        if not doubtful:
            return observed
        self.sleep(min(SETTLING, max(self.look_ups.deadline.to_act(), 0.0)))
        again = self._look(doubtful)
        return Observed(
            {**observed.seen, **again.seen},
            observed.gone - doubtful.keys() | again.gone,
            {**observed.unreadable, **again.unreadable},
        )

    def _look(self, zones: Mapping[str, str | None]) -> Observed:
        """Look at all of them, 200 a call and side by side: one chunk's trouble is its own."""
        if not zones:
            return Observed({}, frozenset(), {})
        machines, items = self.machines(), list(zones.items())
        chunks = [
            dict(items[start : start + LOOKED_AT_TOGETHER])
            for start in range(0, len(items), LOOKED_AT_TOGETHER)
        ]
        seen: dict[str, Instance] = {}
        gone: set[str] = set()
        unreadable: dict[str, AwsError] = dict.fromkeys(zones, OUT_OF_TIME)
        for chunk, observed in side_by_side(
            lambda chunk: self.look_ups("instances", lambda: machines.look(chunk)),
            chunks,
            at_once=LOOKS_AT_ONCE,
            left=self.look_ups.deadline.to_act,
        ):
            if isinstance(observed, AwsError):
                unreadable |= dict.fromkeys(chunk, observed)
                continue
            for one in chunk:
                del unreadable[one]
            seen |= observed.seen
            gone |= observed.gone
            unreadable |= observed.unreadable
        self._tell("instances", unreadable.values())
        return Observed(seen, frozenset(gone), unreadable)


def _of_same_owner(before: ToTerminate, now: Decision) -> Decision:
    if isinstance(now, ToProve) or (isinstance(now, Ended) and not now.trace.current_state):
        return defer(before, "EC2 showed it alive, and now does not know it")
    return replace(now, marked=before.marked) if isinstance(now, Ended) else now


def _shown(observed: Observed, instance_id: str) -> Instance | AwsError | None:
    """None only where EC2 itself says that the id does not exist: absence is no proof."""
    if instance_id in observed.gone:
        return None
    seen = observed.seen.get(instance_id)
    return seen if seen is not None else observed.unreadable.get(instance_id, NOT_ASKED)


def _zone(candidate: Candidate) -> str | None:
    return next((one.zone for one in candidate.listed if one.zone), None)


def _may_be_new(entry: Marked) -> bool:
    return entry.waited is None or entry.waited < JUST_MARKED
