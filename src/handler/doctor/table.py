"""Examines the idempotency table without leaving anything in it.

Each write is made under a condition that cannot hold. DynamoDB looks at the permission, the table
and its key before the condition: "condition not met" means that the write would have been taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from handler.aws import error_codes
from handler.aws.errors import AwsError
from handler.doctor.advice import Advice, aws_failed
from handler.doctor.dependencies import Dependencies, examines
from handler.doctor.findings import Check, Finding, failed, ok

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE = Check("idempotency_table", "Can acknowledged reports be remembered?")
TAKEN = "ConditionalCheckFailedException"
KEY = {"id": {"S": "doctor"}}
"""Powertools' key; its own records' begin with a function's name or a prefix of ours."""
_NEVER: Mapping[str, Any] = {
    "ConditionExpression": "attribute_exists(#id) AND attribute_not_exists(#id)",
    "ExpressionAttributeNames": {"#id": "id"},
}
_BY_CODE = {
    "ResourceNotFoundException": Advice(
        "there is no such table in this account and region",
        "set IDEMPOTENCY_TABLE to the stack's table (stack output IdempotencyTable), in this region; if "
        "it was deleted, revert the stack's drift",
    ),
    "ValidationException": Advice(
        "the table's key is not a single string attribute named id, as Powertools' is",
        "make the table as the template does; it is a cache of acknowledged reports, and may begin "
        "empty",
    ),
}


@examines(TABLE)
def examine(it: Dependencies) -> list[Finding]:
    """Without the table runs go on, and may report twice."""
    table = it.settings.idempotency_table
    refused = it.look(lambda: _first_refused(it.client("dynamodb"), table))
    if refused is None:
        return [ok(TABLE, f"{table} takes all that is asked of it")]
    if isinstance(refused, AwsError):
        return [aws_failed(TABLE, refused, "dynamodb:GetItem", f"{table}: ")]
    action, error = refused
    if error.code in _BY_CODE:
        return [failed(TABLE, f"{table}, {action}: {error}", *_BY_CODE[error.code])]
    permission = f"dynamodb:{action} on the table"
    return [aws_failed(TABLE, error, permission, f"{table}, {action}: ")]


def _first_refused(client: DynamoDBClient, table: str) -> tuple[str, AwsError] | None:
    """GetItem, PutItem, UpdateItem, DeleteItem: what Powertools' idempotency calls."""
    key = {"TableName": table, "Key": KEY}
    update = {
        "UpdateExpression": "SET #status = :status",
        "ExpressionAttributeNames": {"#id": "id", "#status": "status"},
        "ExpressionAttributeValues": {":status": {"S": "DOCTOR"}},
    }
    calls: tuple[tuple[str, Callable[..., Mapping[str, Any]], dict[str, Any]], ...] = (
        ("GetItem", client.get_item, key),
        ("PutItem", client.put_item, {"TableName": table, "Item": KEY, **_NEVER}),
        ("UpdateItem", client.update_item, {**key, **_NEVER, **update}),
        ("DeleteItem", client.delete_item, {**key, **_NEVER}),
    )
    for action, call, given in calls:
        try:
            call(**given)
        except error_codes.SDK_ERRORS as error:
            found = error_codes.read(error)
            if found.code != TAKEN:
                return action, found
    return None
