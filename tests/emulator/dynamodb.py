"""DynamoDB for a ledger: single items under conditions, and a batched look.

A parameter that is not implemented is refused, not ignored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.emulator.errors import AwsError
from tests.emulator.expressions import Expressions, invalid

_ALL_OLD = "ALL_OLD"
_NAMES = {"ExpressionAttributeNames", "ExpressionAttributeValues"}
_CONDITION = {"ConditionExpression", "ReturnValuesOnConditionCheckFailure", *_NAMES}
_UNREAD = {"ReturnConsumedCapacity"}
_KNOWN = {
    "PutItem": {"TableName", "Item", *_CONDITION},
    "UpdateItem": {"TableName", "Key", "UpdateExpression", *_CONDITION},
    "DeleteItem": {"TableName", "Key", *_CONDITION},
    "GetItem": {"TableName", "Key", "ConsistentRead", "ProjectionExpression", *_NAMES},
    "BatchGetItem": {"RequestItems"},
}


@dataclass(slots=True)
class Table:
    """Items by the values of their key's attributes."""

    name: str
    keys: tuple[str, ...]
    items: dict[tuple[str, ...], dict[str, Any]] = field(default_factory=dict)

    def key_of(self, attributes: Mapping[str, Any], *, exactly: bool) -> tuple[str, ...]:
        if exactly and set(attributes) != set(self.keys):
            raise invalid("The provided key element does not match the schema")
        try:
            return tuple(attributes[key]["S"] for key in self.keys)
        except KeyError:
            raise invalid("One or more parameter values were invalid: Missing the key") from None


class Tables:
    """An account's tables."""

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}
        self.unprocessed = 0  # how many keys each BatchGetItem leaves for another call

    def create(self, name: str, *, key: str = "id", sort_key: str | None = None) -> Table:
        self._tables[name] = Table(name, (key,) if sort_key is None else (key, sort_key))
        return self._tables[name]

    def __getitem__(self, name: str) -> Table:
        if name not in self._tables:
            raise AwsError("ResourceNotFoundException", "Requested resource not found")
        return self._tables[name]

    def put_item(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        table = self._open("PutItem", parameters)
        key = table.key_of(parameters["Item"], exactly=False)
        expressions = Expressions(parameters)
        _check(table.items.get(key), parameters, expressions)
        expressions.all_used()
        table.items[key] = dict(parameters["Item"])
        return {}

    def update_item(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        table = self._open("UpdateItem", parameters)
        key = table.key_of(parameters["Key"], exactly=True)
        expressions = Expressions(parameters)
        old = table.items.get(key, {})
        new = expressions.updated(parameters["UpdateExpression"], {**parameters["Key"], **old})
        _check(table.items.get(key), parameters, expressions)
        expressions.all_used()
        table.items[key] = new
        return {}

    def delete_item(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        table = self._open("DeleteItem", parameters)
        key = table.key_of(parameters["Key"], exactly=True)
        expressions = Expressions(parameters)
        _check(table.items.get(key), parameters, expressions)
        expressions.all_used()
        table.items.pop(key, None)
        return {}

    def get_item(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        table = self._open("GetItem", parameters)
        item = table.items.get(table.key_of(parameters["Key"], exactly=True))
        return {} if item is None else {"Item": _projected(parameters, item)}

    def batch_get_item(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        _refuse_unknown("BatchGetItem", parameters)
        asked = [
            (name, key) for name, each in parameters["RequestItems"].items() for key in each["Keys"]
        ]
        if len(asked) > 100:
            raise invalid("Too many items requested for the BatchGetItem call")
        keys = [(name, self[name].key_of(key, exactly=True)) for name, key in asked]
        if len(set(keys)) < len(keys):
            raise invalid("Provided list of item keys contains duplicates")
        done = max(0, len(asked) - self.unprocessed)
        responses: dict[str, list[Any]] = {name: [] for name in parameters["RequestItems"]}
        for name, key in keys[:done]:
            if (item := self[name].items.get(key)) is not None:
                responses[name].append(_projected(parameters["RequestItems"][name], item))
        left: dict[str, Any] = {}
        for name, attributes in asked[done:]:
            request = {**parameters["RequestItems"][name], "Keys": []}
            left.setdefault(name, request)["Keys"].append(attributes)
        return {"Responses": responses, "UnprocessedKeys": left}

    def _open(self, operation: str, parameters: Mapping[str, Any]) -> Table:
        _refuse_unknown(operation, parameters)
        return self[parameters["TableName"]]


def _refuse_unknown(operation: str, parameters: Mapping[str, Any]) -> None:
    unknown = set(parameters) - _KNOWN[operation] - _UNREAD
    if unknown:
        raise invalid(f"the emulator does not implement {sorted(unknown)} of {operation}")


def _check(
    old: Mapping[str, Any] | None, parameters: Mapping[str, Any], expressions: Expressions
) -> None:
    condition = parameters.get("ConditionExpression")
    if condition is None or expressions.holds(condition, old or {}):
        return
    shown = parameters.get("ReturnValuesOnConditionCheckFailure") == _ALL_OLD and old is not None
    raise AwsError(
        "ConditionalCheckFailedException",
        "The conditional request failed",
        extra={"Item": old} if shown else None,
    )


def _projected(request: Mapping[str, Any], item: Mapping[str, Any]) -> Mapping[str, Any]:
    projection = request.get("ProjectionExpression")
    return item if projection is None else Expressions(request).projected(projection, item)
