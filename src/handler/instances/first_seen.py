"""When each listed machine was first seen alive here, and when last, by this function's own clock.

The backend's clock moves with each report, and it hides a row for five minutes after one. So a
machine that is refused for ever never waits long by it, and one that is hidden looks unmarked: it
would vouch for the next zombie of its workload, or for its own successor. This memory is one item of the idempotency
table: it outlives an execution environment. Without the table the environment's own memory goes on:
that costs an alarm, and the guard what another environment has seen; never a run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from handler.aws import error_codes
from handler.aws.errors import AwsError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ITEM = "first-seen"
"""The item's id."""
FORGOTTEN_AFTER = 12 * 3600
"""Seconds for which a machine may be unlisted: a report hides it for five minutes, and then it waits
anew for as long as its agent has it wait (contract section 1, quirk 5). Until then it counts as marked."""
NOTED_EVERY = 3600
"""Seconds by which the time of the last listing may be behind: it is not written in every run."""
MOST = 5_000
"""Machines that are remembered: 46 bytes each make 230 KB, where an item holds 400 KB. Those that
were seen first are kept: they are the ones that are overdue, or will be before the others."""
TRIES = 3
"""How often it is written in one run, where another run has changed it."""
CHANGED = "ConditionalCheckFailedException"


@dataclass(frozen=True, slots=True)
class Sighting:
    """When a machine was first seen, and when last noted (seconds since 1970, UTC)."""

    first: int
    last: int


Sightings = dict[str, Sighting]


def noted(known: Mapping[str, Sighting], ids: Collection[str], now: int) -> Sightings:
    """What is known after these were seen now; the same as before where nothing need be written."""
    fresh = {
        one: sighting for one, sighting in known.items() if now - sighting.last <= FORGOTTEN_AFTER
    }
    if all(one in fresh and now - fresh[one].last <= NOTED_EVERY for one in ids):
        return fresh
    seen = {one: Sighting(min(fresh[one].first, now) if one in fresh else now, now) for one in ids}
    return _bounded(fresh | seen)


def merged(one: Mapping[str, Sighting], other: Mapping[str, Sighting]) -> Sightings:
    """What two runs know together: seen first by the earlier, last by the later."""
    both = dict(one)
    for key, theirs in other.items():
        mine = both.get(key, theirs)
        both[key] = Sighting(min(mine.first, theirs.first), max(mine.last, theirs.last))
    return _bounded(both)


def _bounded(sightings: Sightings) -> Sightings:
    if len(sightings) <= MOST:
        return sightings
    return dict(sorted(sightings.items(), key=lambda pair: (pair[1].first, pair[0]))[:MOST])


@dataclass(slots=True)
class FirstSeen:
    """The memory, for the life of an execution environment. It raises nothing.

    Args:
        client: makes the DynamoDB client, the first time it is needed.
        table: the idempotency table's name.
        warn: told what AWS said, when the table cannot be used; each run sets its own.
    """

    client: Callable[[], DynamoDBClient]
    table: str
    warn: Callable[[AwsError], None] = lambda _: None
    _known: Sightings = field(default_factory=dict, init=False)
    _saved: Sightings = field(default_factory=dict, init=False)  # what the item holds
    _loaded: bool = field(default=False, init=False)
    _revision: Mapping[str, Any] | None = field(
        default=None, init=False
    )  # as it stands in the item

    def load(self) -> AwsError | None:
        """Read what other environments have seen: two that take turns each know what the other refused."""
        trouble = self._load()
        if trouble is not None:
            self.warn(trouble)
        return trouble

    def lately(self, now: datetime) -> Collection[str]:
        """The machines that were listed so lately that they may be marked, and hidden, still."""
        since = int(now.timestamp()) - FORGOTTEN_AFTER
        return {one for one, sighting in self._known.items() if sighting.last >= since}

    def note(self, ids: Collection[str], now: datetime) -> dict[str, datetime]:
        """Remember that these are alive now, and return when each was first seen (UTC).

        Asks DynamoDB only where there is something to write, and once before that. What is beyond
        `MOST` is not remembered, and not returned.
        """
        seconds = int(now.timestamp())
        trouble = None if self._loaded or not ids else self._load()
        self._known = noted(self._known, ids, seconds)
        if trouble is None and ids:
            trouble = self._write()
        if trouble is not None:
            self._loaded = False
            self.warn(trouble)
        return {
            one: datetime.fromtimestamp(min(self._known[one].first, seconds), UTC)
            for one in ids
            if one in self._known
        }

    def _write(self) -> AwsError | None:
        """Write what is new. Another run may have written meanwhile: its memory is read, and merged."""
        for _ in range(TRIES):
            if self._known == self._saved:
                return None
            trouble = self._save()
            if trouble is None or trouble.code != CHANGED:
                return trouble
            if (trouble := self._load()) is not None:
                return trouble
        self._loaded = False  # others write all the time: the next run tries again
        return None

    def _load(self) -> AwsError | None:
        """Read the item, and add it to what is known."""
        key = {"id": {"S": ITEM}}
        try:
            answer: Any = self.client().get_item(
                TableName=self.table,
                Key=key,
                ConsistentRead=True,
            )
        except error_codes.SDK_ERRORS as error:
            return error_codes.read(error)
        item = answer.get("Item") or {}
        self._saved = _read(item)
        self._known = merged(self._known, self._saved)
        self._revision, self._loaded = item.get("revision"), True
        return None

    def _save(self) -> AwsError | None:
        """Write what is known, unless the item is another than the one that was read."""
        revision = {"S": uuid4().hex}
        last = max((one.last for one in self._known.values()), default=0)
        seen = {key: [one.first, one.last] for key, one in self._known.items()}
        given: dict[str, Any] = {
            "TableName": self.table,
            "Item": {
                "id": {"S": ITEM},
                "revision": revision,
                "seen": {"S": json.dumps(seen, separators=(",", ":"))},
                "expiration": {"N": str(last + FORGOTTEN_AFTER)},  # the table's TTL
            },
            "ConditionExpression": "attribute_not_exists(#revision)",
            "ExpressionAttributeNames": {"#revision": "revision"},
        }
        if self._revision is not None:
            given["ConditionExpression"] = "#revision = :seen"
            given["ExpressionAttributeValues"] = {":seen": self._revision}
        try:
            self.client().put_item(**given)
        except error_codes.SDK_ERRORS as error:
            return error_codes.read(error)
        self._revision, self._saved = revision, self._known
        return None


def _read(item: Mapping[str, Any]) -> Sightings:
    """The item's own text; what cannot be read is forgotten."""
    try:
        raw = json.loads(item["seen"]["S"])
        found = {str(key): Sighting(int(pair[0]), int(pair[1])) for key, pair in raw.items()}
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return {}
    return {key: one for key, one in found.items() if 0 <= one.first <= one.last}
