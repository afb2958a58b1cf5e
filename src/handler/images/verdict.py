"""The verdict on one image or snapshot, and the operator's rules that it follows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, StrEnum


class Kind(StrEnum):
    """What an item is."""

    IMAGE = "image"
    SNAPSHOT = "snapshot"


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

    `snapshots` are an image's own snapshots that go with it; a snapshot that another image uses, or
    that does not bear the required tags, is not among them.
    """

    item_id: str
    kind: Kind
    reason: Reason
    why: str
    created: datetime | None = None
    snapshots: tuple[str, ...] = ()
    tags: Mapping[str, str] | None = None

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
    return replace(verdict, reason=reason, why=why)
