"""Tries the idempotency table without leaving anything in it.

Each write is made under a condition that cannot hold. DynamoDB looks at the permission, the table
and its key before the condition: "condition not met" means that the write would have been taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handler.aws import error_codes
from handler.aws.errors import AwsError
from handler.doctor.ports import TableFault, TableTrouble

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TAKEN = "ConditionalCheckFailedException"
MISSING = frozenset({"ResourceNotFoundException"})
SCHEMA = frozenset({"ValidationException"})
KEY = {"id": {"S": "doctor"}}
"""Powertools' key; its own records' begin with a function's name or a prefix of ours."""
_NEVER: Mapping[str, Any] = {
    "ConditionExpression": "attribute_exists(#id) AND attribute_not_exists(#id)",
    "ExpressionAttributeNames": {"#id": "id"},
}


@dataclass(frozen=True, slots=True)
class TableProbe:
    """The port `TableExamination`.

    Args:
        dynamodb: makes the client, the first time it is needed.
        table: its name.
    """

    dynamodb: Callable[[], DynamoDBClient]
    table: str

    def examine(self) -> TableTrouble | None:
        """GetItem, PutItem, UpdateItem, DeleteItem: what Powertools' idempotency calls."""
        client = self.dynamodb()
        key = {"TableName": self.table, "Key": KEY}
        update = {
            "UpdateExpression": "SET #status = :status",
            "ExpressionAttributeNames": {"#id": "id", "#status": "status"},
            "ExpressionAttributeValues": {":status": {"S": "DOCTOR"}},
        }
        calls: tuple[tuple[str, Callable[..., Mapping[str, Any]], dict[str, Any]], ...] = (
            ("GetItem", client.get_item, key),
            ("PutItem", client.put_item, {"TableName": self.table, "Item": KEY, **_NEVER}),
            ("UpdateItem", client.update_item, {**key, **_NEVER, **update}),
            ("DeleteItem", client.delete_item, {**key, **_NEVER}),
        )
        for action, call, given in calls:
            try:
                call(**given)
            except error_codes.SDK_ERRORS as error:
                found = error_codes.read(error)
                if found.code != TAKEN:
                    return TableTrouble(_fault(found), action, found)
        return None


def _fault(error: AwsError) -> TableFault:
    if error.denied:
        return TableFault.DENIED
    if error.code in MISSING:
        return TableFault.MISSING
    return TableFault.SCHEMA if error.code in SCHEMA else TableFault.OTHER
