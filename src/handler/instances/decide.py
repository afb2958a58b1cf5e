"""Decides about every entry of the list: looks at EC2 once, and judges each by what is true now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from handler.aws.errors import AwsError
from handler.aws.retry import Patience
from handler.instances.guard import (
    PEER_TAG,
    Action,
    Carried,
    Decision,
    Policy,
    decide,
    in_another_region,
    needs_peer,
)
from handler.instances.look import see
from handler.instances.model import Instance, Marked, Sight
from handler.instances.outcome import Outcome
from handler.instances.ports import Machines

HIDDEN_FOR = timedelta(minutes=10)
"""How long a listed instance may be marked and unlisted: the backend hides it for five minutes
after a report (contract section 1, quirk 5), and runs may be minutes apart."""


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision an entry, in the list's order; and why some could not be judged, if any."""

    decisions: list[Decision]
    unreadable: AwsError | None


@dataclass(frozen=True, slots=True)
class Judge:
    """Changes nothing; a run acts on what it decides, and the doctor shows it.

    Args:
        machines: EC2; not asked for where nothing of the list is this region's.
        policy: what may be terminated.
        patiently: asks again, within the run's time.
        clock: the time now (UTC).
        marked_lately: instances that were listed before, and may be marked still.
    """

    machines: Callable[[], Machines]
    policy: Policy
    patiently: Patience
    clock: Callable[[], datetime]
    marked_lately: Collection[str] = ()

    def decide(self, marked: Sequence[Marked]) -> Decided:
        """Look at EC2, and decide about every entry."""
        region = self.policy.region
        ours = [entry for entry in marked if not in_another_region(entry.zone, region)]
        sight = see(ours, self.machines(), self.patiently) if ours else Sight({}, {})
        carried = self._carried(marked, sight)
        now = self.clock()
        decisions = []
        troubles = []
        for entry in marked:
            seen = sight.seen.get(entry.instance_id)
            if (error := sight.unreadable.get(entry.instance_id)) is not None:
                decisions.append(_deferred(entry, f"EC2 could not be asked: {error}", seen))
                troubles.append(error)
            elif isinstance(carried, AwsError) and self._needs_peer(entry, seen):
                why = f"its peers could not be looked up: {carried}"
                decisions.append(_deferred(entry, why, seen))
                troubles.append(carried)
            else:
                known = frozenset[str]() if isinstance(carried, AwsError) else carried
                decisions.append(decide(entry, seen, self.policy, known, now))
        return Decided(decisions, troubles[0] if troubles else None)

    def _needs_peer(self, marked: Marked, seen: Instance | None) -> bool:
        return seen is not None and needs_peer(marked, seen, self.policy) is not None

    def _carried(self, marked: Sequence[Marked], sight: Sight) -> Carried | AwsError:
        """The workloads in question that a running, unmarked instance carries."""
        workloads = {
            workload
            for entry in marked
            if (seen := sight.seen.get(entry.instance_id)) is not None
            and (workload := needs_peer(entry, seen, self.policy)) is not None
        }
        if not workloads:
            return frozenset()
        machines = self.machines()
        running = self.patiently(lambda: machines.running_with(PEER_TAG, workloads))
        if isinstance(running, AwsError):
            return running
        no_peers = {entry.instance_id for entry in marked}.union(self.marked_lately)
        return frozenset(value for one, value in running.items() if one not in no_peers)


def _deferred(marked: Marked, why: str, seen: Instance | None) -> Decision:
    return Decision(marked, Action.SETTLE, Outcome.DEFERRED, why, seen)


def remember_listed(
    memory: dict[str, datetime], marked: Sequence[Marked], now: datetime
) -> Collection[str]:
    """Note what is listed now; return all that was listed lately.

    Without it, a refused zombie that the backend hides for a while would vouch for the next
    zombie of its workload. A new execution environment begins without this memory.
    """
    memory.update((entry.instance_id, now) for entry in marked)
    for instance_id in [one for one, at in memory.items() if now - at > HIDDEN_FOR]:
        del memory[instance_id]
    return memory.keys()
