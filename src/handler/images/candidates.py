"""Which of those that may go are deleted in this run: the oldest, up to the cap, asked about once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from handler.aws.errors import AwsError
from handler.images.model import Users
from handler.images.verdict import Kind, Reason, Verdict, keep, oldest_first

TOGETHER = 10
"""Images in one DescribeImageReferences call (EC2 API)."""


@dataclass(slots=True)
class References:
    """What EC2 itself knows of an image's users, asked for ten images at once.

    Only of images that are about to go: a call for ten is cheap, one for all of an estate is not.
    """

    users: Users
    queue: Sequence[str]
    known: bool = field(default=True, init=False)
    """False once it is clear that EC2 has no such call here."""
    _answers: dict[str, str | AwsError | None] = field(default_factory=dict, init=False)

    def of(self, image_id: str) -> str | AwsError | None:
        """Who uses it, why that could not be looked up, or None."""
        if self.known and image_id not in self._answers:
            start = self.queue.index(image_id)
            self._ask(self.queue[start : start + TOGETHER])
        return self._answers.get(image_id)

    def _ask(self, image_ids: Sequence[str]) -> None:
        found = self.users.references(image_ids)
        if found is None:
            self.known = False
        elif isinstance(found, AwsError):
            self._answers |= dict.fromkeys(image_ids, found)
        else:
            self._answers |= {one: found.get(one) for one in image_ids}


def choose(
    verdicts: Sequence[Verdict], users: Users, cap: int, stop: str | None
) -> tuple[list[Verdict], Mapping[str, Verdict], bool]:
    """What is deleted now, the oldest first; what stays after all; whether EC2 knew references.

    Args:
        verdicts: the decisions.
        users: asked for references to images.
        cap: how many items go at most.
        stop: why nothing goes in this run at all, or None.
    """
    queue = oldest_first(verdicts)
    references = References(users, [one.item_id for one in queue if one.kind is Kind.IMAGE])
    chosen: list[Verdict] = []
    stay: dict[str, Verdict] = {}
    for one in queue:
        if stop is not None:
            stay[one.item_id] = keep(one, Reason.DEFERRED, stop)
        elif len(chosen) >= cap:
            why = "over MAX_DELETIONS_PER_RUN: a later run's"
            stay[one.item_id] = keep(one, Reason.DEFERRED, why)
        elif one.kind is Kind.IMAGE and (user := references.of(one.item_id)) is not None:
            stay[one.item_id] = (
                keep(one, Reason.UNPROVEN, f"could not be looked up: references ({user})")
                if isinstance(user, AwsError)
                else keep(one, Reason.IN_USE, user)
            )
        else:
            chosen.append(one)
    return chosen, stay, references.known
