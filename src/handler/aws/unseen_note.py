"""What housekeeping could not look at, left for the doctor, whose role may not look itself.

One item of the idempotency table, written by each run that could not look at something.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from handler.aws import error_codes
from handler.aws.errors import AwsError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEY = "unseen-references"
MOST = 20
"""Of the things that could not be looked at, with their causes and cures."""
LONGEST = 1000
"""Characters of one: EC2 adds kilobytes of encoded details to a denial."""
TRUE_FOR = timedelta(hours=2)
"""A run comes every hour: what is older was seen since, or housekeeping does not run."""


@dataclass(frozen=True, slots=True)
class UnseenNote:
    """The note.

    Args:
        client: makes the DynamoDB client, when it is needed.
        table: the idempotency table.
    """

    client: Callable[[], DynamoDBClient]
    table: str

    def leave(self, unseen: Sequence[str], now: datetime) -> AwsError | None:
        """Write down what could not be looked at."""
        told = {"count": len(unseen), "told": [one[:LONGEST] for one in unseen[:MOST]]}
        item = {
            "id": {"S": KEY},
            "at": {"N": str(int(now.timestamp()))},
            "unseen": {"S": json.dumps(told)},
            "expiration": {"N": str(int((now + TRUE_FOR).timestamp()))},
        }
        try:
            self.client().put_item(TableName=self.table, Item=item)
        except error_codes.SDK_ERRORS as error:
            return error_codes.read(error)
        return None

    def read(self, now: datetime) -> tuple[int, list[str]] | AwsError:
        """How many things could not be looked at lately, and the first of them, for people."""
        try:
            answer = self.client().get_item(
                TableName=self.table, Key={"id": {"S": KEY}}, ConsistentRead=True
            )
        except error_codes.SDK_ERRORS as error:
            return error_codes.read(error)
        item = answer.get("Item")
        try:
            if item is None or now - datetime.fromtimestamp(int(item["at"]["N"]), UTC) > TRUE_FOR:
                return 0, []
            told = json.loads(item["unseen"]["S"])
            return int(told["count"]), [str(one) for one in told["told"]]
        except (KeyError, ValueError, TypeError, OverflowError):
            return 0, []  # none of ours
