"""Writes of several threads to DynamoDB (moto) go out together, each with its own answer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from handler.instances.grouped_writes import MOST, GroupedWrites
from moto import mock_aws

from tests.support.dynamodb import idempotency_table

TABLE = "reports"


class House:
    """One table, and what is asked of it; the first request waits until many others do."""

    def __init__(self) -> None:
        self.client = idempotency_table(TABLE)
        self.asked: Counter[str] = Counter()
        self.fail: Callable[[str], Exception | None] = lambda _: None
        self.grouped = GroupedWrites(self.client)
        self.go, self._lock = Event(), Lock()
        self.client.meta.events.register("before-call.dynamodb", self._note)

    def _note(self, model: Any, **_: Any) -> None:
        with self._lock:
            first = not self.asked
            self.asked[model.name] += 1
        if first:
            assert self.go.wait(10)
        if (error := self.fail(model.name)) is not None:
            raise error

    def put(self, key: str) -> Exception | None:
        """Write an item that must not be there; the error, if there is one."""
        try:
            self.grouped.put_item(
                TableName=TABLE,
                Item={"id": {"S": key}},
                ConditionExpression="attribute_not_exists(#id)",
                ExpressionAttributeNames={"#id": "id"},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except Exception as error:  # noqa: BLE001 - looked at
            return error
        return None

    def put_at_once(self, keys: list[str]) -> dict[str, Exception | None]:
        """Write them by a thread each, all of them waiting while the first is under way."""
        with ThreadPoolExecutor(len(keys)) as pool:
            answers = {keys[0]: pool.submit(self.put, keys[0])}
            until(lambda: bool(self.asked))
            answers |= {key: pool.submit(self.put, key) for key in keys[1:]}
            until(lambda: self.grouped._waiting.qsize() == len(keys) - 1)
            self.go.set()
            return {key: answer.result(20) for key, answer in answers.items()}

    def keys(self) -> set[str]:
        return {one["id"]["S"] for one in self.client.scan(TableName=TABLE)["Items"]}


@pytest.fixture
def house() -> Iterator[House]:
    with mock_aws():
        yield House()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def names(count: int) -> list[str]:
    return [f"k{number}" for number in range(count)]


def test_a_write_by_itself_is_what_it_is_without(house: House) -> None:
    house.go.set()
    assert house.put("a") is None
    house.grouped.update_item(
        TableName=TABLE,
        Key={"id": {"S": "a"}},
        UpdateExpression="SET n = :n",
        ExpressionAttributeValues={":n": {"N": "2"}},
    )
    assert house.asked == {"PutItem": 1, "UpdateItem": 1}
    assert house.grouped.get_item(TableName=TABLE, Key={"id": {"S": "a"}})["Item"]["n"] == {
        "N": "2"
    }


def test_what_waits_goes_out_together(house: House) -> None:
    keys = names(60)
    assert set(house.put_at_once(keys).values()) == {None}
    assert house.asked == {"PutItem": 1, "TransactWriteItems": 1}
    assert house.keys() == set(keys)


def test_no_more_than_dynamodb_takes(house: House) -> None:
    keys = names(MOST + 5)
    assert set(house.put_at_once(keys).values()) == {None}
    assert house.asked == {"PutItem": 1, "TransactWriteItems": 2}
    assert house.keys() == set(keys)


def test_each_write_has_its_own_condition(house: House) -> None:
    keys = names(12)
    house.go.set()
    for key in keys[3:5]:
        house.client.put_item(TableName=TABLE, Item={"id": {"S": key}, "old": {"S": key}})
    house.asked.clear()
    house.go.clear()
    answers = house.put_at_once(keys)
    assert house.keys() == set(keys)
    refused = {key: error for key, error in answers.items() if error is not None}
    assert set(refused) == set(keys[3:5])
    for key, error in refused.items():
        assert isinstance(error, ClientError)
        assert error.response["Error"]["Code"] == "ConditionalCheckFailedException"
        assert error.response["Item"]["old"] == {"S": key}  # type: ignore[typeddict-item]


def test_two_writes_of_one_item_go_one_after_the_other(house: House) -> None:
    """Two runs in one environment may have the same instance in hand."""
    house.put_at_once(names(3))
    again = [*names(3), "k7", "k7", "k8", "k8", "k8"]
    house.asked.clear()
    house.go.clear()
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(house.put, "k6")
        until(lambda: bool(house.asked))
        answers = [pool.submit(house.put, key) for key in again]
        until(lambda: house.grouped._waiting.qsize() == len(again))
        house.go.set()
        errors = [first.result(20), *(answer.result(20) for answer in answers)]
    assert [error is None for error in errors].count(True) == 3
    for error in errors:
        assert error is None or "ConditionalCheckFailedException" in str(error)
    assert house.keys() == {*names(3), "k6", "k7", "k8"}


def test_what_nobody_foresaw_is_raised_and_the_next_write_goes_on(house: House) -> None:
    house.fail = lambda name: KeyError("odd") if name == "TransactWriteItems" else None
    answers = house.put_at_once(names(3))
    assert [str(error) for error in answers.values() if error] == ["'odd'", "'odd'"]
    assert house.put("later") is None


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "X"),
        EndpointConnectionError(endpoint_url="https://dynamodb"),
    ],
    ids=["refused", "no answer"],
)
def test_trouble_is_everybodys(house: House, error: Exception) -> None:
    house.fail = lambda name: error if name == "TransactWriteItems" else None
    answers = house.put_at_once(names(9))
    assert [answer for answer in answers.values() if answer is None] == [None]
    assert sum(answer is error for answer in answers.values()) == 8
    assert house.asked == {"PutItem": 1, "TransactWriteItems": 1}


def test_a_write_that_met_another_transaction_is_made_by_itself(house: House) -> None:
    def conflict(name: str) -> Exception | None:
        if name != "TransactWriteItems" or house.asked[name] > 1:
            return None
        reasons = [{"Code": "TransactionConflict"}, *({"Code": "None"} for _ in range(7))]
        answer: Any = {
            "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
            "CancellationReasons": reasons,
        }
        return ClientError(answer, name)

    house.fail = conflict
    keys = names(9)
    assert set(house.put_at_once(keys).values()) == {None}
    assert house.asked == {"PutItem": 2, "TransactWriteItems": 2}
    assert house.keys() == set(keys)
