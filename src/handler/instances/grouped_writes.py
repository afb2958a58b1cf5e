"""Writes of several threads to DynamoDB, sent together: one request for up to a hundred items.

Powertools writes each record by itself, and through boto3 a request costs more processor time than
everything else that a report does. So what comes while one request is under way, or shortly after
it, makes up the next one (group commit): each write keeps its own condition and its own answer, and
one that is alone goes as it would without this. In a transaction each write is billed as two
(DynamoDB, "Capacity management for transactions").
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MOST = 100
"""Writes in one transaction at most (DynamoDB, TransactWriteItems)."""
KEY = "id"
"""The table's key (Powertools' default, and the template's)."""
PAUSE = 0.025
"""Seconds between the beginnings of two requests, for more to come together."""


@dataclass(frozen=True, slots=True)
class _Write:
    kind: str
    request: dict[str, Any]
    answer: SimpleQueue[Any] = field(default_factory=SimpleQueue)  # boto3's, or an exception

    @property
    def item(self) -> tuple[str, str]:
        """Which item it writes: the table's name and the item's id."""
        attributes = self.request["Item" if self.kind == "Put" else "Key"]
        return self.request["TableName"], attributes[KEY]["S"]


class GroupedWrites:
    """A boto3 DynamoDB client, but for `put_item` and `update_item`.

    Args:
        client: makes the requests; everything else is handed to it.
    """

    def __init__(self, client: DynamoDBClient) -> None:
        self._client = client
        self._waiting: SimpleQueue[_Write] = SimpleQueue()
        self._starting = Lock()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the client has
        return getattr(self._client, name)

    def put_item(self, **request: Any) -> Any:  # noqa: ANN401 - boto3's parameters and answer
        """PutItem. Raises what the client raises; ConditionalCheckFailedException among it."""
        return self._write(_Write("Put", request))

    def update_item(self, **request: Any) -> Any:  # noqa: ANN401 - boto3's parameters and answer
        """UpdateItem. Raises what the client raises."""
        return self._write(_Write("Update", request))

    def _write(self, write: _Write) -> Any:  # noqa: ANN401 - boto3's answer
        self._waiting.put(write)
        with self._starting:
            _ = self._sender
        answer = write.answer.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    @cached_property
    def _sender(self) -> Thread:
        """Sends what waits, for as long as the execution environment lives."""
        sender = Thread(target=self._send_for_ever, name="grouped-writes", daemon=True)
        sender.start()
        return sender

    def _send_for_ever(self) -> None:
        following = 0.0
        held: list[_Write] = []
        while True:
            writes = held or [self._waiting.get()]
            time.sleep(max(following - time.monotonic(), 0))
            following = time.monotonic() + PAUSE
            writes += [self._waiting.get_nowait() for _ in range(self._waiting.qsize())]
            writes, held = _together(writes)
            try:
                self._send(writes)
            except BaseException as error:  # noqa: BLE001 - nobody may wait for ever
                for write in writes:
                    write.answer.put(error)

    def _send(self, writes: Sequence[_Write]) -> None:
        """Answer every one of these."""
        if len(writes) == 1:
            self._alone(writes[0])
            return
        try:
            self._client.transact_write_items(
                TransactItems=[{write.kind: write.request} for write in writes]  # type: ignore[misc]
            )
        except ClientError as error:
            self._refused(writes, error)
        else:
            for write in writes:
                write.answer.put({})

    def _alone(self, write: _Write) -> None:
        call = self._client.put_item if write.kind == "Put" else self._client.update_item
        try:
            write.answer.put(call(**write.request))
        except BaseException as error:  # noqa: BLE001 - raised by the thread that waits for it
            write.answer.put(error)

    def _refused(self, writes: Sequence[_Write], error: ClientError) -> None:
        """Nothing was written. Where the reasons are told, only those at fault are refused."""
        reasons: Sequence[dict[str, Any]] | None = error.response.get("CancellationReasons")  # type: ignore[assignment]
        if reasons is None:
            for write in writes:
                write.answer.put(error)
            return
        blameless = []
        for write, reason in zip(writes, reasons, strict=True):
            code = reason.get("Code")
            if code == "None":
                blameless.append(write)
            elif code == "ConditionalCheckFailed":
                write.answer.put(_condition_failed(reason))
            else:  # throttled, or met another transaction: the client knows how to try again
                self._alone(write)
        if blameless:
            self._send(blameless)


def _together(writes: Sequence[_Write]) -> tuple[list[_Write], list[_Write]]:
    """What goes into one transaction, and what is held back: no item may be in it twice."""
    chosen: dict[tuple[str, str], _Write] = {}
    held = []
    for write in writes:
        if len(chosen) == MOST or write.item in chosen:
            held.append(write)
        else:
            chosen[write.item] = write
    return [*chosen.values()], held


def _condition_failed(reason: dict[str, Any]) -> ClientError:
    """As PutItem would have said it."""
    answer: Any = {
        "Error": {
            "Code": "ConditionalCheckFailedException",
            "Message": reason.get("Message", "The conditional request failed"),
        }
    }
    if "Item" in reason:
        answer["Item"] = reason["Item"]
    return ClientError(answer, "PutItem")
