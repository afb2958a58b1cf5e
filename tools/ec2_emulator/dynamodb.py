"""DynamoDB for a ledger: single items under conditions, batches, and transactions.

A parameter that is not implemented is refused, not ignored.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.ec2_emulator.errors import AwsError
from tools.ec2_emulator.expressions import Expressions, invalid

_ALL_OLD = "ALL_OLD"
_ONGOING = "Transaction is ongoing for the item"
_FAILED_CHECK = "ConditionalCheckFailedException"
_NAMES = {"ExpressionAttributeNames", "ExpressionAttributeValues"}
_CONDITION = {"ConditionExpression", "ReturnValuesOnConditionCheckFailure", *_NAMES}
LARGEST_ITEM = 400 * 1024
_UNREAD = {"ReturnConsumedCapacity"}
_KNOWN = {
    "PutItem": {"TableName", "Item", *_CONDITION},
    "UpdateItem": {"TableName", "Key", "UpdateExpression", *_CONDITION},
    "DeleteItem": {"TableName", "Key", *_CONDITION},
    "GetItem": {"TableName", "Key", "ConsistentRead", "ProjectionExpression", *_NAMES},
    "BatchGetItem": {"RequestItems"},
    "BatchWriteItem": {"RequestItems"},
    "TransactWriteItems": {"TransactItems", "ClientRequestToken"},
}


@dataclass(slots=True)
class Table:
    """Items by the values of their key's attributes."""

    name: str
    keys: tuple[str, ...]
    items: dict[tuple[str, ...], dict[str, Any]] = field(default_factory=dict)
    _conflicts: dict[tuple[str, ...], int] = field(default_factory=dict)
    _conflicts_anywhere: int = 0

    def conflict_anywhere(self, times: int = 1) -> None:
        """The same for the next so many writes, whichever items they are for."""
        self._conflicts_anywhere = times

    def conflict(self, *key: str, times: int = 1) -> None:
        """Another transaction holds the item for the next so many writes to it.

        Reads are not refused, but for TransactGetItems
        (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html).
        """
        self._conflicts[key] = times

    def held(self, key: tuple[str, ...]) -> bool:
        """Whether this write meets another transaction; counts it."""
        if self._conflicts_anywhere:
            self._conflicts_anywhere -= 1
            return True
        left = self._conflicts.get(key, 0)
        self._conflicts[key] = max(left - 1, 0)
        return left > 0

    def key_of(self, attributes: Mapping[str, Any], *, exactly: bool) -> tuple[str, ...]:
        if exactly and set(attributes) != set(self.keys):
            raise invalid("The provided key element does not match the schema")
        try:
            return tuple(attributes[key]["S"] for key in self.keys)
        except KeyError:
            raise invalid("One or more parameter values were invalid: Missing the key") from None


def _fits(item: Mapping[str, Any]) -> None:
    """Names and values of flat attributes
    (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html)."""
    size = sum(
        len(name.encode()) + len(str(next(iter(value.values()))).encode())
        for name, value in item.items()
    )
    if size > LARGEST_ITEM:
        raise invalid("Item size has exceeded the maximum allowed size")


