"""Reports that the backend has not acknowledged, in the idempotency table beside its own records."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from handler.aws.errors import AwsError, ErrorKind
from handler.aws.lists import ask
from handler.images.cleanup import Backlog
from handler.images.wire import as_wire, from_wire

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PREFIX = "cleanup-reports#"
"""Of the item's key; Powertools' keys begin with the name of what they guard."""
KEPT_SECONDS = 30 * 86400
"""After which DynamoDB may drop what nobody wanted to hear (attribute `expiration`, the table's TTL)."""
CHANGED = "ConditionalCheckFailedException"


@dataclass(frozen=True, slots=True)
class BacklogTable:
    """The port `Backlogs`: one item for each agent.

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

    def load(self) -> Backlog | AwsError:
        """GetItem, consistently: the run before may have written a moment ago."""
        given = {"TableName": self.table, "Key": self._key, "ConsistentRead": True}
        answer = ask(self.client().get_item, given)
        if isinstance(answer, AwsError):
            return answer
        item = answer.get("Item")
        return _read(item) if item else Backlog()

    def save(self, backlog: Backlog) -> Backlog | AwsError:
        """PutItem, or DeleteItem when nothing is left to keep, if nobody has changed it meanwhile."""
        condition = {
            "TableName": self.table,
            "ConditionExpression": "attribute_not_exists(#id) OR #revision = :seen",
            "ExpressionAttributeNames": {"#id": "id", "#revision": "revision"},
            "ExpressionAttributeValues": {":seen": {"N": str(backlog.revision)}},
        }
        if backlog.waiting or backlog.intended:
            after = replace(backlog, revision=backlog.revision + 1)
            item = self._item(after)
            answer = ask(self.client().put_item, {**condition, "Item": item})
        else:
            after, item = Backlog(), None
            answer = ask(self.client().delete_item, {**condition, "Key": self._key})
        if not isinstance(answer, AwsError):
            return after
        if answer.code != CHANGED:
            return answer
        # The SDK asks again when an answer is lost: then it was this very call that changed it.
        return after if self._holds(item) else replace(answer, kind=ErrorKind.IN_USE)

    def _holds(self, item: dict[str, Any] | None) -> bool:
        given = {"TableName": self.table, "Key": self._key, "ConsistentRead": True}
        answer = ask(self.client().get_item, given)
        if isinstance(answer, AwsError):
            return False
        found = answer.get("Item")
        if item is None or found is None:
            return item is None and found is None
        return bool(found["revision"] == item["revision"] and found["backlog"] == item["backlog"])

    @property
    def _key(self) -> dict[str, Any]:
        return {"id": {"S": PREFIX + self.agent_id}}

    def _item(self, backlog: Backlog) -> dict[str, Any]:
        body = {
            "waiting": [as_wire(report) for report in backlog.waiting],
            "intended": as_wire(backlog.intended) if backlog.intended else None,
            "busy_until": backlog.busy_until.timestamp() if backlog.busy_until else None,
        }
        return {
            **self._key,
            "revision": {"N": str(backlog.revision)},
            "backlog": {"S": json.dumps(body, separators=(",", ":"))},
            "expiration": {"N": str(int(self.now()) + KEPT_SECONDS)},
        }


def _read(item: dict[str, Any]) -> Backlog:
    body = json.loads(item["backlog"]["S"])
    busy = body["busy_until"]
    return Backlog(
        tuple(from_wire(raw) for raw in body["waiting"]),
        from_wire(body["intended"]) if body["intended"] else None,
        datetime.fromtimestamp(busy, UTC) if busy is not None else None,
        int(item["revision"]["N"]),
    )
