"""The account's images and snapshots, what uses them, and the ports through which they are seen."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from handler.aws.errors import AwsError

SOURCE_TAG = "SourceInstance"
"""The tag that names the instance from which an image was made."""


@dataclass(frozen=True, slots=True)
class Image:
    """What EC2 shows of one image of the account.

    Attributes:
        image_id: its id.
        created: None where EC2 gives no readable time.
        tags: its tags.
        state: `available`, `disabled`, ...
        last_launched: None where EC2 knows of no launch.
        protected: EC2's deregistration protection is on, or in its cool-down.
        public: anybody may launch it.
        owner_alias: the alias of an owner that is a service of AWS.
        snapshots: the snapshots that it is made of.
    """

    image_id: str
    created: datetime | None
    tags: Mapping[str, str] = field(default_factory=dict)
    state: str = "available"
    last_launched: datetime | None = None
    protected: bool = False
    public: bool = False
    owner_alias: str | None = None
    snapshots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What EC2 shows of one snapshot of the account.

    `gigabytes` is its full size where EC2 tells it, the volume's size otherwise: snapshots are
    incremental, so it is the most that deleting it can free.
    """

    snapshot_id: str
    started: datetime | None
    tags: Mapping[str, str] = field(default_factory=dict)
    state: str = "completed"
    volume_id: str = ""
    gigabytes: float = 0.0
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Uses:
    """Who refers to an image or a snapshot.

    Attributes:
        users: id → the first user that was found, for people.
        failed: look-up → why it failed: what it did not see may be anything.
    """

    users: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, AwsError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that one run knows; what could not be looked up is an error, never an empty answer."""

    images: tuple[Image, ...]
    snapshots: tuple[Snapshot, ...]
    uses: Uses
    locked: frozenset[str] | AwsError
    volumes: frozenset[str] | AwsError


@dataclass(frozen=True, slots=True)
class Removed:
    """EC2 did it; `snapshots` has EC2's code for each snapshot of a deregistered image."""

    snapshots: Mapping[str, str] = field(default_factory=dict)
    request_id: str | None = None


class Estate(Protocol):
    """EC2's images and snapshots, in the function's own account and region."""

    def images(self) -> tuple[Image, ...] | AwsError:
        """Every image of the account, disabled ones too: each of them holds its snapshots."""
        ...

    def snapshots(self) -> tuple[Snapshot, ...] | AwsError:
        """Every snapshot of the account."""
        ...

    def volumes(self) -> frozenset[str] | AwsError:
        """Every volume's id."""
        ...

    def locked(self) -> frozenset[str] | AwsError:
        """The snapshots that are locked against deletion."""
        ...

    def present(
        self, images: Collection[str], snapshots: Collection[str]
    ) -> frozenset[str] | AwsError:
        """Which of these ids are still there."""
        ...

    def deregister(
        self, image_id: str, *, with_snapshots: bool, dry_run: bool
    ) -> Removed | AwsError:
        """Ask EC2 once to deregister an image; with `dry_run` only whether it would."""
        ...

    def delete_snapshot(self, snapshot_id: str, *, dry_run: bool) -> Removed | AwsError:
        """Ask EC2 once to delete a snapshot; with `dry_run` only whether it would."""
        ...


class Users(Protocol):
    """What in the account refers to images and snapshots."""

    def uses(self) -> Uses:
        """Everything that is looked up once for all images."""
        ...

    def references(self, image_ids: Collection[str]) -> Mapping[str, str] | AwsError | None:
        """What EC2 itself knows to refer to up to ten images; None where it has no such call."""
        ...


class RecycleBin(Protocol):
    """The account's retention rules."""

    def rules(self) -> tuple[RetentionRule, ...] | AwsError:
        """The rules for images and for snapshots."""
        ...


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """One rule of the Recycle Bin: whole region, or what bears one of its tags."""

    for_images: bool
    days: int
    tags: tuple[tuple[str, str], ...] = ()
    excluded: tuple[tuple[str, str], ...] = ()

    def keeps(self, tags: Mapping[str, str]) -> bool:
        """Whether what bears these tags is kept by it; a rule tag without a value is any value."""
        if any(_bears(tags, pair) for pair in self.excluded):
            return False
        return not self.tags or any(_bears(tags, pair) for pair in self.tags)


def _bears(tags: Mapping[str, str], pair: tuple[str, str]) -> bool:
    key, value = pair
    return key in tags and value in {"", tags[key]}