class Tables:
    """An account's tables."""

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}
        self.unprocessed = 0  # how many items each batch leaves for another call
        self._transactions: set[str] = set()

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
        _not_held(table, key)
        _fits(parameters["Item"])
        table.items[key] = _put(table.items.get(key), parameters)
        return {}

    def update_item(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        table = self._open("UpdateItem", parameters)
        key = table.key_of(parameters["Key"], exactly=True)
        _not_held(table, key)
        table.items[key] = _updated(table.items.get(key), parameters)
        return {}

    def delete_item(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        table = self._open("DeleteItem", parameters)
        key = table.key_of(parameters["Key"], exactly=True)
        _not_held(table, key)
        _deleted(table.items.get(key), parameters)
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

    def batch_write_item(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Puts and deletes without conditions, each for itself; what met trouble is handed back."""
        _refuse_unknown("BatchWriteItem", parameters)
        asked = [(name, one) for name, each in parameters["RequestItems"].items() for one in each]
        if len(asked) > 25:
            raise invalid("Too many items requested for the BatchWriteItem call")
        keyed = [(name, _key_written(self[name], one), one) for name, one in asked]
        if len({(name, key) for name, key, _ in keyed}) < len(keyed):
            raise invalid("Provided list of item keys contains duplicates")
        done = max(0, len(asked) - self.unprocessed)
        left: dict[str, list[Any]] = {}
        for number, (name, key, one) in enumerate(keyed):
            if number >= done or self[name].held(key):
                left.setdefault(name, []).append(one)
            elif "PutRequest" in one:
                self[name].items[key] = dict(one["PutRequest"]["Item"])
            else:
                self[name].items.pop(key, None)
        return {"UnprocessedItems": left}

    def transact_write_items(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """All of the writes or none; why not is told for each."""
        _refuse_unknown("TransactWriteItems", parameters)
        token = parameters.get("ClientRequestToken", "")
        if token in self._transactions:
            return {}  # the same request again: its first answer was lost
        writes = [next(iter(one.items())) for one in parameters["TransactItems"]]
        if len(writes) > 100:
            raise invalid("Member must have length less than or equal to 100")
        changed: dict[str, dict[tuple[str, ...], dict[str, Any]]] = {}
        reasons: list[dict[str, Any]] = []
        for kind, write in writes:
            table = self._open(_IN_TRANSACTIONS[kind], write)
            key = table.key_of(write["Item" if kind == "Put" else "Key"], exactly=kind != "Put")
            if key in changed.setdefault(table.name, {}):
                raise invalid("Transaction request cannot include multiple operations on one item")
            new, reason = _tried(table, key, kind, write)
            changed[table.name][key] = new
            reasons.append(reason)
        if any(reason["Code"] != "None" for reason in reasons):
            codes = ", ".join(reason["Code"] for reason in reasons)
            raise AwsError(
                "TransactionCanceledException",
                f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
                extra={"CancellationReasons": reasons},
            )
        for name, items in changed.items():
            for key, item in items.items():
                if item:
                    self[name].items[key] = item
                else:
                    self[name].items.pop(key, None)
        self._transactions.add(token)
        return {}

    def _open(self, operation: str, parameters: Mapping[str, Any]) -> Table:
        _refuse_unknown(operation, parameters)
        return self[parameters["TableName"]]


def _refuse_unknown(operation: str, parameters: Mapping[str, Any]) -> None:
    unknown = set(parameters) - _KNOWN[operation] - _UNREAD
    if unknown:
        raise invalid(f"the emulator does not implement {sorted(unknown)} of {operation}")


def _tried(
    table: Table, key: tuple[str, ...], kind: str, write: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The item as one write of a transaction would leave it, and the reason why it may not."""
    if table.held(key):
        return {}, {"Code": "TransactionConflict", "Message": _ONGOING}
    try:
        return _WRITTEN[kind](table.items.get(key), write), {"Code": "None"}
    except AwsError as error:
        if error.code != _FAILED_CHECK:
            raise
        return {}, {"Code": "ConditionalCheckFailed", "Message": error.message, **error.extra}


def _not_held(table: Table, key: tuple[str, ...]) -> None:
    if table.held(key):
        raise AwsError("TransactionConflictException", _ONGOING)


def _key_written(table: Table, one: Mapping[str, Any]) -> tuple[str, ...]:
    if "PutRequest" in one:
        return table.key_of(one["PutRequest"]["Item"], exactly=False)
    return table.key_of(one["DeleteRequest"]["Key"], exactly=True)


def _put(old: Mapping[str, Any] | None, parameters: Mapping[str, Any]) -> dict[str, Any]:
    expressions = Expressions(parameters)
    _check(old, parameters, expressions)
    expressions.all_used()
    return dict(parameters["Item"])


def _deleted(old: Mapping[str, Any] | None, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Whether it may be; nothing is left."""
    expressions = Expressions(parameters)
    _check(old, parameters, expressions)
    expressions.all_used()
    return {}


def _updated(old: Mapping[str, Any] | None, parameters: Mapping[str, Any]) -> dict[str, Any]:
    expressions = Expressions(parameters)
    before = {**parameters["Key"], **(old or {})}
    new = expressions.updated(parameters["UpdateExpression"], before)
    _check(old, parameters, expressions)
    expressions.all_used()
    return new


_IN_TRANSACTIONS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem"}
_WRITTEN: Mapping[str, Callable[[Mapping[str, Any] | None, Mapping[str, Any]], dict[str, Any]]] = {
    "Put": _put,
    "Update": _updated,
    "Delete": _deleted,
}


def _check(
    old: Mapping[str, Any] | None, parameters: Mapping[str, Any], expressions: Expressions
) -> None:
    condition = parameters.get("ConditionExpression")
    if condition is None or expressions.holds(condition, old or {}):
        return
    shown = parameters.get("ReturnValuesOnConditionCheckFailure") == _ALL_OLD and old is not None
    raise AwsError(
        _FAILED_CHECK,
        "The conditional request failed",
        extra={"Item": old} if shown else None,
    )


def _projected(request: Mapping[str, Any], item: Mapping[str, Any]) -> Mapping[str, Any]:
    projection = request.get("ProjectionExpression")
    return item if projection is None else Expressions(request).projected(projection, item)
