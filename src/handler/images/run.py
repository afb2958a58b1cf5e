"""One run: account for earlier runs, look, decide, delete, report, account.

Every look-up fails closed: what could not be seen keeps everything that it could have spoken for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from handler.aws.errors import AwsError
from handler.aws.retry import Patience
from handler.deadline import Deadline
from handler.images.candidates import choose
from handler.images.cleanup import (
    CleanupReport,
    Done,
    Failure,
    Fate,
    HousekeepingError,
)
from handler.images.delete import Removing
from handler.images.model import Facts, Uses
from handler.images.outbox import Reports
from handler.images.plan import plan
from handler.images.ports import HousekeepingOutside
from handler.images.retention import decide
from handler.images.summary import Tidied, final_verdicts, kept
from handler.images.verdict import Kind, Policy, Reason, Verdict


@dataclass(frozen=True, slots=True)
class HousekeepingJob:
    """Everything that one run is made of.

    Args:
        outside: the ports.
        policy: what may be deleted.
        cap: how many items one run deletes at most (`MAX_DELETIONS_PER_RUN`).
        dry_run: decide and say so; delete nothing and report nothing.
        deadline: the run's time.
        patience: makes calls again where that helps; the outside's look-ups use the same.
        clock: the time now (UTC).
    """

    outside: HousekeepingOutside
    policy: Policy
    cap: int
    dry_run: bool
    deadline: Deadline
    patience: Patience
    clock: Callable[[], datetime]

    def run(self) -> Tidied:
        """Do one run. Raises HousekeepingError or BackendError when it could do nothing at all."""
        reports, stop = self._catch_up()
        facts = self._look()
        now = self.clock()
        verdicts = decide(facts, self.policy, now)
        chosen, stay, _ = choose(verdicts, self.outside.users, self.cap, stop)
        if chosen and reports is not None:
            stop = reports.intend(self._intention(chosen, now), self.deadline.to_report())
            if stop is not None:
                chosen, stay, _ = choose(verdicts, self.outside.users, self.cap, stop)
        verdicts = [stay.get(one.item_id, one) for one in verdicts]
        removing = Removing(
            self.outside.estate, self.patience, self.dry_run, self.outside.journal.ended
        )
        done = removing.remove(chosen)
        verdicts = final_verdicts(verdicts, done)
        reported = reports.close(self._report(done, now)) if reports is not None else False
        waiting = reports.waiting if reports is not None else 0
        return self._account(facts, verdicts, done, reported=reported, waiting=waiting)

    def _catch_up(self) -> tuple[Reports | None, str | None]:
        """First of all what earlier runs left; without a token nothing is deleted."""
        if self.dry_run:
            return None, None
        self.outside.backend.authorize()
        reports = Reports(
            self.outside.backend,
            self.outside.backlogs,
            self.outside.estate,
            self.outside.journal,
            self.clock,
        )
        return reports, reports.catch_up()

    def _look(self) -> Facts:
        """Everything that the decisions depend on; who uses what only if anything is left to ask."""
        estate = self.outside.estate
        images = estate.images()
        if isinstance(images, AwsError):
            # Without them no image is known, and no snapshot is known to be free.
            raise HousekeepingError(f"the account's images could not be listed: {images}")
        failed: dict[str, AwsError] = {}
        found = estate.snapshots()
        snapshots = () if isinstance(found, AwsError) else found
        if isinstance(found, AwsError):
            failed["snapshots"] = found
        bare = Facts(images, snapshots, Uses(), frozenset(), frozenset())
        if any(one.goes for one in decide(bare, self.policy, self.clock())):
            uses = self.outside.users.uses()
            failed |= uses.failed
            volumes, locked = estate.volumes(), estate.locked()
            bare = Facts(images, snapshots, Uses(uses.users, failed), locked, volumes)
        for what, answer in (*failed.items(), ("volumes", bare.volumes), ("locks", bare.locked)):
            if isinstance(answer, AwsError):
                self.outside.journal.look_up_failed(what, answer)
        return bare

    def _intention(self, chosen: Sequence[Verdict], now: datetime) -> CleanupReport:
        """What is about to be deleted, as the report that it would be."""
        return self._report([Done(v, Fate.DELETED, snapshots=v.snapshots) for v in chosen], now)

    def _report(self, done: Sequence[Done], now: datetime) -> CleanupReport:
        deleted = [one for one in done if one.fate is Fate.DELETED]
        failed = [one for one in done if one.fate is Fate.FAILED]
        images = tuple(one for one in deleted if one.verdict.kind is Kind.IMAGE)
        return CleanupReport(
            at=now,
            images_cutoff=now - self.policy.images_older_than,
            snapshots_cutoff=now - self.policy.snapshots_older_than,
            images=tuple(one.verdict.item_id for one in images),
            image_snapshots=tuple(part for one in images for part in one.snapshots),
            snapshots=_ids(deleted, Kind.SNAPSHOT),
            image_failures=(
                *_failures(failed, Kind.IMAGE),
                *(failure for one in images for failure in one.failures),
            ),
            snapshot_failures=_failures(failed, Kind.SNAPSHOT),
        )

    def _account(
        self,
        facts: Facts,
        verdicts: Sequence[Verdict],
        done: Sequence[Done],
        *,
        reported: bool,
        waiting: int,
    ) -> Tidied:
        ours = [one for one in verdicts if one.reason is not Reason.NOT_OURS]
        fates = Counter((one.fate, one.verdict.kind) for one in done)
        freed = {one.verdict.item_id for one in done if one.fate in {Fate.DELETED, Fate.PLANNED}}
        freed |= {part for one in done if one.fate is Fate.DELETED for part in one.snapshots}
        if self.dry_run:
            freed |= {part for one in done for part in one.verdict.snapshots}
        tidied = Tidied(
            considered=Counter(one.kind for one in ours),
            kept=kept(ours),
            images=fates[Fate.DELETED, Kind.IMAGE],
            snapshots=fates[Fate.DELETED, Kind.SNAPSHOT],
            image_snapshots=sum(len(one.snapshots) for one in done),
            planned=fates[Fate.PLANNED, Kind.IMAGE] + fates[Fate.PLANNED, Kind.SNAPSHOT],
            gone=fates[Fate.GONE, Kind.IMAGE] + fates[Fate.GONE, Kind.SNAPSHOT],
            failures=sum((one.fate is Fate.FAILED) + len(one.failures) for one in done),
            gigabytes=sum(s.gigabytes for s in facts.snapshots if s.snapshot_id in freed),
            reported=reported,
            waiting=waiting,
            dry_run=self.dry_run,
            plan=plan(ours, self.outside) if self.dry_run else (),
            calls=self.patience.calls,
        )
        self.outside.journal.stayed(ours)
        self.outside.journal.tidied(tidied)
        return tidied


def _ids(done: Sequence[Done], kind: Kind) -> tuple[str, ...]:
    return tuple(one.verdict.item_id for one in done if one.verdict.kind is kind)


def _failures(done: Sequence[Done], kind: Kind) -> tuple[Failure, ...]:
    return tuple(Failure(one.verdict.item_id, one.why) for one in done if one.verdict.kind is kind)
