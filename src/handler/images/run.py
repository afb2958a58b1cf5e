"""One run: account for earlier runs, look, decide, delete, report, account.

Every look-up fails closed: what could not be seen keeps everything that it could have spoken for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from handler.aws.errors import AwsError
from handler.aws.lists import CallCount, sound
from handler.aws.retry import OUT_OF_TIME, Retry
from handler.aws.unseen_note import UnseenNote
from handler.backend.errors import BackendError
from handler.backend.token import TokenError
from handler.deadline import Deadline
from handler.images.choose import choose, parts_of
from handler.images.delete import Deleting, Deletion, DeletionStatus
from handler.images.ec2 import Ec2Inventory
from handler.images.journal import Journal
from handler.images.last_look import LastQuestions
from handler.images.look import look
from handler.images.model import Inventory, Kind, Policy, Reason, Verdict, keep, oldest_first
from handler.images.outbox import Outbox, room_beside
from handler.images.outbox_table import Contents, OutboxTable
from handler.images.plan import PlanEntry, plan, recycle_bin_rules
from handler.images.report import intention, report
from handler.images.rules import decide
from handler.images.summary import Summary, after, counted, gigabyte_months


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What a run talks to.

    Attributes:
        accepted: asks the backend for the agent's list; raises BackendError unless it answers with one.
        send: delivers one cleanup report; raises BackendError unless it is recorded.
        client: makes the boto3 client of a service, for looking: botocore makes a call again.
        destroying: makes EC2's client that makes each call once.
        calls: counts what is sent to AWS.
        table: keeps what outlives the run.
        journal: the log and the metrics.
    """

    accepted: Callable[[], object]
    send: Callable[[dict[str, Any]], None]
    client: Callable[[str], Any]
    destroying: Callable[[], Any]
    calls: CallCount
    table: OutboxTable
    journal: Journal


