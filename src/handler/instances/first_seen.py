"""When each machine of ours was first seen here, by this function's own clock.

The backend's clock moves with each report, and it hides a row for five minutes after one. So a
machine that is refused for ever never waits long by it. This memory is one item of the idempotency
table: it outlives an execution environment. Without the table the environment's own memory goes on:
that costs an alarm, never a run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from handler.aws import error_codes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ITEM = "first-seen"
"""The item's id."""
MISSED_FOR = timedelta(hours=6)
"""How long a machine may be unlisted before it is forgotten: much longer than the backend hides one."""
NOTED_EVERY = timedelta(hours=1)
"""How much older than now the time of its last listing may be: it is not written in every run."""
MOST = 5_000
"""Machines that are remembered: 40 bytes each, where an item holds 400 KB. Those that were seen first
are kept, since they are the ones that will be overdue."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """When a machine was first seen, and when it was last noted as listed (seconds since 1970, UTC)."""

    first: int
    last: int


Sightings = dict[str, Sighting]


def noted(known: Mapping[str, Sighting], ids: Iterable[str], now: int) -> Sightings:
    """What is remembered after these were seen now; the same as before where nothing need be written."""
    kept = {one: s for one, s in known.items() if now - s.last <= MISSED_FOR.total_seconds()}
    for one in ids:
        before = kept.get(one)
        if before is None:
            kept[one] = Sighting(now, now)
        elif now - before.last > NOTED_EVERY.total_seconds():
            kept[one] = Sighting(before.first, now)
    oldest = sorted(kept.items(), key=lambda pair: (pair[1].first, pair[0]))[:MOST]
    return dict(oldest)


def merged(one: Mapping[str, Sighting], other: Mapping[str, Sighting]) -> Sightings:
    """What two runs know together: seen first by the earlier, last by the later."""
    both = dict(one)
    for key, theirs in other.items():
        mine = both.get(key, theirs)
        both[key] = Sighting(min(mine.first, theirs.first), max(mine.last, theirs.last))
    return both


@dataclass(slots=True)
class FirstSeen:
    """The memory, for the life of an execution environment.

    Args:
        client: makes the DynamoDB client, the first time it is needed.
        table: the idempotency table's name.
        warn: told what AWS said, when the table cannot be used.
    """

    client: Callable[[], DynamoDBClient]
    table: str
    warn: Callable[[str], None]
    _known: Sightings = field(default_factory=dict, init=False)
    _revision: int | None = field(default=None, init=False)

    def note(self, ids: Iterable[str], now: datetime) -> dict[str, datetime]:
        """Remember that these are alive now, and return when each was first seen (UTC)."""
        seconds, wanted = int(now.timestamp()), list(ids)
        try:
            self._remember(wanted, seconds)
        except error_codes.SDK_ERRORS as error:
            self.warn(str(error))
            self._known = noted(self._known, wanted, seconds)
            self._revision = None
        return {
            one: datetime.fromtimestamp(self._known[one].first, UTC)
            for one in wanted
            if one in self._known
        }

    def _remember(self, ids: list[str], now: int) -> None:
        """Write what is new. Another run may have written meanwhile: its memory is read, and merged."""
        if self._revision is None:
            self._load()
        for _ in range(2):
            following = noted(self._known, ids, now)
            if following == self._known:
                return
            try:
                self._save(following)
            except ClientError as error:
                if error_codes.read(error).code != "ConditionalCheckFailedException":
                    raise
                self._load()
            else:
                return
        self._known = noted(self._known, ids, now)

    def _load(self) -> None:
        answer = self.client().get_item(
            TableName=self.table, Key={"id": {"S": ITEM}}, ConsistentRead=True
        )
        item: Mapping[str, Any] = answer.get("Item", {})
        self._known = merged(self._known, _read(item.get("seen", {}).get("S", "{}")))
        revision = item.get("revision", {}).get("N", "0")
        self._revision = int(revision) if revision.isdecimal() else 0

    def _save(self, following: Sightings) -> None:
        revision = self._revision or 0
        last = max((one.last for one in following.values()), default=0)
        self.client().put_item(
            TableName=self.table,
            Item={
                "id": {"S": ITEM},
                "revision": {"N": str(revision + 1)},
                "seen": {
                    "S": json.dumps(
                        {k: [s.first, s.last] for k, s in following.items()}, separators=(",", ":")
                    )
                },
                "expiration": {"N": str(last + int(2 * MISSED_FOR.total_seconds()))},
            },
            ConditionExpression="attribute_not_exists(#id) OR #revision = :revision",
            ExpressionAttributeNames={"#id": "id", "#revision": "revision"},
            ExpressionAttributeValues={":revision": {"N": str(revision)}},
        )
        self._known, self._revision = following, revision + 1


def _read(text: str) -> Sightings:
    """The item's own text; what cannot be read is forgotten."""
    try:
        raw = json.loads(text)
        return {str(key): Sighting(int(pair[0]), int(pair[1])) for key, pair in raw.items()}
    except (ValueError, TypeError, AttributeError, IndexError, KeyError):
        return {}
