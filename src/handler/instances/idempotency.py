"""The idempotency table: what was reported, and proven, within the window. `reporter.py` goes by it.

The records are Powertools': its persistence layer makes each write with its condition, and
`grouped_writes` sends them together.

The unit is the acknowledged success report of one instance, whichever agent made it. A run claims
it, reports, and keeps the acknowledgement. A run that dies between acknowledgement and record costs
one repeated report: its claim ends with its time, and the next run reports again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
)

from handler.aws import error_codes
from handler.aws.errors import AwsError, ErrorKind
from handler.deadline import ACCOUNTING_AT_MOST
from handler.instances.grouped_writes import CONDITION, Refused, Write, write_together
from handler.instances.ports import Claim

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from handler.deadline import Deadline

REMEMBERED_LOCALLY = 20_000
"""Acknowledged reports that an execution environment knows without asking the table."""
REPORTS, PROOFS = "success-report", "lived-here"
"""Prefixes of the records' keys: fixed, so that aliases and versions of the function share them."""
DONE, UNDER_WAY = "COMPLETED", "INPROGRESS"
"""Powertools' words for a record's status."""
CLAIMANT = "claimant"
"""Beside Powertools' attributes: which run has claimed the report."""


class Acknowledged:
    """Reports and proofs that an execution environment knows to be in the table, until they expire."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def knows(self, key: str) -> bool:
        """Whether it is known to be in the window."""
        return self._until.get(key, 0.0) > time.time()

    def add(self, key: str, until: float) -> None:
        """Remember it until then; the oldest are forgotten, and asked for again."""
        self._until[key] = until
        if len(self._until) > REMEMBERED_LOCALLY:
            del self._until[next(iter(self._until))]


class IdempotencyTable:
    """The table as one run uses it: the port `Table`, and the memory of proofs. It raises nothing.

    Where DynamoDB cannot be used (denied, missing, silent, throttled to the end) it says so once, is
    not asked again in this run, and nothing stands in a report's way: it may then be made, and
    counted, twice. The other way round nothing would be reported as long as the table is down, and
    the backend and EC2 would drift apart: that is worse. One record's trouble is that record's.

    Args:
        client: DynamoDB.
        table: its name.
        window_seconds: how long an acknowledged report is not repeated.
        known: what the execution environment knows.
        deadline: claims end with the run, and what is busy is tried again within it.
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
        warn: Callable[[AwsError], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client, self._known, self._deadline = client, known, deadline
        self._window, self._warn, self._sleep = window_seconds, warn, sleep
        config = IdempotencyConfig(expires_after_seconds=window_seconds)
        # Powertools registers its user agent with each client that it is given, once for each run:
        # the header would grow until DynamoDB refuses it. These have nothing to register with.
        reads: Any = SimpleNamespace(get_item=client.get_item, update_item=client.update_item)
        self._proofs = DynamoDBPersistenceLayer(table, boto3_client=reads)
        self._proofs.configure(config, key_prefix=PROOFS)
        self._written = _Written()
        self._reports = DynamoDBPersistenceLayer(table, boto3_client=self._written)  # type: ignore[arg-type]
        self._reports.configure(config, key_prefix=REPORTS)
        self._claimant = {"S": uuid4().hex}
        self._down = False

    def claim(self, instance_ids: Sequence[str]) -> dict[str, Claim]:
        """Claim these success reports for this run, which Lambda ends by then at the latest."""
        known = {one for one in instance_ids if self._known.knows(f"{REPORTS}#{one}")}
        millis = int(max(self._deadline.to_report() + ACCOUNTING_AT_MOST, 0.0) * 1000)
        writes: dict[str, Write] = {}
        for one in instance_ids:
            if one in known:
                continue
            self._reports.save_inprogress(_subject(one), millis)
            self._written.request["Item"][CLAIMANT] = self._claimant
            writes[one] = ("Put", self._written.request)
        refused = self._write(writes)
        claims = {one: self._read(one, why) for one, why in refused.items()}
        return (
            dict.fromkeys(instance_ids, Claim.FREE) | dict.fromkeys(known, Claim.REPORTED) | claims
        )

    def acknowledged(self, instance_ids: Sequence[str]) -> None:
        """Keep that these reports were acknowledged."""
        writes: dict[str, Write] = {}
        for one in instance_ids:
            self._known.add(f"{REPORTS}#{one}", time.time() + self._window)
            self._reports.save_success(_subject(one), _subject(one))
            writes[one] = ("Update", self._written.request)
        self._write(writes)

    def release(self, instance_ids: Sequence[str]) -> None:
        """Give claims back whose reports did not get through: the next run makes them.

        Only this run's own: a call that Lambda froze may go out when another has claimed them.
        """
        writes: dict[str, Write] = {}
        for one in instance_ids:
            self._reports.delete_record(_subject(one), exception=Exception())
            condition = {
                "ConditionExpression": "#status = :under_way AND #claimant = :claimant",
                "ExpressionAttributeNames": {"#status": "status", "#claimant": CLAIMANT},
                "ExpressionAttributeValues": {
                    ":under_way": {"S": UNDER_WAY},
                    ":claimant": self._claimant,
                },
            }
            writes[one] = ("Delete", self._written.request | condition)
        self._write(writes)

    def remember(self, instance_id: str, ask: Callable[[], bool]) -> bool:
        """Ask whether an instance lived here, unless the answer was yes within the window.

        Nor is it asked where its report was acknowledged within the window: there is none to make.
        Raises what `ask` raises.
        """
        key, subject = f"{PROOFS}#{instance_id}", _subject(instance_id)
        if self._known.knows(key) or self._known.knows(f"{REPORTS}#{instance_id}"):
            return True
        if not self._is_proven(subject):
            if not ask():
                return False
            self._keep_proof(subject)
        self._known.add(key, time.time() + self._window)
        return True

    def _is_proven(self, subject: dict[str, str]) -> bool:
        if self._down:
            return False
        try:
            record = self._proofs.get_record(subject)
        except error_codes.SDK_ERRORS as error:
            self._give_up(error_codes.read(error))
            return False
        except Exception:  # noqa: BLE001 - there is none, or it cannot be read
            return False
        return record is not None and record.status == DONE

    def _keep_proof(self, subject: dict[str, str]) -> None:
        if self._down:
            return
        try:
            self._proofs.save_success(subject, subject)
        except error_codes.SDK_ERRORS as error:
            self._give_up(error_codes.read(error))

    def _read(self, instance_id: str, refused: Refused) -> Claim:
        """What stands in the way of a claim; a record that cannot be read does not."""
        if refused.code == "TransactionConflict":  # all the time: another run has it in hand
            return Claim.UNDER_WAY
        status = _value(refused.item, "status", "S")
        if status == UNDER_WAY and refused.item.get(CLAIMANT) == self._claimant:
            return Claim.FREE  # our own: its answer was lost, and the SDK made it again
        if refused.code == CONDITION and status == DONE:
            until = _value(refused.item, "expiration", "N")
            self._known.add(f"{REPORTS}#{instance_id}", float(until) if until.isdecimal() else 0.0)
            return Claim.REPORTED
        return Claim.UNDER_WAY if status == UNDER_WAY else Claim.FREE

    def _write(self, writes: dict[str, Write]) -> dict[str, Refused]:
        """Make these writes together; return those that were refused."""
        if self._down:
            return {}
        try:
            refused, trouble = write_together(
                self._client, writes, self._deadline.to_report, self._sleep
            )
        except Exception as error:  # noqa: BLE001 - an answer that nobody foresaw costs the table, no report
            name = type(error).__name__
            self._give_up(AwsError(name, "an answer that nobody foresaw", ErrorKind.FAULTY))
            return {}
        if trouble is not None:
            self._give_up(trouble)
        return refused

    def _give_up(self, cause: AwsError) -> None:
        if not self._down:
            self._down = True
            self._warn(cause)


class _Written:
    """A DynamoDB client that keeps the one request that Powertools makes, instead of sending it."""

    def __init__(self) -> None:
        self.request: dict[str, Any] = {}

    def put_item(self, **request: Any) -> None:  # noqa: ANN401 - boto3's parameters
        """Keep it."""
        self.request = request

    update_item = delete_item = put_item


def _subject(instance_id: str) -> dict[str, str]:
    return {"instance_id": instance_id}


def _value(item: Mapping[str, Any], name: str, kind: str) -> str:
    """An attribute's value; of an attribute that is missing, or of another type, none."""
    attribute = item.get(name)
    return str(attribute.get(kind, "")) if isinstance(attribute, dict) else ""
