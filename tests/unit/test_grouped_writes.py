"""Writes to DynamoDB (moto) go out together, each with its own condition and its own answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from handler.aws.errors import AwsError
from handler.instances.grouped_writes import MOST, TRIES, Refused, Write, write_together
from tests.support.dynamodb import idempotency_table

TABLE = "reports"


def put(key: str) -> Write:
    """Write an item that must not be there."""
    return "Put", {
        "TableName": TABLE,
        "Item": {"id": {"S": key}},
        "ConditionExpression": "attribute_not_exists(#id)",
        "ExpressionAttributeNames": {"#id": "id"},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def cancelled(*codes: str | None) -> ClientError:
    answer: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
        "CancellationReasons": [{"Code": code} if code else {} for code in codes],
    }
    return ClientError(answer, "TransactWriteItems")


def said(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "X")


class House:
    """One table, what is asked of it, and what it answers instead."""

    def __init__(self) -> None:
        self.client = idempotency_table(TABLE)
        self.asked: list[str] = []
        self.answers: Callable[[str], Exception | None] = lambda _: None
        self.slept: list[float] = []
        self.left = 60.0
        self.client.meta.events.register("before-call.dynamodb", self._note)

    def _note(self, model: Any, **_: Any) -> None:
        self.asked.append(model.name)
        if (error := self.answers(model.name)) is not None:
            raise error

    def script(self, *answers: Exception | None) -> None:
        """Answer so to the first calls."""
        waiting = list(answers)
        self.answers = lambda _: waiting.pop(0) if waiting else None

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.left -= seconds

    def write(self, writes: dict[str, Write]) -> tuple[dict[str, Refused], AwsError | None]:
        return write_together(self.client, writes, lambda: self.left, self.sleep)

    def put(self, *keys: str) -> tuple[dict[str, Refused], AwsError | None]:
        return self.write({key: put(key) for key in keys})

    def keys(self) -> set[str]:
        self.answers = lambda _: None
        return {one["id"]["S"] for one in self.client.scan(TableName=TABLE)["Items"]}


@pytest.fixture
def house() -> Iterator[House]:
    with mock_aws():
        yield House()


def names(count: int) -> list[str]:
    return [f"k{number}" for number in range(count)]


def test_a_write_by_itself_is_no_transaction(house: House) -> None:
    """In a transaction it would be billed as two."""
    key = {"id": {"S": "a"}}
    update = {
        "TableName": TABLE,
        "Key": key,
        "UpdateExpression": "SET n = :n",
        "ExpressionAttributeValues": {":n": {"N": "2"}},
    }
    assert house.put("a") == ({}, None)
    assert house.write({"a": ("Update", update)}) == ({}, None)
    assert house.client.get_item(TableName=TABLE, Key=key)["Item"]["n"] == {"N": "2"}
    assert house.write({"a": ("Delete", {"TableName": TABLE, "Key": key})}) == ({}, None)
    assert house.keys() == set()
    assert Counter(house.asked) == {
        "PutItem": 1, "UpdateItem": 1, "GetItem": 1, "DeleteItem": 1, "Scan": 1
    }  # fmt: skip


def test_many_go_out_together_and_no_more_than_dynamodb_takes(house: House) -> None:
    keys = names(2 * MOST + 5)
    assert house.put(*keys) == ({}, None)
    assert house.asked == ["TransactWriteItems"] * 3
    assert house.keys() == set(keys)


def test_nothing_asks_for_nothing(house: House) -> None:
    assert house.put() == ({}, None)
    assert house.asked == []


@pytest.mark.parametrize("count", [1, 12])
def test_each_write_has_its_own_condition(house: House, count: int) -> None:
    keys = names(count)
    house.client.put_item(TableName=TABLE, Item={"id": {"S": "k0"}, "old": {"S": "yes"}})
    refused, trouble = house.put(*keys)
    assert trouble is None
    assert set(refused) == {"k0"}
    assert refused["k0"].code == "ConditionalCheckFailed"
    assert refused["k0"].item["old"] == {"S": "yes"}
    assert house.keys() == set(keys)
    assert house.slept == [], "the others go out again at once"


@pytest.mark.parametrize(
    "code", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]
)
def test_what_is_busy_is_written_later_and_does_not_hold_up_the_others(
    house: House, code: str
) -> None:
    seen: list[set[str]] = []

    def look(_: str) -> Exception | None:
        return cancelled(code, "None", "None") if len(house.asked) == 1 else None

    def note(_: float) -> None:
        seen.append(house.keys())

    house.answers = look
    answer = write_together(house.client, {k: put(k) for k in names(3)}, lambda: 60, note)
    assert answer == ({}, None)
    assert seen == [{"k1", "k2"}], "the others were written before the pause"
    assert house.keys() == set(names(3))


@pytest.mark.parametrize("code", ["TransactionConflictException", "TransactionInProgressException"])
def test_one_write_alone_is_tried_again_too(house: House, code: str) -> None:
    house.script(said(code), said(code))
    assert house.put("a") == ({}, None)
    assert len(house.slept) == 2
    assert house.keys() == {"a"}


def test_a_transaction_that_does_not_say_whose_fault_it_was_is_made_again(house: House) -> None:
    house.script(said("TransactionCanceledException"), cancelled("None", None), cancelled("None"))
    assert house.put("a", "b") == ({}, None)
    assert house.keys() == {"a", "b"}


def test_what_is_busy_to_the_end_is_refused_and_the_others_are_written(house: House) -> None:
    always = "k1"

    def conflict(name: str) -> Exception | None:
        if len(house.asked) == 1:
            return cancelled("None", "TransactionConflict")
        return said("TransactionConflictException") if house.slept else None

    house.answers = conflict
    assert house.put("k0", always) == ({always: Refused("TransactionConflict")}, None)
    assert len(house.slept) == TRIES
    assert all(later <= 1 for later in house.slept)
    assert house.keys() == {"k0"}


def test_no_pause_goes_beyond_the_time(house: House) -> None:
    house.left = 0.3
    house.answers = lambda _: said("TransactionConflictException")
    assert house.put("a") == ({"a": Refused("TransactionConflict")}, None)
    assert house.left >= 0


def test_one_write_s_own_fault_is_its_own(house: House) -> None:
    house.script(cancelled("ValidationError", "None"))
    assert house.put("a", "b") == ({"a": Refused("ValidationError")}, None)
    assert house.keys() == {"b"}


DOWN = (
    (said("AccessDeniedException"), "AccessDeniedException"),
    (said("ResourceNotFoundException"), "ResourceNotFoundException"),
    (said("ThrottlingException"), "ThrottlingException"),
    (EndpointConnectionError(endpoint_url="https://dynamodb"), "EndpointConnectionError"),
)


@pytest.mark.parametrize("count", [1, 3])
def test_a_table_that_cannot_be_used_is_asked_once(house: House, count: int) -> None:
    for number, (error, code) in enumerate(DOWN, 1):
        house.script(error)
        refused, trouble = house.put(*names(count))
        assert (refused, trouble and trouble.code) == ({}, code)
        assert len(house.asked) == number


def test_what_was_refused_before_the_table_failed_is_still_known(house: House) -> None:
    house.script(cancelled("ConditionalCheckFailed", "None", "None"), said("InternalServerError"))
    refused, trouble = house.put(*names(3))
    assert set(refused) == {"k0"}
    assert trouble is not None
