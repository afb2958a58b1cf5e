"""The idempotency table: what was reported, and proven, within the window.

The records are Powertools': its persistence layer makes each write, with its condition. Here they are
only sent together, since through boto3 a request costs more processor time than all else that a
report does: up to a hundred writes in one transaction, each under its own condition.

The unit is the acknowledged success report of one instance, whichever agent made it. A run claims
it, reports, and keeps the acknowledgement. A run that dies between acknowledgement and record costs
one repeated report: its claim ends with its time, and the next run reports again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
)
from botocore.exceptions import ClientError

from handler.aws import error_codes
from handler.deadline import LateError, in_time
from handler.instances.ports import Claim

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from handler.deadline import Deadline

TOGETHER = 100
"""Writes in one transaction at most (DynamoDB, TransactWriteItems)."""
REMEMBERED_LOCALLY = 20_000
"""Acknowledged reports that an execution environment knows without asking the table."""
AGAIN = frozenset(
    {"TransactionConflict", "TransactionConflictException", "TransactionInProgressException",
     "ThrottlingError", "ProvisionedThroughputExceeded", "InternalServerError"}
) | error_codes.THROTTLES  # fmt: skip
"""Codes of one item's, or of the moment's: worth another try (DynamoDB, TransactWriteItems).
botocore does not try conflicts again."""
SPARE = 1.0
"""Seconds of the time to account that the last acknowledgements may take."""
TRIES = 8
"""How often a group is tried: half a second and more for each that is in the way."""
REPORTS, PROOFS = "success-report", "lived-here"
"""Prefixes of the records' keys: fixed, so that aliases and versions of the function share them."""


