"""Sees to it that every deletion is reported, also when a run dies or the backend is away.

It is reported once, unless a run dies between an acknowledgement and the next write to the table.

What a run sets out to delete is written down before the first deletion, and what became of it before
the report is attempted. A run that dies in between leaves its intention behind: the next one looks
at what is still there, and reports the rest. What cannot be written down is not deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from handler.aws.errors import AwsError, ErrorKind
from handler.aws.retry import LATE
from handler.backend.errors import BackendError
from handler.backend.token import TokenError
from handler.images.bounds import LONGEST_ERROR
from handler.images.cleanup_report import CleanupReport, Intention, as_body
from handler.images.delete import Deletion, DeletionStatus
from handler.images.ec2 import Ec2Inventory
from handler.images.journal import Journal
from handler.images.outbox_table import LARGEST, Contents, OutboxTable, Refusal

ANOTHER_RUN = "another run is at work"
SLACK = timedelta(seconds=60)
"""Added to a run's time before it counts as dead: clocks differ a little."""
MOST_OF_ONE = 2 * LONGEST_ERROR + 100
"""Bytes that one deletion may come to: its id, an error whose every character JSON escapes, a refusal."""
FIRST_WAIT = timedelta(hours=6)
LONGEST_WAIT = timedelta(days=7)
"""Until what EC2 refused is tried again: twice as long each time. A run comes every hour and tries as
many as the cap allows, so what is refused for ever costs few tries and others come to theirs."""
MOST_REFUSALS = 2_000
"""Some 50 bytes each."""


