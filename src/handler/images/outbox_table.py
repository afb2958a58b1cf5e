"""What one agent's runs leave for the next, as one item of the idempotency table."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from handler.aws import error_codes
from handler.aws.errors import AwsError, ErrorKind
from handler.images.cleanup_report import (
    CleanupReport,
    Intention,
    as_body,
    from_body,
    intention_as_json,
    intention_from_json,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PREFIX = "cleanup-reports#"
"""Of the item's key; Powertools' keys begin with the name of what they guard."""
KEPT_SECONDS = 30 * 86400
"""After which DynamoDB may drop what nobody wanted to hear (attribute `expiration`, the table's TTL)."""
LARGEST = 390_000
"""Bytes of the contents: DynamoDB takes items of 400 KB, names and values together
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html)."""
CHANGED = "ConditionalCheckFailedException"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What EC2 would not delete: how often it was asked in a row, and when to ask again (UTC)."""

    times: int
    again: datetime


@dataclass(frozen=True, slots=True)
class Contents:
    """What is kept.

    Attributes:
        waiting: reports that the backend has not acknowledged, the oldest first.
        intention: what a run set out to delete and has not accounted for.
        busy_until: until when (UTC) that run may still be at it.
        refusals: by id.
        revision: the item's attribute as it was found, which counts the changes, so that two runs cannot
            overwrite each other's; None where there is none.
        unreadable: the item as it was found, where it is none of ours.
    """

    waiting: tuple[CleanupReport, ...] = ()
    intention: Intention | None = None
    busy_until: datetime | None = None
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    revision: Mapping[str, Any] | None = None
    unreadable: str | None = None

    @property
    def text(self) -> str:
        """As it is stored."""
        body = {
            "waiting": [as_body(report) for report in self.waiting],
            "intention": intention_as_json(self.intention) if self.intention else None,
            "busy_until": self.busy_until.timestamp() if self.busy_until else None,
            "refusals": {
                key: [one.times, int(one.again.timestamp())] for key, one in self.refusals.items()
            },
        }
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False)

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.text.encode())

    def busy(self, now: datetime) -> bool:
        """Whether the run that wrote it may still be at it: deleting, or delivering its report."""
        return self.busy_until is not None and self.busy_until > now

    def at_work(self, now: datetime) -> bool:
        """Whether the run whose intention this is may still be deleting."""
        return self.intention is not None and self.busy(now)


@dataclass(frozen=True, slots=True)
class OutboxTable:
    """The item of one agent.

    Args:
        client: makes the DynamoDB client, the first time it is needed.
        table: the idempotency table.
        agent_id: whose reports they are.
        now: seconds since the epoch.
    """

    client: Callable[[], DynamoDBClient]
    table: str
    agent_id: str
    now: Callable[[], float] = time.time

    def load(self) -> Contents | AwsError:
        """GetItem, consistently: the run before may have written a moment ago."""
        answer = self._asked(self.client().get_item, Key=self._key, ConsistentRead=True)
        if isinstance(answer, AwsError):
            return answer
        item = answer.get("Item")
        return _read(item) if item else Contents()

    def save(self, contents: Contents) -> Contents | AwsError:
        """PutItem, or DeleteItem when nothing is left to keep, if nobody has changed it meanwhile.

        IN_USE: somebody has.
        """
        condition: dict[str, Any] = {
            "ConditionExpression": "attribute_not_exists(#revision)",
            "ExpressionAttributeNames": {"#revision": "revision"},
        }
        if contents.revision is not None:
            condition["ConditionExpression"] += " OR #revision = :seen"
            condition["ExpressionAttributeValues"] = {":seen": contents.revision}
        item: dict[str, Any] | None = None
        if contents.waiting or contents.intention or contents.refusals:
            after = replace(contents, revision=_next(contents.revision), unreadable=None)
            item = self._item(after)
            answer = self._asked(self.client().put_item, **condition, Item=item)
        else:
            after = Contents()
            answer = self._asked(self.client().delete_item, **condition, Key=self._key)
        if not isinstance(answer, AwsError):
            return after
        if answer.code != CHANGED:
            return answer
        # The SDK asks again when an answer is lost: then it was this very call that changed it.
        return after if self._holds(item) else replace(answer, kind=ErrorKind.IN_USE)

    def _holds(self, item: Mapping[str, Any] | None) -> bool:
        answer = self._asked(self.client().get_item, Key=self._key, ConsistentRead=True)
        if isinstance(answer, AwsError):
            return False
        found = answer.get("Item")
        if item is None or found is None:
            return item is None and found is None
        return all(found.get(name) == item[name] for name in ("revision", "outbox"))

    def _asked(self, call: Callable[..., Any], **given: object) -> Mapping[str, Any] | AwsError:
        try:
            answer: Mapping[str, Any] = call(TableName=self.table, **given)
        except error_codes.SDK_ERRORS as error:
            return error_codes.read(error)
        return answer

    @property
    def _key(self) -> dict[str, Any]:
        return {"id": {"S": PREFIX + self.agent_id}}

    def _item(self, contents: Contents) -> dict[str, Any]:
        return {
            **self._key,
            "revision": contents.revision,
            "outbox": {"S": contents.text},
            "expiration": {"N": str(int(self.now()) + KEPT_SECONDS)},
        }


def _read(item: Mapping[str, Any]) -> Contents:
    """Also of an item that is none of ours: it must not stop every run to come."""
    revision = item.get("revision")
    try:
        body = json.loads(item["outbox"]["S"]) if "outbox" in item else _earlier(item)
        busy = body["busy_until"]
        found = Contents(
            tuple(from_body(raw) for raw in body["waiting"]),
            intention_from_json(body["intention"]) if body["intention"] else None,
            datetime.fromtimestamp(busy, UTC) if busy is not None else None,
            {
                key: Refusal(int(times), datetime.fromtimestamp(again, UTC))
                for key, (times, again) in body["refusals"].items()
            },
            revision,
        )
        _ = found.size  # it must be possible to write it, too
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return Contents(revision=revision, unreadable=str(item))
    return found


def _next(revision: Mapping[str, Any] | None) -> dict[str, str]:
    try:
        return {"N": str(int(revision["N"]) + 1)} if revision else {"N": "1"}
    except (KeyError, ValueError):
        return {"N": "1"}


def _earlier(item: Mapping[str, Any]) -> dict[str, Any]:
    """The same of an item of an earlier version: attribute `backlog`, its intention in a report's shape."""
    body = json.loads(item["backlog"]["S"])
    intended = body["intended"]
    intention = intended and {
        "at": intended["timestamp"],
        "images_cutoff": intended["amis"]["cutoff_date"],
        "snapshots_cutoff": intended["snapshots"]["cutoff_date"],
        "images": intended["amis"]["deleted_amis"],
        "image_snapshots": intended["amis"]["deleted_snapshots"],
        "snapshots": intended["snapshots"]["deleted"],
    }
    kept = {"waiting": body["waiting"], "busy_until": body["busy_until"]}
    return {**kept, "intention": intention, "refusals": {}}
