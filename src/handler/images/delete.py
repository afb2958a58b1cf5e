"""Deletes what was decided, one call an item, and finds out what became of calls without an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from handler.aws.errors import AwsError, ErrorKind
from handler.aws.retry import OUT_OF_TIME, Patience
from handler.images.cleanup import Done, Failure, Fate
from handler.images.model import Estate, Removed
from handler.images.verdict import Kind, Verdict

FREE_CALLS = 50
"""Calls without a pause: half of EC2's bucket for DeregisterImage and for DeleteSnapshot, since
others in the account drink from it too (EC2 API throttling: 100, refilled by 5 a second)."""
PAUSE = 0.25
"""Seconds between the calls after those: 4 a second stay under the refill."""
UNANSWERED = frozenset({ErrorKind.NO_ANSWER, ErrorKind.FAULTY})


@dataclass(slots=True)
class Removing:
    """The deleting part of one run.

    Args:
        estate: EC2.
        patience: makes a call again where that helps.
        dry_run: EC2 is asked whether it would, and nothing more.
        done: called at once with each item that EC2 has deleted: known even if the run is killed.
    """

    estate: Estate
    patience: Patience
    dry_run: bool
    done: Callable[[Done], None]
    _made: int = field(default=0, init=False)

    def remove(self, verdicts: Sequence[Verdict]) -> list[Done]:
        """Delete these, in their order; every one of them ends in exactly one `Done`."""
        ended: list[Done] = []
        doubtful: list[tuple[Verdict, AwsError]] = []
        for verdict in verdicts:
            answer, doubt = self._ask(verdict)
            if doubt is not None and not isinstance(answer, Removed):
                doubtful.append((verdict, doubt))
            else:
                ended.append(self._told(_read(verdict, answer, dry_run=self.dry_run)))
        return ended + self._look_again(doubtful)

    def _ask(self, verdict: Verdict) -> tuple[Removed | AwsError, AwsError | None]:
        """The answer, and the last try without one: what it asked for may have happened."""
        doubt: AwsError | None = None

        def once() -> Removed | AwsError:
            nonlocal doubt
            before, doubt = doubt, OUT_OF_TIME  # until there is an answer, it may be late
            if verdict.kind is Kind.IMAGE:
                answer = self.estate.deregister(
                    verdict.item_id, with_snapshots=bool(verdict.snapshots), dry_run=self.dry_run
                )
            else:
                answer = self.estate.delete_snapshot(verdict.item_id, dry_run=self.dry_run)
            unanswered = isinstance(answer, AwsError) and answer.kind in UNANSWERED
            doubt = answer if unanswered and isinstance(answer, AwsError) else before
            return answer

        if self._made >= FREE_CALLS and self.patience.deadline.to_act() > 0:
            self.patience.sleep(PAUSE)
        self._made += 1
        return self.patience(once), doubt

    def _look_again(self, doubtful: Sequence[tuple[Verdict, AwsError]]) -> list[Done]:
        """What is no longer there was deleted by the call whose answer was lost."""
        if not doubtful:
            return []
        images = {one.item_id for one, _ in doubtful if one.kind is Kind.IMAGE}
        snapshots = {one.item_id for one, _ in doubtful if one.kind is Kind.SNAPSHOT}
        snapshots |= {part for one, _ in doubtful for part in one.snapshots}
        present = self.estate.present(images, snapshots)
        ended: list[Done] = []
        for verdict, error in doubtful:
            if self.dry_run or isinstance(present, AwsError) or verdict.item_id in present:
                ended.append(self._told(Done(verdict, Fate.FAILED, str(error))))
                continue
            parts = tuple(one for one in verdict.snapshots if one not in present)
            why = "it is gone, though EC2 did not answer"
            ended.append(self._told(Done(verdict, Fate.DELETED, why, parts)))
        return ended

    def _told(self, done: Done) -> Done:
        self.done(done)
        return done


def _read(verdict: Verdict, answer: Removed | AwsError, *, dry_run: bool) -> Done:
    if isinstance(answer, Removed):
        if dry_run:
            return Done(verdict, Fate.PLANNED, verdict.why)
        return _removed(verdict, answer)
    if answer is OUT_OF_TIME or answer.kind is ErrorKind.THROTTLED:
        return Done(verdict, Fate.DEFERRED, str(answer))
    if answer.kind is ErrorKind.IN_USE:
        return Done(verdict, Fate.IN_USE, str(answer))
    if answer.kind is ErrorKind.MISSING:
        return Done(verdict, Fate.GONE, "somebody else deleted it meanwhile")
    return Done(verdict, Fate.FAILED, str(answer), request_id=answer.request_id)


def _removed(verdict: Verdict, answer: Removed) -> Done:
    """Read EC2's code for each snapshot; `skipped` is one that another image uses: it stays."""
    deleted = tuple(one for one, code in answer.snapshots.items() if code == "success")
    failures = tuple(
        Failure(one, f"DeleteAssociatedSnapshots: {code}")
        for one, code in answer.snapshots.items()
        if code not in {"success", "skipped"}
    )
    return Done(verdict, Fate.DELETED, verdict.why, deleted, failures, answer.request_id)