@dataclass(slots=True)
class HousekeepingRun:
    """Everything that one run is made of.

    Args:
        to: what it talks to.
        policy: what may be deleted.
        cap: how many items one run deletes at most (`MAX_DELETIONS_PER_RUN`).
        dry_run: decide and say so; delete nothing and report nothing.
        deadline: the run's time.
        retry: makes a call that destroys again where that helps.
        clock: the time now (UTC).
    """

    to: Dependencies
    policy: Policy
    cap: int
    dry_run: bool
    deadline: Deadline
    retry: Retry
    clock: Callable[[], datetime]
    _look_ups_failed: int = field(default=0, init=False)

    def run(self) -> Summary:
        """Do one run. Raises HousekeepingError or TokenError when it could do nothing at all."""
        calls = self.to.calls.made
        outbox, stop = (None, None) if self.dry_run else self._catch_up()
        now = self.clock()
        inventory = look(
            self.to.client, self.deadline.to_act, self.policy, now, self._look_up_failed
        )
        self._note(inventory, now)
        verdicts = decide(inventory, self.policy, now)
        chosen, parts, stay = self._choose(inventory, verdicts, outbox, stop, now)
        if outbox is not None and chosen:
            intended = intention(chosen, parts, self.policy, now)
            stop = outbox.intend(intended, self.deadline.to_report())
            if stop is not None:
                stay |= {one.item_id: keep(one, Reason.DEFERRED, stop) for one in chosen}
                chosen, parts = [], []
        ends = self._delete(chosen, parts)
        reported = False
        if outbox is not None:
            known = {one.item_id for one in verdicts}
            reported = outbox.close(report(ends, self.policy, now), ends, known)
        settled = _settled(verdicts, stay, parts, ends)
        summary = self._summary(settled, ends, now)
        summary = replace(
            summary,
            reported=reported,
            waiting=0 if outbox is None else outbox.waiting,
            calls=self.to.calls.made - calls,
        )
        self.to.journal.stayed([one for one in settled if one.reason is not Reason.NOT_OURS])
        self.to.journal.summary(summary)
        return summary

    def _catch_up(self) -> tuple[Outbox, str | None]:
        """First of all what earlier runs left; and why this one may delete nothing, if so."""
        not_accepted: str | None = None
        try:
            self.to.accepted()
        except TokenError:
            raise
        except BackendError as error:
            self.to.journal.not_accepted(error)
            not_accepted = f"the backend did not accept the agent: {error}"
        outbox = Outbox(self.to.send, self.to.table, self._inventory(), self.to.journal, self.clock)
        return outbox, outbox.catch_up() or not_accepted

    def _choose(
        self,
        inventory: Inventory,
        verdicts: Sequence[Verdict],
        outbox: Outbox | None,
        stop: str | None,
        now: datetime,
    ) -> tuple[list[Verdict], list[Verdict], dict[str, Verdict]]:
        """What goes now, the snapshots that go after its images, and what stays after all."""
        stay: dict[str, Verdict] = {}
        queue = []
        for one in oldest_first(verdicts):
            refusal = None if outbox is None else outbox.refused_lately(one.item_id)
            if stop is not None:
                stay[one.item_id] = keep(one, Reason.DEFERRED, stop)
            elif refusal is not None:
                why = f"EC2 did not delete it when asked ({refusal.times} runs); the next try is after {refusal.again.isoformat()}"
                stay[one.item_id] = keep(one, Reason.DEFERRED, why)
            else:
                queue.append(one)
        if not queue:
            return [], [], stay
        last = LastQuestions(self.to.client("ec2"), self.deadline.to_act, self._look_up_failed)
        room = room_beside(Contents()) if outbox is None else outbox.room
        chosen, stayed = choose(queue, self.cap, room, last.stay)
        parts, parts_stay = parts_of(chosen, inventory, self.policy, now, last.stay)
        return chosen, parts, stay | stayed | parts_stay

    def _delete(self, chosen: Sequence[Verdict], parts: Sequence[Verdict]) -> list[Deletion]:
        if not chosen:
            return []
        ec2, journal = self.to.destroying(), self.to.journal
        deleting = Deleting(ec2, self.retry, self._inventory(), self.dry_run, journal.ended)
        return deleting.delete(chosen, parts)

    def _summary(
        self, verdicts: Sequence[Verdict], ends: Sequence[Deletion], now: datetime
    ) -> Summary:
        ours = [one for one in verdicts if one.reason is not Reason.NOT_OURS]
        considered, kept, statuses = counted(ours, ends)
        freed = {DeletionStatus.DELETED, DeletionStatus.PLANNED}
        images = {one.item_id: one for one in ours if one.kind is Kind.IMAGE}
        return Summary(
            considered=considered,
            kept=kept,
            images=statuses[DeletionStatus.DELETED, Kind.IMAGE, False],
            snapshots=statuses[DeletionStatus.DELETED, Kind.SNAPSHOT, False],
            image_snapshots=statuses[DeletionStatus.DELETED, Kind.SNAPSHOT, True],
            planned=sum(statuses[DeletionStatus.PLANNED, kind, False] for kind in Kind),
            gone=sum(one.status is DeletionStatus.GONE for one in ends),
            failures=sum(one.status is DeletionStatus.FAILED for one in ends),
            gigabytes=sum(one.verdict.gigabytes for one in ends if one.status in freed),
            gigabyte_months=gigabyte_months(ends, images, self.policy, now),
            look_ups_failed=self._look_ups_failed,
            dry_run=self.dry_run,
            plan=self._plan(ours) if self.dry_run else (),
        )

    def _plan(self, verdicts: Sequence[Verdict]) -> list[PlanEntry]:
        rules = sound(lambda: recycle_bin_rules(self.to.client("rbin"), self.deadline.to_act))
        if isinstance(rules, AwsError):
            self._look_up_failed("Recycle Bin", rules)
        return plan(verdicts, rules)

    def _inventory(self) -> Ec2Inventory:
        """For a look at what became of deletions: it may go on until the reports are due."""
        return Ec2Inventory(self.to.client("ec2"), self.deadline.to_report)

    def _note(self, inventory: Inventory, now: datetime) -> None:
        """For the doctor."""
        unseen = [str(one) for one in inventory.references.unseen]
        note = UnseenNote(self.to.table.client, self.to.table.table)
        failed = note.leave(unseen, now) if unseen else None
        if failed is not None:
            self.to.journal.not_noted(failed)

    def _look_up_failed(self, what: str, error: AwsError) -> None:
        self._look_ups_failed += error is not OUT_OF_TIME
        self.to.journal.look_up_failed(what, error)


def _settled(
    verdicts: Sequence[Verdict],
    stay: Mapping[str, Verdict],
    parts: Sequence[Verdict],
    ends: Sequence[Deletion],
) -> list[Verdict]:
    """Each item's one verdict, once it is known what EC2 made of the attempts."""
    tried = {one.verdict.item_id: one.part_of for one in ends}
    went = {
        one.item_id: replace(one, why=f"goes after its image {tried[one.item_id]}: {one.why}")
        for one in parts
        if one.item_id in tried
    }
    instead = {**stay, **went}
    return after([instead.get(one.item_id, one) for one in verdicts], ends)
