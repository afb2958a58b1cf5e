"""DynamoDB's transactions in each other's way, and its batches."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tools.ec2_emulator import Emulator
from tools.ec2_emulator.dynamodb import Table
from tools.ec2_emulator.tests.sides import Clients, Side, code_of, refusal


@pytest.fixture
def table(emulator: Emulator) -> Table:
    return emulator.tables.create("ledger")


def item(key: str, value: str = "x") -> dict[str, Any]:
    return {"id": {"S": key}, "value": {"S": value}}


def put(table: Table | str, key: str, value: str = "x") -> Any:
    name = table if isinstance(table, str) else table.name
    return {"Put": {"TableName": name, "Item": item(key, value)}}


def single_writes(aws: Clients) -> list[Any]:
    named: Any = {"TableName": "ledger"}
    update: Any = {
        "UpdateExpression": "SET #v = :v",
        "ExpressionAttributeNames": {"#v": "value"},
        "ExpressionAttributeValues": {":v": {"S": "y"}},
    }
    key: Any = {"Key": {"id": {"S": "a"}}}
    return [
        lambda: aws.dynamodb.put_item(**named, Item=item("a")),
        lambda: aws.dynamodb.update_item(**named, **key, **update),
        lambda: aws.dynamodb.delete_item(**named, **key),
    ]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_write_conflicts_with_a_transaction_under_way(
    aws: Clients, table: Table, number: int
) -> None:
    write = single_writes(aws)[number]
    table.conflict("a", times=2)
    for _ in range(2):
        with pytest.raises(ClientError) as caught:
            write()
        assert refusal(caught.value) == (
            "TransactionConflictException",
            "Transaction is ongoing for the item",
        )
    assert code_of(write) == "no error"


def test_writes_conflict_whichever_items_they_are_for(aws: Clients, table: Table) -> None:
    table.conflict_anywhere(times=2)
    codes = [
        code_of(lambda: aws.dynamodb.put_item(TableName=table.name, Item=item("a")))
        for _ in range(3)
    ]
    assert codes == ["TransactionConflictException"] * 2 + ["no error"]


def test_other_items_and_reads_do_not_conflict(aws: Clients, table: Table) -> None:
    aws.dynamodb.put_item(TableName=table.name, Item=item("a"))
    table.conflict("a")
    aws.dynamodb.put_item(TableName=table.name, Item=item("b"))
    keys = [{"id": {"S": "a"}}]
    assert aws.dynamodb.get_item(TableName=table.name, Key=keys[0])["Item"] == item("a")
    read = aws.dynamodb.batch_get_item(RequestItems={table.name: {"Keys": keys}})
    assert read["Responses"][table.name] == [item("a")]


def test_a_transaction_is_cancelled_by_one_conflict_and_says_which(
    aws: Clients, table: Table
) -> None:
    table.conflict("b")
    writes = [put(table, "a"), put(table, "b")]
    with pytest.raises(ClientError) as caught:
        aws.dynamodb.transact_write_items(TransactItems=writes)
    response: Any = caught.value.response
    assert response["Error"]["Code"] == "TransactionCanceledException"
    assert "[None, TransactionConflict]" in response["Error"]["Message"]
    assert [each["Code"] for each in response["CancellationReasons"]] == [
        "None",
        "TransactionConflict",
    ]
    assert table.items == {}
    aws.dynamodb.transact_write_items(TransactItems=writes)
    assert set(table.items) == {("a",), ("b",)}


def test_a_batch_puts_and_deletes(side: Side) -> None:
    name, dynamodb = side.table(), side.clients.dynamodb
    puts: Any = [{"PutRequest": {"Item": item(key)}} for key in "ab"]
    assert dynamodb.batch_write_item(RequestItems={name: puts})["UnprocessedItems"] == {}
    deletes: Any = [{"DeleteRequest": {"Key": {"id": {"S": key}}}} for key in "ax"]
    dynamodb.batch_write_item(RequestItems={name: deletes})
    keys: Any = [{"id": {"S": key}} for key in "ab"]
    read = dynamodb.batch_get_item(RequestItems={name: {"Keys": keys}})
    assert read["Responses"][name] == [item("b")]


def test_a_batch_has_at_most_25_writes_and_none_twice(aws: Clients, table: Table) -> None:
    name, dynamodb = table.name, aws.dynamodb
    many: Any = [{"PutRequest": {"Item": item(str(number))}} for number in range(26)]
    for asked in (many, many[:1] * 2):
        with pytest.raises(ClientError, match="ValidationException"):
            dynamodb.batch_write_item(RequestItems={name: asked})


def test_a_batch_hands_back_what_was_in_the_way(
    emulator: Emulator, aws: Clients, table: Table
) -> None:
    puts: Any = [{"PutRequest": {"Item": item(key)}} for key in "abc"]
    table.conflict("a")
    emulator.tables.unprocessed = 1
    answer = aws.dynamodb.batch_write_item(RequestItems={table.name: puts})
    assert answer["UnprocessedItems"] == {table.name: [puts[0], puts[2]]}
    assert set(table.items) == {("b",)}
