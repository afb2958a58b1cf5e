"""Writes to DynamoDB that go out together: each with its own condition, and its own answer.

Through boto3 a request costs more processor time than all else that a report does, so up to a
hundred writes make one transaction. It is carried out whole or not at all; its reasons tell which
writes are at fault, and the others go out again without them. A write that met another transaction
is not repeated by botocore (DynamoDB, "TransactWriteItems", "Error handling"); it is here. In a
transaction each write is billed as two (DynamoDB, "Capacity management for transactions").
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from handler.aws import error_codes
from handler.aws.errors import AwsError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MOST = 100
"""Writes in one transaction at most (DynamoDB, TransactWriteItems)."""
CONDITION = "ConditionalCheckFailed"
BUSY = frozenset(
    {
        "ProvisionedThroughputExceeded",
        "ThrottlingError",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
"""Codes of one write that may be carried out a moment later (DynamoDB, CancellationReason)."""
TRIES = 8
"""How often what is busy is written again: some three seconds, with the pauses between."""

Write = tuple[str, dict[str, Any]]
"""`Put`, `Update` or `Delete`, and boto3's parameters of the call of that name."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why one write was not made, as DynamoDB's code says, and the item as it is, where it is told."""

    code: str
    item: Mapping[str, Any] = field(default_factory=dict)


def write_together(
    client: DynamoDBClient,
    writes: Mapping[str, Write],
    left: Callable[[], float],
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[dict[str, Refused], AwsError | None]:
    """Make these writes, each of another item, within `left` seconds.

    Returns those that were refused, by their names; and what ails the table, if it could not be
    used: then what is not among the refused may or may not have been written.
    """
    refused: dict[str, Refused] = {}
    waiting, busy, tries = list(writes.items()), list[tuple[str, Write]](), 0
    while waiting or busy:
        if not waiting:
            pause = min(0.05 * 2**tries, 1.0) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
            if tries == TRIES or left() < pause:
                break
            sleep(pause)
            tries += 1
            waiting, busy = busy, []
        group, waiting = waiting[:MOST], waiting[MOST:]
        reasons = _send(client, [write for _, write in group])
        if isinstance(reasons, AwsError):
            return refused, reasons
        for (name, write), reason in zip(group, reasons, strict=True) if reasons else ():
            code = reason.get("Code") or "None"
            if code in BUSY:
                busy.append((name, write))
            elif code == "None":
                waiting.append((name, write))
            else:
                refused[name] = Refused(code, reason.get("Item") or {})
    return refused | {name: Refused("TransactionConflict") for name, _ in busy}, None


def _send(
    client: DynamoDBClient, writes: Sequence[Write]
) -> Sequence[Mapping[str, Any]] | AwsError:
    """Nothing where all were written; else the reasons, in the writes' order, at least one with a code."""
    try:
        if len(writes) == 1:
            _alone(client, *writes[0])
        else:
            together: Any = [{kind: request} for kind, request in writes]
            client.transact_write_items(TransactItems=together)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code == "ConditionalCheckFailedException":
            return [{"Code": CONDITION, "Item": error.response.get("Item")}]
        if code == "TransactionCanceledException":
            reasons: Any = error.response.get("CancellationReasons") or ()
            told = any(one.get("Code") not in {None, "None"} for one in reasons)
            if told and len(reasons) == len(writes):
                return list(reasons)
            code = "TransactionConflict"  # it does not say whose fault it is
        return [{"Code": code}] * len(writes) if code in BUSY else error_codes.read(error)
    except error_codes.SDK_ERRORS as error:
        return error_codes.read(error)
    return ()


def _alone(client: DynamoDBClient, kind: str, request: dict[str, Any]) -> None:
    """A single write is billed once, and costs less time."""
    if kind == "Put":
        client.put_item(**request)
    elif kind == "Update":
        client.update_item(**request)
    else:
        client.delete_item(**request)
