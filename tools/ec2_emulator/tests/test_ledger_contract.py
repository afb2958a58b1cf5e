"""DynamoDB as Powertools' idempotency uses it, on the emulator and on moto."""

import threading
from collections.abc import Callable
from typing import Any, cast

import pytest
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyPersistenceLayerError,
    IdempotencyValidationError,
)
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from tools.ec2_emulator import Emulator, faults
from tools.ec2_emulator.tests.sides import (
    Clients,
    Difference,
    EmulatorSide,
    MotoSide,
    Side,
    code_of,
)


class Context:
    """As much of Lambda's context as Powertools asks for."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def configured(**given: Any) -> IdempotencyConfig:
    config = IdempotencyConfig(**given)
    config.register_lambda_context(cast("LambdaContext", Context()))
    return config


class Report:
    """A function whose acknowledged calls are remembered."""

    def __init__(self, side: Side, *, seconds: int = 3_600, validated: bool = False) -> None:
        self.made: list[str] = []
        self.table = side.table()
        self.during: Callable[[], None] = lambda: None
        config = configured(
            event_key_jmespath="id",
            expires_after_seconds=seconds,
            payload_validation_jmespath="body" if validated else "",
        )
        layer = DynamoDBPersistenceLayer(self.table, boto3_client=side.clients.dynamodb)

        @idempotent_function(  # type: ignore[untyped-decorator]
            data_keyword_argument="entry", persistence_store=layer, config=config
        )
        def send(*, entry: dict[str, str]) -> dict[str, str]:
            self.made.append(entry["id"])
            self.during()
            return {"done": entry["id"]}

        self.send: Callable[..., Any] = send


def test_an_acknowledged_call_is_not_made_again(side: Side) -> None:
    report = Report(side)
    assert report.send(entry={"id": "a"}) == report.send(entry={"id": "a"}) == {"done": "a"}
    assert report.send(entry={"id": "b"}) == {"done": "b"}
    assert report.made == ["a", "b"]


def test_a_call_that_raised_is_made_again(side: Side) -> None:
    report = Report(side)

    def fail() -> None:
        raise OSError

    report.during = fail
    with pytest.raises(OSError, match=r"^$"):
        report.send(entry={"id": "a"})
    report.during = lambda: None
    assert report.send(entry={"id": "a"}) == {"done": "a"}
    assert report.made == ["a", "a"]


def test_a_call_that_is_under_way_is_refused(side: Side) -> None:
    report = Report(side)
    caught: list[Exception] = []

    def overlap() -> None:
        try:
            report.send(entry={"id": "a"})
        except IdempotencyAlreadyInProgressError as error:
            caught.append(error)

    def in_another_thread() -> None:
        other = threading.Thread(target=overlap)
        other.start()
        other.join()

    report.during = in_another_thread
    assert report.send(entry={"id": "a"}) == {"done": "a"}
    assert len(caught) == 1
    assert report.made == ["a"]


def test_an_expired_record_counts_no_more(side: Side) -> None:
    report = Report(side, seconds=-1)
    report.send(entry={"id": "a"})
    report.send(entry={"id": "a"})
    assert report.made == ["a", "a"]


def test_a_changed_payload_is_noticed(side: Side) -> None:
    report = Report(side, validated=True)
    report.send(entry={"id": "a", "body": "x"})
    with pytest.raises(IdempotencyValidationError):
        report.send(entry={"id": "a", "body": "y"})


def put(side: Side, table: str, key: str) -> None:
    side.clients.dynamodb.put_item(
        TableName=table, Item={"id": {"S": key}, "n": {"N": "1"}, "note": {"S": "x"}}
    )


def test_many_items_are_read_in_one_call(side: Side) -> None:
    table = side.table()
    for key in ("a", "b"):
        put(side, table, key)
    answer = side.clients.dynamodb.batch_get_item(
        RequestItems={
            table: {
                "Keys": [{"id": {"S": key}} for key in ("a", "b", "absent")],
                "ProjectionExpression": "id, #n",
                "ExpressionAttributeNames": {"#n": "n"},
                "ConsistentRead": True,
            }
        }
    )
    found = sorted(answer["Responses"][table], key=lambda item: item["id"]["S"])
    assert found == [{"id": {"S": key}, "n": {"N": "1"}} for key in ("a", "b")]
    assert answer["UnprocessedKeys"] == {}


ABSENT: dict[str, Any] = {
    "ConditionExpression": "attribute_not_exists(#id)",
    "ExpressionAttributeNames": {"#id": "id"},
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}


def putting(table: str, key: str) -> Any:
    return {"Put": {"TableName": table, "Item": {"id": {"S": key}, "n": {"N": "1"}}, **ABSENT}}


def updating(table: str, key: str) -> Any:
    given = {":n": {"N": "2"}}
    return {
        "Update": {
            "TableName": table,
            "Key": {"id": {"S": key}},
            "UpdateExpression": "SET n = :n",
            "ExpressionAttributeValues": given,
        }
    }


def test_a_transaction_writes_all(side: Side) -> None:
    client, table = side.clients.dynamodb, side.table()
    client.put_item(TableName=table, Item={"id": {"S": "b"}})
    client.transact_write_items(TransactItems=[putting(table, "a"), updating(table, "b")])
    for key, n in ("a", "1"), ("b", "2"):
        assert client.get_item(TableName=table, Key={"id": {"S": key}})["Item"]["n"] == {"N": n}


def test_a_transaction_writes_nothing_where_one_condition_fails(side: Side) -> None:
    client, table = side.clients.dynamodb, side.table()
    old = {"id": {"S": "b"}, "n": {"N": "7"}}
    client.put_item(TableName=table, Item=cast("Any", old))
    with pytest.raises(client.exceptions.TransactionCanceledException) as caught:
        client.transact_write_items(TransactItems=[putting(table, "a"), putting(table, "b")])
    reasons = caught.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None", "ConditionalCheckFailed"]
    assert reasons[1]["Item"] == old
    assert "Item" not in client.get_item(TableName=table, Key={"id": {"S": "a"}})


def test_a_transaction_deletes_under_conditions(side: Side) -> None:
    client, table = side.clients.dynamodb, side.table()
    for key in ("a", "b"):
        put(side, table, key)

    def deleting(key: str, note: str) -> Any:
        return {
            "Delete": {
                "TableName": table,
                "Key": {"id": {"S": key}},
                "ConditionExpression": "note = :note",
                "ExpressionAttributeValues": {":note": {"S": note}},
            }
        }

    with pytest.raises(client.exceptions.TransactionCanceledException) as caught:
        client.transact_write_items(TransactItems=[deleting("a", "x"), deleting("b", "y")])
    codes = [reason["Code"] for reason in caught.value.response["CancellationReasons"]]
    assert codes == ["None", "ConditionalCheckFailed"]
    client.transact_write_items(TransactItems=[deleting("a", "x"), putting(table, "c")])
    left = {
        key: "Item" in client.get_item(TableName=table, Key={"id": {"S": key}}) for key in "abc"
    }
    assert left == {"a": False, "b": True, "c": True}


def test_a_transaction_names_each_item_once(side: Side) -> None:
    client, table = side.clients.dynamodb, side.table()
    with pytest.raises(ClientError, match="ValidationException"):
        client.transact_write_items(TransactItems=[putting(table, "a"), updating(table, "a")])


def test_a_condition_that_fails_shows_the_old_item_on_demand(side: Side) -> None:
    table = side.table()
    put(side, table, "a")
    for wanted in ("NONE", "ALL_OLD"):
        with pytest.raises(
            side.clients.dynamodb.exceptions.ConditionalCheckFailedException
        ) as caught:
            side.clients.dynamodb.put_item(
                TableName=table,
                Item={"id": {"S": "a"}},
                ConditionExpression="attribute_not_exists(id)",
                ReturnValuesOnConditionCheckFailure=wanted,
            )
        shown: Any = caught.value.response
        assert ("Item" in shown) == (wanted == "ALL_OLD")
    assert shown["Item"]["note"] == {"S": "x"}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("attribute_exists(id)", True),
        ("attribute_not_exists(id)", False),
        ("attribute_not_exists(#n)", False),
        ("#n = :one", True),
        ("#n <> :one", False),
        ("#n < :ten AND #n >= :one", True),
        ("#n > :ten OR #n <= :one", True),
        ("absent < :ten", False),
        ("NOT attribute_exists(absent)", True),
        ("attribute_exists(absent) OR #n = :one AND note = :text", True),
        ("(attribute_exists(id) OR #n = :one) AND note = :ten", False),
    ],
)
def test_a_condition_holds_as_dynamodb_would_have_it(
    side: Side, condition: str, holds: bool
) -> None:
    table = side.table()
    put(side, table, "a")
    given: Any = {
        "ExpressionAttributeNames": {"#n": "n"},
        "ExpressionAttributeValues": {
            ":one": {"N": "1.0"},
            ":ten": {"N": "10"},
            ":text": {"S": "x"},
        },
    }
    used = {
        name: {key: value for key, value in each.items() if key in condition}
        for name, each in given.items()
    }
    call: Any = {name: each for name, each in used.items() if each}
    code = code_of(
        lambda: side.clients.dynamodb.delete_item(
            TableName=table, Key={"id": {"S": "a"}}, ConditionExpression=condition, **call
        )
    )
    assert code == ("no error" if holds else "ConditionalCheckFailedException")
    left = side.clients.dynamodb.get_item(TableName=table, Key={"id": {"S": "a"}})
    assert ("Item" in left) == (not holds)


def unused_expression_value(side: Side) -> object:
    return code_of(
        lambda: side.clients.dynamodb.put_item(
            TableName=side.table(),
            Item={"id": {"S": "a"}},
            ConditionExpression="attribute_not_exists(id)",
            ExpressionAttributeValues={":unused": {"S": "x"}},
        )
    )


def comparison_of_a_number_with_a_text(side: Side) -> object:
    table = side.table()
    put(side, table, "a")
    return code_of(
        lambda: side.clients.dynamodb.delete_item(
            TableName=table,
            Key={"id": {"S": "a"}},
            ConditionExpression="n < :text",
            ExpressionAttributeValues={":text": {"S": "x"}},
        )
    )


DIFFERENCES = [
    Difference(unused_expression_value, emulator="ValidationException", moto="no error"),
    Difference(
        comparison_of_a_number_with_a_text,
        emulator="ConditionalCheckFailedException",
        moto="500",
    ),
]


@pytest.mark.parametrize("difference", DIFFERENCES, ids=str)
def test_the_emulator_and_moto_differ_as_listed(
    difference: Difference, emulator: Emulator, emulator_clients: Clients, moto: MotoSide
) -> None:
    assert difference.scenario(EmulatorSide(emulator, emulator_clients)) == difference.emulator
    assert difference.scenario(moto) == difference.moto


def test_a_missing_table_is_not_found(side: Side) -> None:
    with pytest.raises(side.clients.dynamodb.exceptions.ResourceNotFoundException):
        side.clients.dynamodb.get_item(TableName="absent", Key={"id": {"S": "a"}})


def test_what_the_emulator_does_not_implement_is_refused(emulator: Emulator, aws: Clients) -> None:
    emulator.tables.create("ledger")
    with pytest.raises(ClientError, match="does not implement"):
        aws.dynamodb.put_item(TableName="ledger", Item={"id": {"S": "a"}}, ReturnValues="ALL_OLD")


def test_a_batch_may_leave_keys_for_the_next_call(emulator: Emulator, aws: Clients) -> None:
    emulator.tables.create("ledger")
    emulator.tables.unprocessed = 1
    keys: Any = [{"id": {"S": key}} for key in ("a", "b")]
    answer = aws.dynamodb.batch_get_item(RequestItems={"ledger": {"Keys": keys}})
    assert answer["UnprocessedKeys"] == {"ledger": {"Keys": keys[1:]}}


def test_a_transaction_whose_answer_was_lost_is_made_once(emulator: Emulator, aws: Clients) -> None:
    emulator.tables.create("ledger")
    request: Any = {"TransactItems": [putting("ledger", "a")], "ClientRequestToken": "t"}
    for _ in range(2):
        aws.dynamodb.transact_write_items(**request)


@pytest.mark.parametrize("kind", ["Put", "Update"])
def test_a_transaction_needs_the_permissions_of_its_writes(
    emulator: Emulator, aws: Clients, kind: str
) -> None:
    emulator.tables.create("ledger")
    emulator.policy.denied_actions = {f"dynamodb:{kind}Item"}
    with pytest.raises(ClientError, match="AccessDeniedException"):
        aws.dynamodb.transact_write_items(
            TransactItems=[putting("ledger", "a"), updating("ledger", "b")]
        )


def test_the_ledger_meets_faults_as_other_services_do(emulator: Emulator, aws: Clients) -> None:
    emulator.tables.create("ledger")
    emulator.faults.add("PutItem", faults.error("ProvisionedThroughputExceededException"))
    with pytest.raises(aws.dynamodb.exceptions.ProvisionedThroughputExceededException):
        aws.dynamodb.put_item(TableName="ledger", Item={"id": {"S": "a"}})
    layer = DynamoDBPersistenceLayer("ledger", boto3_client=aws.dynamodb)
    emulator.policy.denied_actions = {"dynamodb:PutItem"}

    @idempotent_function(  # type: ignore[untyped-decorator]
        data_keyword_argument="entry", persistence_store=layer, config=configured()
    )
    def send(*, entry: str) -> str:
        return entry

    with pytest.raises(IdempotencyPersistenceLayerError):
        send(entry="a")
