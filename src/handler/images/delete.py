"""Deletes what was decided, one call an item, and finds out what became of calls without an answer.

Images come first, each without its snapshots (`DeleteAssociatedSnapshots` is one switch for all of
them); then the snapshots, those of the images among them, each on its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from threading import Lock
from typing import Any

from handler.aws import error_codes
from handler.aws.error_codes import MAYBE_MISSING
from handler.aws.errors import AwsError, ErrorKind
from handler.aws.retry import FRESH_FOR, LATE, Retry
from handler.deadline import side_by_side
from handler.images.choose import Choice
from handler.images.ec2 import Ec2Inventory
from handler.images.model import Kind, Verdict

AT_ONCE = 4
"""Deletions under way side by side."""
FREE_CALLS = 50
"""Calls without a pause: half of EC2's bucket for DeregisterImage and of that for DeleteSnapshot, since
others in the account drink from them too (EC2 API throttling: 100 each, refilled by 5 a second)."""
PAUSE = 0.25
"""Seconds between the calls after those: 4 a second stay under the refill."""


class DeletionStatus(Enum):
    """How the attempt to delete one item ended."""

    DELETED = "deleted"
    PLANNED = "planned"
    FAILED = "failed"
    IN_USE = "in_use"
    GONE = "gone"
    UNKNOWN = "unknown"
    """EC2 did not answer, and it is not proven to be gone: what was asked for may still happen."""
    DEFERRED = "deferred"


@dataclass(frozen=True, slots=True)
class Deletion:
    """One attempt's end.

    Attributes:
        verdict: on what.
        status: how it ended.
        why: for people.
        code: AWS's error code, where there is one.
        request_id: EC2's.
        part_of: the image that the snapshot was part of when the run began.
    """

    verdict: Verdict
    status: DeletionStatus
    why: str = ""
    code: str | None = None
    request_id: str | None = None
    part_of: str | None = None


@dataclass(slots=True)
class Deleting:
    """The deleting part of one run.

    Args:
        ec2: makes each call once.
        retry: makes a call again where that helps.
        inventory: looks at items again.
        ask: which of these must stay after all, by who uses them now.
        dry_run: EC2 is asked whether it would, and nothing more.
        clock: the time now (UTC).
        decided_at: when it was looked at what is now deleted.
        ended: called at once with each end: known even if the run is killed.
    """

    ec2: Any
    retry: Retry
    inventory: Ec2Inventory
    ask: Callable[[Sequence[Verdict]], Mapping[str, Verdict]]
    dry_run: bool
    clock: Callable[[], datetime]
    decided_at: datetime
    ended: Callable[[Deletion], None]
    _made: Counter[Kind] = field(default_factory=Counter, init=False)
    _turns: Mapping[Kind, Lock] = field(
        default_factory=lambda: {kind: Lock() for kind in Kind}, init=False
    )

    def delete(self, choice: Choice) -> list[Deletion]:
        """Delete these; every one that was chosen ends in exactly one `Deletion`.

        A part that an image still holds, since that could not be deregistered, is not tried, and has
        no end; so it is in a dry run.
        """
        images = [one for one in choice.chosen if one.kind is Kind.IMAGE]
        owner = {part: one.item_id for one in images for part in one.parts}
        ends = self._all(images, owner)
        held = {part for one in ends if one.status not in _OVER for part in one.verdict.parts}
        free = [one for one in choice.chosen if one.kind is Kind.SNAPSHOT]
        free += [one for one in choice.parts if one.item_id not in held]
        return ends + self._all(free, owner)

    def _all(self, verdicts: Sequence[Verdict], owner: Mapping[str, str]) -> list[Deletion]:
        ends: list[Deletion] = []
        doubtful: list[tuple[Verdict, AwsError]] = []
        for verdict, (answer, doubt) in side_by_side(
            self._ask, verdicts, at_once=AT_ONCE, left=self.retry.deadline.to_report
        ):
            if self.dry_run:
                end = _foreseen(_read(verdict, answer), of_an_image=verdict.item_id in owner)
            elif doubt is None or not isinstance(answer, AwsError):
                end = _read(verdict, answer)
            elif answer.kind is ErrorKind.MISSING and answer.code not in MAYBE_MISSING:
                end = _unheard(verdict)
            else:
                doubtful.append((verdict, doubt))
                continue
            ends.append(self._told(end, owner))
        return ends + self._look_again(doubtful, owner)

    def _ask(self, verdict: Verdict) -> tuple[str | AwsError, AwsError | None]:
        """EC2's request id or error, and why it may have happened though that is an error.

        `LATE` where more time might have brought an answer: that is no refusal of EC2's.
        """
        doubts: list[AwsError] = []

        def once() -> str | AwsError:
            answer = self._once(verdict)
            if isinstance(answer, AwsError) and answer.kind in _UNANSWERED:
                doubts.append(answer)
            return answer

        with self._turns[verdict.kind]:
            self._made[verdict.kind] += 1
            if self._made[verdict.kind] > FREE_CALLS and self.retry.deadline.to_act() > 0:
                self.retry.sleep(PAUSE)
        if not self.dry_run and self.clock() - self.decided_at > FRESH_FOR:
            changed = self._changed(verdict)
            if changed is not None:
                return changed, None
        found = self.retry(once, lambda: self._changed(verdict))
        if found == LATE or (doubts and self.retry.deadline.to_act() <= 0):
            return found, LATE
        return found, doubts[-1] if doubts else None

    def _once(self, verdict: Verdict) -> str | AwsError:
        """DeregisterImage, its snapshots left alone, or DeleteSnapshot."""
        try:
            if verdict.kind is Kind.IMAGE:
                answer = self.ec2.deregister_image(ImageId=verdict.item_id, DryRun=self.dry_run)
            else:
                answer = self.ec2.delete_snapshot(SnapshotId=verdict.item_id, DryRun=self.dry_run)
        except error_codes.SDK_ERRORS as raised:
            error = error_codes.read(raised)
            if error.code == error_codes.DRY_RUN_ALLOWED:
                return error.request_id or ""
            return error
        # EC2 says no more than this of a deleted snapshot, but it always says it.
        request_id: str | None = answer["ResponseMetadata"].get("RequestId")
        return error_codes.NOT_AWS if request_id is None else request_id

    def _changed(self, verdict: Verdict) -> AwsError | None:
        """Why it is not to be deleted after all: what has waited is looked at anew."""
        left = self.retry.deadline.to_act
        item = replace(self.inventory, time_left=left).now(verdict.kind, verdict.item_id)
        if item is None:
            return AwsError("Gone", "it is not there any more", ErrorKind.MISSING)
        if isinstance(item, AwsError):
            why = f"it could not be looked at again ({item}): a later run decides anew"
            return AwsError("NotSeen", why, ErrorKind.THROTTLED)
        if item.tags != verdict.tags or item.state not in WHOLE:
            why = "its tags or its state were changed meanwhile: a later run decides anew"
            return AwsError("Changed", why, ErrorKind.THROTTLED)
        if stays := self.ask([verdict]):
            why = f"{stays[verdict.item_id].why}: a later run decides anew"
            return AwsError("Changed", why, ErrorKind.THROTTLED)
        return None

    def _look_again(
        self, doubtful: Sequence[tuple[Verdict, AwsError]], owner: Mapping[str, str]
    ) -> list[Deletion]:
        """What is proven to be gone was deleted by the call whose answer was lost.

        What is shown proves nothing: lists lag, and the call may be carried out a little later.
        """
        if not doubtful:
            return []
        ids = {kind: [one.item_id for one, _ in doubtful if one.kind is kind] for kind in Kind}
        there = self.inventory.still_there(ids[Kind.IMAGE], ids[Kind.SNAPSHOT])
        ends: list[Deletion] = []
        for verdict, error in doubtful:
            fate = there[verdict.item_id]
            if fate is False:
                end = _unheard(verdict)
            else:
                seen = "it is still shown" if fate is True else f"it could not be looked at: {fate}"
                why = f"{error}, and {seen}. The next run looks"
                end = Deletion(verdict, DeletionStatus.UNKNOWN, why, error.code)
            ends.append(self._told(end, owner))
        return ends

    def _told(self, end: Deletion, owner: Mapping[str, str]) -> Deletion:
        end = replace(end, part_of=owner.get(end.verdict.item_id))
        self.ended(end)
        return end


def _read(verdict: Verdict, answer: str | AwsError) -> Deletion:
    if not isinstance(answer, AwsError):
        return Deletion(verdict, DeletionStatus.DELETED, verdict.why, request_id=answer)
    if answer.kind is ErrorKind.MISSING:
        return Deletion(verdict, DeletionStatus.GONE, "somebody else deleted it meanwhile")
    status = _STATUS.get(answer.kind, DeletionStatus.FAILED)
    return Deletion(verdict, status, str(answer), answer.code, answer.request_id)


def _unheard(verdict: Verdict) -> Deletion:
    why = "it is gone, though EC2 did not answer"
    return Deletion(verdict, DeletionStatus.DELETED, why)


def _foreseen(end: Deletion, *, of_an_image: bool) -> Deletion:
    """A dry run's: what EC2 would delete; an image's snapshot is in use only until the image is gone."""
    held = of_an_image and end.status is DeletionStatus.IN_USE
    if end.status is DeletionStatus.DELETED or held:
        return Deletion(end.verdict, DeletionStatus.PLANNED, end.verdict.why, None, end.request_id)
    return end


WHOLE = frozenset({"available", "completed"})
"""States of images and of snapshots that may be deleted."""
_OVER = frozenset({DeletionStatus.DELETED, DeletionStatus.GONE, DeletionStatus.PLANNED})
"""The image no longer holds its snapshots, or would not."""
_UNANSWERED = frozenset({ErrorKind.NO_ANSWER, ErrorKind.FAULTY})
_STATUS = {
    ErrorKind.THROTTLED: DeletionStatus.DEFERRED,
    ErrorKind.IN_USE: DeletionStatus.IN_USE,
}
