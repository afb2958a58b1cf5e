"""What EC2 tells of one image or snapshot, or of ten, a call: asked only of what is about to go.

It is asked when a run chooses, and again of what has waited since (`delete.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from handler.aws.errors import AwsError, ErrorKind
from handler.aws.lists import each_of, read_all, sound
from handler.images.ec2 import permissions
from handler.images.model import Kind, Reason, Verdict, keep
from handler.images.references import LIVE

REFERENCES_AT_ONCE = 10
"""Images in one DescribeImageReferences call (EC2 API)."""
ALL_VERSIONS = "10000"
"""DescribeImageReferences looks at the latest 10 versions of a template unless told so (EC2 API)."""


@dataclass(frozen=True, slots=True)
class LastQuestions:
    """What EC2 knows of single images and snapshots.

    Args:
        ec2: the client.
        time_left: seconds in which EC2 may still be asked.
        failed: told of each look-up that failed: what, and why.
    """

    ec2: Any
    time_left: Callable[[], float]
    failed: Callable[[str, AwsError], None]

    def stay(self, verdicts: Sequence[Verdict]) -> dict[str, Verdict]:
        """Those that must stay after all: somebody uses them, or it could not be looked up."""
        by_id = {one.item_id: one for one in verdicts}
        images = [one.item_id for one in verdicts if one.kind is Kind.IMAGE]
        tens = [
            images[start : start + REFERENCES_AT_ONCE]
            for start in range(0, len(images), REFERENCES_AT_ONCE)
        ]
        looks = [
            *(partial(self._used, [by_id[one] for one in ten]) for ten in tens),
            *(partial(self._shared, one) for one in verdicts),
            *(partial(self._latest, one) for one in verdicts if one.volume_id is not None),
        ]
        answers = each_of(lambda look: look(), looks, self.time_left)
        if isinstance(answers, AwsError):
            return {one.item_id: _unproven(one, "references", answers) for one in verdicts}
        stay: dict[str, Verdict] = {}
        for _, found in answers:
            if isinstance(found, _Failed):
                self.failed(found.what, found.error)
                kept = [_unproven(one, found.what, found.error) for one in found.about]
            else:
                kept = found
            stay |= {one.item_id: one for one in kept}
        return stay

    def _used(self, images: Sequence[Verdict]) -> list[Verdict] | _Failed:
        ids = [one.item_id for one in images]
        users = sound(lambda: known_to_ec2(self.ec2, ids, self.time_left))
        if isinstance(users, AwsError):
            return _Failed("references", users, images)
        return [
            keep(one, Reason.IN_USE, users[one.item_id]) for one in images if one.item_id in users
        ]

    def _shared(self, one: Verdict) -> list[Verdict] | _Failed:
        users = sound(lambda: shared_with(self.ec2, one.kind, one.item_id, self.time_left))
        if isinstance(users, AwsError):
            return _Failed(f"permissions of {one.item_id}", users, [one])
        return [] if users is None else [keep(one, Reason.SHARED, users)]

    def _latest(self, one: Verdict) -> list[Verdict] | _Failed:
        """A list may leave a volume out: it is gone when EC2 names it as unknown."""
        ids = [one.volume_id]
        found = read_all(self.ec2, "describe_volumes", "Volumes", self.time_left, VolumeIds=ids)
        if not isinstance(found, AwsError):
            return [keep(one, Reason.LATEST, f"{one.volume_id} is there, though not listed")]
        if found.kind is ErrorKind.MISSING:
            return []
        return _Failed(f"volume {one.volume_id}", found, [one])


class _Failed(NamedTuple):
    """A look-up that failed, and what can go no more for that."""

    what: str
    error: AwsError
    about: Sequence[Verdict]


def known_to_ec2(
    ec2: Any,  # noqa: ANN401 - boto3 makes the class at run time
    image_ids: Sequence[str],
    time_left: Callable[[], float],
) -> dict[str, str] | AwsError:
    """DescribeImageReferences of up to ten images, every version of every template.

    It adds Image Builder's recipes to the look-ups of `AccountReferences`. A region may not have it
    yet: that adds nothing.
    """
    found = read_all(
        ec2,
        "describe_image_references",
        "ImageReferences",
        time_left,
        ImageIds=list(image_ids),
        IncludeAllResourceTypes=True,
        ResourceTypes=[
            {
                "ResourceType": "ec2:LaunchTemplate",
                "ResourceTypeOptions": [
                    {"OptionName": "version-depth", "OptionValues": [ALL_VERSIONS]}
                ],
            },
            {
                "ResourceType": "ec2:Instance",
                "ResourceTypeOptions": [{"OptionName": "state-name", "OptionValues": LIVE}],
            },
        ],
    )
    if isinstance(found, AwsError):
        return {} if found.kind is ErrorKind.NO_SUCH_CALL else found
    return {one["ImageId"]: f"{one['ResourceType']} {one['Arn']}" for one in found}


def shared_with(
    ec2: Any,  # noqa: ANN401 - boto3 makes the class at run time
    kind: Kind,
    item_id: str,
    time_left: Callable[[], float],
) -> str | AwsError | None:
    """Who outside may use an image or a snapshot, or None: accounts, organizations, their units, all."""
    found = permissions(ec2, kind, item_id, time_left)
    if isinstance(found, AwsError):
        return None if found.kind is ErrorKind.MISSING else found
    users = [str(value) for one in found for value in one.values()]
    return f"shared with {', '.join(users[:5])}" if users else None


def _unproven(verdict: Verdict, what: str, error: AwsError) -> Verdict:
    return keep(verdict, Reason.UNPROVEN, f"could not be looked up: {what} ({error})")