class Acknowledged:
    """Reports and proofs that an execution environment knows to be in the table, until they expire."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def knows(self, key: str) -> bool:
        """Whether it is known to be in the window."""
        return self._until.get(key, 0.0) > time.time()

    def add(self, key: str, until: float) -> None:
        """Remember it; the oldest are forgotten, and asked for again."""
        self._until[key] = until
        if len(self._until) > REMEMBERED_LOCALLY:
            del self._until[next(iter(self._until))]


class IdempotencyTable:
    """The table as one run uses it.

    Args:
        client: DynamoDB.
        table: its name.
        window_seconds: how long an acknowledged report is not repeated.
        known: what the execution environment knows.
        deadline: claims end with the run, and conflicts are tried again within it.
        warn: told once when the table cannot be used.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        *,
        table: str,
        window_seconds: int,
        known: Acknowledged,
        deadline: Deadline,
        warn: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client, self._known, self._deadline = client, known, deadline
        self._window, self._warn, self._sleep = window_seconds, warn, sleep
        self._notes = _Notes(client)
        config = IdempotencyConfig(expires_after_seconds=window_seconds)
        self._layers = {}
        for prefix in (REPORTS, PROOFS):
            layer = DynamoDBPersistenceLayer(table, boto3_client=self._notes)  # type: ignore[arg-type]
            layer.configure(config, key_prefix=prefix)
            self._layers[prefix] = layer
        self._down = False

    def claim(self, instance_ids: Sequence[str]) -> dict[str, Claim]:
        """Claim these success reports for this run.

        While DynamoDB cannot be used, each is free: a report may then be made, and counted, twice.
        The other way round, nothing would be reported as long as the table is down, and the backend
        and EC2 would drift apart: that is worse.
        """
        claims: dict[str, Claim] = {}
        writes: dict[str, dict[str, Any]] = {}
        millis = max(int(self._deadline.to_report() * 1000), 1)
        for one in instance_ids:
            if self._known.knows(f"{REPORTS}#{one}"):
                claims[one] = Claim.REPORTED
            else:
                claims[one] = Claim.FREE
                self._layers[REPORTS].save_inprogress(_subject(one), millis)
                writes[one] = {"Put": self._notes.taken()}
        for one, record in self._write(writes).items():
            claims[one] = self._read(one, record)
        return claims

    def acknowledged(self, instance_ids: Sequence[str]) -> None:
        """Keep that these reports were acknowledged."""
        until = time.time() + self._window
        for one in instance_ids:
            self._known.add(f"{REPORTS}#{one}", until)
        self._write({one: self._success(REPORTS, one) for one in instance_ids})

    def release(self, instance_ids: Sequence[str]) -> None:
        """Give claims back whose reports did not get through: the next run reports them."""
        writes = {}
        for one in instance_ids:
            self._layers[REPORTS].delete_record(_subject(one), exception=Exception())
            writes[one] = {"Delete": self._notes.taken()}
        self._write(writes)

    def remember(self, instance_id: str, ask: Callable[[], bool]) -> bool:
        """Ask whether an instance lived here, unless the answer was yes within the window."""
        key = f"{PROOFS}#{instance_id}"
        if self._known.knows(key):
            return True
        millis = max(int(self._deadline.to_report() * 1000), 1)
        self._layers[PROOFS].save_inprogress(_subject(instance_id), millis)
        found = self._write({instance_id: {"Put": self._notes.taken()}}).get(instance_id, {})
        if found.get("status", {}).get("S") != "COMPLETED":
            if not ask():
                self._layers[PROOFS].delete_record(_subject(instance_id), exception=Exception())
                self._write({instance_id: {"Delete": self._notes.taken()}})
                return False
            self._write({instance_id: self._success(PROOFS, instance_id)})
        self._known.add(key, time.time() + self._window)
        return True

    def _success(self, prefix: str, instance_id: str) -> dict[str, Any]:
        self._layers[prefix].save_success(_subject(instance_id), _subject(instance_id))
        return {"Update": self._notes.taken()}

    def _read(self, instance_id: str, record: dict[str, Any]) -> Claim:
        """What the record says that is in the way; one that cannot be read is in nobody's way."""
        status = record.get("status", {}).get("S")
        if status == "COMPLETED":
            until = record.get("expiration", {}).get("N", "0")
            if until.isdecimal():
                self._known.add(f"{REPORTS}#{instance_id}", float(until))
            return Claim.REPORTED
        return Claim.UNDER_WAY if status == "INPROGRESS" else Claim.FREE

    def _write(self, writes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Make these writes, a hundred together; return the records that stand in the way of some."""
        in_the_way: dict[str, dict[str, Any]] = {}
        waiting = list(writes.items())
        while waiting and not self._down:
            group, waiting = waiting[:TOGETHER], waiting[TOGETHER:]
            in_the_way |= self._write_group(group)
        return in_the_way

    def _write_group(
        self, group: Sequence[tuple[str, dict[str, Any]]]
    ) -> dict[str, dict[str, Any]]:
        in_the_way: dict[str, dict[str, Any]] = {}
        for tries in range(TRIES):
            try:
                self._send([write for _, write in group])
            except ClientError as error:
                reasons = error.response.get("CancellationReasons")
                code = error.response.get("Error", {}).get("Code", "")
                if not reasons and code not in AGAIN:
                    return in_the_way | self._give_up(error)
                group, found, fault = _sort(group, reasons)
                in_the_way |= found
                if fault is not None:
                    return in_the_way | self._give_up(error)
                if not group:
                    return in_the_way
            except (LateError, *error_codes.SDK_ERRORS) as error:
                return in_the_way | self._give_up(error)
            else:
                return in_the_way
            pause = 0.05 * 2**tries * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
            if reasons and not any(one.get("Code") in AGAIN for one in reasons):
                continue  # what was in the way is out of the group: nothing to wait for
            if self._deadline.to_report() < pause:
                break
            self._sleep(pause)
        return in_the_way  # the writes that met others all the time are left: a report may be made twice

    def _send(self, writes: list[dict[str, Any]]) -> None:
        """One transaction; a silent table must not take the run beyond its time."""
        in_time(
            lambda: self._client.transact_write_items(TransactItems=writes),  # type: ignore[arg-type]
            lambda: self._deadline.to_report() + SPARE,
        )

    def _give_up(self, error: Exception) -> dict[str, dict[str, Any]]:
        """Ask a table that does not work once a run, not once a report."""
        self._down = True
        self._warn(str(error))
        return {}


class _Notes:
    """A DynamoDB client that notes the one write that Powertools' layer makes, instead of making it."""

    def __init__(self, client: DynamoDBClient) -> None:
        self.meta = client.meta  # Powertools registers its user agent
        self._noted: dict[str, Any] = {}

    def put_item(self, **request: Any) -> None:  # noqa: ANN401 - boto3's parameters
        """Note a conditional Put."""
        self._noted = request

    def update_item(self, **request: Any) -> None:  # noqa: ANN401 - boto3's parameters
        """Note an Update."""
        self._noted = request

    def delete_item(self, **request: Any) -> None:  # noqa: ANN401 - boto3's parameters
        """Note a Delete."""
        self._noted = request

    def taken(self) -> dict[str, Any]:
        """What was noted last."""
        return self._noted


def _subject(instance_id: str) -> dict[str, str]:
    return {"instance_id": instance_id}


def _sort(
    group: Sequence[tuple[str, dict[str, Any]]], reasons: Sequence[Mapping[str, Any]] | None
) -> tuple[list[tuple[str, dict[str, Any]]], dict[str, dict[str, Any]], str | None]:
    """A refused transaction: what is to be tried again, what is in the way, and what is beyond help."""
    if not reasons:
        return list(group), {}, None
    again, in_the_way = [], {}
    for (one, write), reason in zip(group, reasons, strict=False):
        code = reason.get("Code")
        if code == "ConditionalCheckFailed":
            in_the_way[one] = reason.get("Item") or {}
        elif code in {None, "None"} or code in AGAIN:
            again.append((one, write))
        else:
            return [], in_the_way, code
    return again, in_the_way, None
