"""One run: account for earlier runs, look, decide, choose, write down, delete, report, sum up.

Every look-up fails closed: what could not be seen keeps everything that it could have spoken for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from handler.aws.errors import AwsError
from handler.aws.lists import CallCount, sound
from handler.aws.retry import OUT_OF_TIME, Retry
from handler.aws.unseen_note import UnseenNote
from handler.deadline import Deadline
from handler.images.choose import Choice, choose
from handler.images.cleanup_report import intention, report
from handler.images.delete import Deleting, Deletion
from handler.images.dry_run import PlanEntry, plan, recycle_bin_rules
from handler.images.ec2 import Ec2Inventory
from handler.images.inventory import take_inventory
from handler.images.journal import Journal
from handler.images.last_questions import LastQuestions
from handler.images.model import Inventory, Policy, Reason, Verdict
from handler.images.outbox import DryOutbox, Outbox
from handler.images.outbox_table import OutboxTable
from handler.images.rules import decide
from handler.images.summary import Summary, settled, summed_up


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What a run talks to.

    Attributes:
        accepted: asks the backend for the agent's list; raises BackendError unless it answers with one.
        send: delivers one cleanup report of an agent's; raises BackendError unless it is recorded.
        client: makes the boto3 client of a service, for looking: botocore makes a call again.
        destroying: makes EC2's client that makes each call once.
        calls: counts what is sent to AWS.
        tables: keep what outlives the run: for its agent, then for each other of the function's.
        journal: the log and the metrics.
    """

    accepted: Callable[[], object]
    send: Callable[[str, dict[str, Any]], None]
    client: Callable[[str], Any]
    destroying: Callable[[], Any]
    calls: CallCount
    tables: Sequence[OutboxTable]
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
    _failed_look_ups: list[str] = field(default_factory=list, init=False)

    def run(self) -> Summary:
        """Do one run. Raises HousekeepingError or TokenError when it could do nothing at all."""
        calls = self.to.calls.made
        outbox = self._outbox()
        outbox.catch_up()
        now = self.clock()
        inventory = take_inventory(
            self.to.client, self.deadline.to_act, self.policy, now, self._look_up_failed
        )
        self._note(inventory, now)
        verdicts = decide(inventory, self.policy, now)
        last = LastQuestions(self.to.client("ec2"), self.deadline.to_act, self._look_up_failed)
        choice = choose(
            verdicts,
            inventory,
            self.policy,
            now,
            cap=self.cap,
            room=outbox.room,
            held_back=outbox.held_back,
            ask=last.stay,
        )
        if choice.chosen:
            intended = intention(choice, self.policy, now)
            stop = outbox.intend(intended, self.deadline.to_report())
            choice = choice if stop is None else choice.put_off(stop)
        ends = self._delete(choice, now, last) if choice.chosen else []
        known = {one.item_id for one in verdicts}
        reported = outbox.keep_and_deliver(report(ends, self.policy, now), ends, known)
        verdicts = settled(verdicts, choice, ends)
        ours = [one for one in verdicts if one.reason is not Reason.NOT_OURS]
        planned = self._plan(ours) if self.dry_run else None
        summary = summed_up(
            ours,
            ends,
            self.policy,
            now,
            look_ups_failed=len(self._failed_look_ups),
            found_failed=outbox.failures,
            reported=reported,
            waiting=outbox.waiting,
            calls=self.to.calls.made - calls,
            plan=planned,
        )
        self.to.journal.stayed(ours)
        self.to.journal.summary(summary)
        return summary

    def _outbox(self) -> Outbox | DryOutbox:
        if self.dry_run:
            return DryOutbox()
        own, *others = (
            Outbox(
                self.to.accepted,
                partial(self.to.send, table.agent_id),
                table,
                self._inventory(),
                self.to.journal,
                self.clock,
            )
            for table in self.to.tables
        )
        own.others = others
        return own

    def _delete(self, choice: Choice, decided_at: datetime, last: LastQuestions) -> list[Deletion]:
        deleting = Deleting(
            self.to.destroying(),
            self.retry,
            self._inventory(),
            last.stay,
            self.dry_run,
            self.clock,
            decided_at,
            self.to.journal.ended,
        )
        return deleting.delete(choice)

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
        table = self.to.tables[0]
        note = UnseenNote(table.client, table.table)
        failed = note.leave(unseen, now) if unseen else None
        if failed is not None:
            self.to.journal.not_noted(failed)

    def _look_up_failed(self, what: str, error: AwsError) -> None:
        if error is not OUT_OF_TIME:
            self._failed_look_ups.append(what)
        self.to.journal.look_up_failed(what, error)