@dataclass(slots=True)
class Outbox:
    """The reporting part of one run.

    `_kept` is None once the table has failed: then nothing is deleted any more, and a report that
    is under way is logged in full.

    Args:
        accepted: asks the backend for the agent's list; raises BackendError unless it answers with one.
        send: delivers one report; raises BackendError unless the backend says that it is recorded.
        table: keeps what must outlive the run.
        inventory: what is still there.
        journal: the log.
        clock: the time now (UTC).
        others: those of the function's other agents, which work on the same images and snapshots. What
            they left is accounted for as theirs; while one's run is at work, this one deletes nothing.
    """

    accepted: Callable[[], object]
    send: Callable[[dict[str, Any]], None]
    table: OutboxTable
    inventory: Ec2Inventory
    journal: Journal
    clock: Callable[[], datetime]
    others: Sequence[Outbox] = ()
    _failures: int = field(default=0, init=False)
    _kept: Contents | None = field(default=None, init=False)
    _stop: str | None = field(default=None, init=False)
    _down: str = field(default="", init=False)
    _intends: bool = field(default=False, init=False)

    @property
    def waiting(self) -> int:
        """Reports that wait for the backend."""
        return len(self._own) + sum(one.waiting for one in self.others)

    @property
    def failures(self) -> int:
        """How many deletions of earlier runs EC2 did not answer, whose items are still there."""
        return self._failures + sum(one.failures for one in self.others)

    @property
    def _own(self) -> tuple[CleanupReport, ...]:
        return () if self._kept is None else self._kept.waiting

    @property
    def usable(self) -> bool:
        """Whether the table has answered so far."""
        return self._kept is not None

    @property
    def room(self) -> int:
        """How many deletions can be written down, whatever comes of them."""
        return 0 if self._kept is None else room_beside(self._kept)

    def held_back(self, item_id: str) -> str | None:
        """Why this run is not to delete it: nothing at all, or not what EC2 refused a while ago."""
        if self._stop is not None or self._kept is None:
            return self._stop
        found = self._kept.refusals.get(item_id)
        if found is None or found.again <= self.clock():
            return None
        return f"EC2 did not delete it when asked ({found.times} runs); the next try is after {found.again.isoformat()}"

    def catch_up(self) -> None:
        """Account for earlier runs, report what waits, and find out whether this run may delete anything.

        Raises:
            TokenError: the client token is not to be had.
        """
        not_accepted = self._not_accepted()
        stops = []
        for one in (self, *self.others):
            stops.append(one.account_for_earlier_runs())
            if not one.usable:
                break  # the table is down, and each further question would take its time
        full = None if self.room else "too many reports wait for the backend"
        self._stop = next(filter(None, (*stops, not_accepted, full)), None)

    def _not_accepted(self) -> str | None:
        try:
            self.accepted()
        except TokenError:
            raise
        except BackendError as error:
            self.journal.not_accepted(error)
            return f"the backend did not accept the agent: {error}"
        return None

    def account_for_earlier_runs(self) -> str | None:
        """Why this run may delete nothing."""
        loaded = self.table.load()
        if isinstance(loaded, AwsError):
            return self._note_down(loaded)
        self._kept = loaded
        if loaded.unreadable is not None:
            self.journal.outbox_unreadable(loaded.unreadable)
            self._save(loaded)
        if loaded.intention is not None:
            if loaded.at_work(self.clock()):
                return ANOTHER_RUN
            if (error := self._settle(loaded, loaded.intention)) is not None:
                return f"what an earlier run deleted could not be looked up: {error}"
        if not loaded.busy(self.clock()):
            self._deliver()
        return self._down or None

    def intend(self, intention: Intention, seconds: float) -> str | None:
        """Write down what is about to be deleted. Returns why nothing may be after all."""
        if self._kept is None:
            return self._down
        until = self.clock() + timedelta(seconds=seconds) + SLACK
        saved = self.table.save(replace(self._kept, intention=intention, busy_until=until))
        if isinstance(saved, AwsError):
            if saved.kind is ErrorKind.IN_USE:
                return ANOTHER_RUN
            return self._note_down(saved)
        self._kept, self._intends = saved, True
        # Written before it is asked: of two that begin at once neither misses the other.
        if any(one.may_be_at_work() for one in self.others):
            self._intends = False
            self._save(replace(saved, intention=None, busy_until=None))
            return ANOTHER_RUN
        return None

    def may_be_at_work(self) -> bool:
        """Whether a run of this agent's is, as far as the table tells."""
        loaded = self.table.load()
        return isinstance(loaded, AwsError) or loaded.at_work(self.clock())

    def keep_and_deliver(
        self, report: CleanupReport, ends: Sequence[Deletion], known: Collection[str]
    ) -> bool:
        """Keep the report and what was refused, and deliver it; whether the backend has acknowledged it.

        Args:
            report: what the run did.
            ends: of its deletions.
            known: every id that there is: what is gone needs no memory.
        """
        if self._kept is not None and self._kept.intention and not self._intends:
            return False  # another run's, or not to be settled yet: nothing was deleted beside it
        if self._kept is not None and self._intends:
            waiting = self._kept.waiting + (() if report.empty else (report,))
            refusals = self._refusals(self._kept.refusals, ends, known)
            # What is not known is left for the next run to look at.
            unknown = {one.verdict.item_id for one in ends if one.status is DeletionStatus.UNKNOWN}
            left = self._kept.intention.only(unknown) if self._kept.intention else None
            # Busy until it is delivered: a run that begins meanwhile must not send it as well.
            until = self._kept.busy_until
            self._save(Contents(waiting, left, until, refusals, self._kept.revision))
            if self.usable and not report.empty:
                delivered = self._deliver()
                self._leave()
                return delivered
            self._leave()
        if self._own:
            return False  # an empty report says nothing that could not wait
        return self._sent(report)

    def _leave(self) -> None:
        """This run is not at work any more: what waits, and what is not known, is anybody's."""
        if self._kept is not None and (self._kept.waiting or self._kept.intention):
            self._save(replace(self._kept, busy_until=None))

    def _refusals(
        self, before: Mapping[str, Refusal], ends: Sequence[Deletion], known: Collection[str]
    ) -> dict[str, Refusal]:
        now = self.clock()
        kept = {key: one for key, one in before.items() if key in known}
        for end in ends:
            item_id = end.verdict.item_id
            kept.pop(item_id, None)
            if end.status in _REFUSED and end.code != LATE.code:
                times = before[item_id].times + 1 if item_id in before else 1
                wait = min(FIRST_WAIT * 2 ** min(times - 1, 10), LONGEST_WAIT)
                kept[item_id] = Refusal(times, now + wait)
        latest = sorted(kept, key=lambda key: kept[key].again)[-MOST_REFUSALS:]
        return {key: kept[key] for key in latest}

    def _settle(self, kept: Contents, intention: Intention) -> AwsError | None:
        snapshots = (*intention.snapshots, *intention.image_snapshots)
        there = self.inventory.still_there(intention.images, snapshots)
        for fate in there.values():
            # MISSING: that run is over, and no list shows it any more.
            if isinstance(fate, AwsError) and fate.kind is not ErrorKind.MISSING:
                return fate
        present = {one for one, fate in there.items() if fate is True}
        # A run that died left no refusals; those of before are of other tries.
        refused = present & kept.refusals.keys() if kept.busy_until is None else set()
        done = intention.carried_out(present, refused)
        self._failures += len(refused)
        waiting = kept.waiting if done.empty else (*kept.waiting, done)
        self._save(replace(kept, waiting=waiting, intention=None, busy_until=None))
        return None

    def _deliver(self) -> bool:
        """Send what waits, in order, up to the first that is not acknowledged; each is then forgotten."""
        left = list(self._own)
        while left and self._sent(left[0], waiting=len(left)):
            left.pop(0)
            if self._kept is not None:
                self._save(replace(self._kept, waiting=tuple(left)))
        return not left

    def _sent(self, report: CleanupReport, waiting: int = 0) -> bool:
        try:
            self.send(as_body(report))
        except BackendError as error:
            self.journal.unreported(error, waiting)
            return False
        return True

    def _save(self, contents: Contents) -> None:
        saved = self.table.save(contents)
        if isinstance(saved, AwsError):
            self._note_down(saved)
            for report in contents.waiting:
                self.journal.report_in_full(as_body(report), self._down)
        else:
            self._kept = saved

    def _note_down(self, error: AwsError) -> str:
        self._kept = None
        self._down = f"the idempotency table could not be used: {error}"
        return self._down


_REFUSED = frozenset({DeletionStatus.FAILED, DeletionStatus.IN_USE, DeletionStatus.UNKNOWN})


def room_beside(kept: Contents) -> int:
    """How many deletions can be written down beside what is kept, whatever comes of them."""
    return (LARGEST - kept.size) // MOST_OF_ONE


class DryOutbox:
    """A dry run's: nothing is deleted, so nothing is written down, and nothing reported."""

    waiting = 0
    failures = 0
    room = room_beside(Contents())

    def catch_up(self) -> None:
        """What earlier runs left is for a run that reports."""

    def held_back(self, _item_id: str) -> None:
        """A plan shows what the rules say."""

    def intend(self, _intention: Intention, _seconds: float) -> None:
        """Nothing is in the way."""

    def keep_and_deliver(
        self, _report: CleanupReport, _ends: Sequence[Deletion], _known: Collection[str]
    ) -> bool:
        """Nothing is acknowledged."""
        return False
