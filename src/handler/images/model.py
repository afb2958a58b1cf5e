"""Images and snapshots as EC2 shows them, all that one run knows of them, and the verdict on each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum, StrEnum

from handler.aws.errors import AwsError
from handler.images.bounds import LONGEST_WHY, cut

SOURCE_TAG = "SourceInstance"
"""The tag that names the instance from which an image was made."""


class Kind(StrEnum):
    """What an item is."""

    IMAGE = "image"
    SNAPSHOT = "snapshot"


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
        source: the image that it is, or was, copied from.
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
    source: str | None = None


COPIED_FROM = frozenset({"", "vol-ffffffff"})
"""The volume ids of copies: "arbitrary", and to be used for no purpose (EC2 API, Snapshot). `TransferType`
is no sign of one: EC2 sends it of every snapshot, whatever the API's page says."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What EC2 shows of one snapshot of the account.

    Attributes:
        snapshot_id: its id.
        started: None where EC2 gives no readable time.
        tags: its tags.
        state: `completed`, `pending`, ...
        volume_id: what it was made of; made up for copies.
        volume_gigabytes: the size of that volume, which a copy keeps; None where EC2 tells none.
        gigabytes: its full size where EC2 tells it, the volume's size otherwise: snapshots are
            incremental, so it is the most that deleting it can free.
        archived: in the archive tier, also while it is restored from there for a time.
        named: the images and snapshots that its description names: what it is a copy of.
    """

    snapshot_id: str
    started: datetime | None
    tags: Mapping[str, str] = field(default_factory=dict)
    state: str = "completed"
    volume_id: str = ""
    gigabytes: float = 0.0
    archived: bool = False
    named: frozenset[str] = frozenset()
    volume_gigabytes: int | None = None

    @property
    def copy(self) -> bool:
        """Whether it was, or is being, copied from another."""
        return self.volume_id in COPIED_FROM


@dataclass(frozen=True, slots=True)
class Unseen:
    """A place that may refer to images or snapshots, and could not be looked at.

    Attributes:
        what: the look-up, or the one reference that could not be read.
        error: why.
        could_name: what it may refer to: that stays.
        cure: what to do about it, for people.
    """

    what: str
    error: AwsError
    could_name: frozenset[Kind] = frozenset(Kind)
    cure: str = ""

    def __str__(self) -> str:
        return f"{self.what} ({self.error}){f': {self.cure}' if self.cure else ''}"


@dataclass(frozen=True, slots=True)
class References:
    """What refers to images and snapshots: id → who, for people; and what could not be looked at."""

    by_id: Mapping[str, str] = field(default_factory=dict)
    unseen: tuple[Unseen, ...] = ()


@dataclass(frozen=True, slots=True)
class Inventory:
    """All that one run knows; what could not be looked up is an error, never an empty answer."""

    images: tuple[Image, ...]
    snapshots: tuple[Snapshot, ...]
    references: References = References()
    locked: frozenset[str] | AwsError = frozenset()
    volumes: frozenset[str] | AwsError = frozenset()


class Reason(Enum):
    """Why an item goes or stays; the key is what is logged and returned."""

    UNUSED = "unused"
    NOT_OURS = "not_ours"
    PROTECTED = "protected"
    MANAGED = "managed_by_aws"
    NOT_READY = "not_ready"
    TOO_YOUNG = "too_young"
    LATEST = "latest"
    LAUNCHED = "launched_lately"
    PUBLIC = "public"
    SHARED = "shared"
    IN_USE = "in_use"
    ARCHIVED = "archived"
    COPIED = "copied"
    LOCKED = "locked"
    UNPROVEN = "unproven"
    DEFERRED = "deferred"

    @property
    def key(self) -> str:
        """The name under which it is counted."""
        return self.value


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's rules."""

    required_tags: Mapping[str, str]
    protect_tag: str
    images_older_than: timedelta
    snapshots_older_than: timedelta
    keep_latest_images: int
    keep_latest_snapshots: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one item, and why.

    Attributes:
        item_id: its id.
        kind: what it is.
        reason: UNUSED, or why it stays.
        why: the same for people.
        created: when it was made, where EC2 tells.
        tags: its tags.
        gigabytes: what it costs storage for; an image costs nothing beside its snapshots.
        parts: an image's snapshots.
        volume_id: of a snapshot that goes only because its volume is gone; that is asked for once more.
    """

    item_id: str
    kind: Kind
    reason: Reason
    why: str
    created: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    gigabytes: float = 0.0
    parts: tuple[str, ...] = ()
    volume_id: str | None = None

    @property
    def goes(self) -> bool:
        """Whether it is to be deleted."""
        return self.reason is Reason.UNUSED


def oldest_first(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Those that go, the oldest first, whatever their kind."""
    dated = [(one.created, one) for one in verdicts if one.goes and one.created is not None]
    return [one for _, one in sorted(dated, key=lambda pair: (pair[0], pair[1].item_id))]


def keep(verdict: Verdict, reason: Reason, why: str) -> Verdict:
    """The same item, which stays after all."""
    return replace(verdict, reason=reason, why=cut(why, LONGEST_WHY))
