"""DynamoDB's expressions, as far as conditions and plain SET go."""

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from tools.ec2_emulator.errors import AwsError

Item = Mapping[str, Any]
_TOKEN = re.compile(r"\s*(<>|<=|>=|[()=<>,]|[#:]?\w+)")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: bool(a == b),
    "<>": lambda a, b: bool(a != b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}


def invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)


class Expressions:
    """The expressions of one request, with the names and values that they share."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._names: Mapping[str, str] = parameters.get("ExpressionAttributeNames", {})
        self._values: Mapping[str, Any] = parameters.get("ExpressionAttributeValues", {})
        self._used: set[str] = set()

    def holds(self, condition: str, item: Item) -> bool:
        tokens = _tokens(condition)
        result = self._either(tokens, item)
        tokens.end()
        return result

    def updated(self, update: str, item: Item) -> dict[str, Any]:
        """An item after `SET name = value, ...`."""
        tokens = _tokens(update)
        tokens.expect("SET")
        changed = dict(item)
        while True:
            name = self._name(tokens.next())
            tokens.expect("=")
            changed[name] = self._value(tokens.next())
            if not tokens.skip(","):
                tokens.end()
                return changed

    def projected(self, projection: str, item: Item) -> dict[str, Any]:
        names = [self._name(name.strip()) for name in projection.split(",")]
        return {name: item[name] for name in names if name in item}

    def all_used(self) -> None:
        """DynamoDB refuses a request with a name or value that no expression uses."""
        unused = (set(self._names) | set(self._values)) - self._used
        if unused:
            raise invalid(f"Value provided unused in expressions: keys: {sorted(unused)}")

    # Every side is evaluated, so that each name and value counts as used.

    def _either(self, tokens: "_Tokens", item: Item) -> bool:
        result = self._both(tokens, item)
        while tokens.skip("OR"):
            result = self._both(tokens, item) or result
        return result

    def _both(self, tokens: "_Tokens", item: Item) -> bool:
        result = self._single(tokens, item)
        while tokens.skip("AND"):
            result = self._single(tokens, item) and result
        return result

    def _single(self, tokens: "_Tokens", item: Item) -> bool:
        if tokens.skip("NOT"):
            return not self._single(tokens, item)
        if tokens.skip("("):
            result = self._either(tokens, item)
            tokens.expect(")")
            return result
        first = tokens.next()
        if first in {"attribute_exists", "attribute_not_exists"}:
            tokens.expect("(")
            there = self._name(tokens.next()) in item
            tokens.expect(")")
            return there == (first == "attribute_exists")
        left = self._operand(first, item)
        compare = _COMPARE.get(tokens.next())
        if compare is None:
            raise invalid("Invalid ConditionExpression: a comparison was expected")
        right = self._operand(tokens.next(), item)
        # Nothing compares with an attribute that is missing or of another type.
        return (
            left is not None and right is not None and left[0] == right[0] and compare(left, right)
        )

    def _operand(self, token: str, item: Item) -> tuple[str, Any] | None:
        value = self._value(token) if token.startswith(":") else item.get(self._name(token))
        if value is None:
            return None
        [(kind, content)] = value.items()
        return kind, Decimal(content) if kind == "N" else content

    def _name(self, token: str) -> str:
        if not token.startswith("#"):
            return token
        if token not in self._names:
            raise invalid(f"An expression attribute name used is not defined: {token}")
        self._used.add(token)
        return self._names[token]

    def _value(self, token: str) -> Any:
        if token not in self._values:
            raise invalid(f"An expression attribute value used is not defined: {token}")
        self._used.add(token)
        return self._values[token]


class _Tokens:
    def __init__(self, tokens: Iterator[str]) -> None:
        self._tokens = [*tokens]
        self._at = 0

    def next(self) -> str:
        if self._at == len(self._tokens):
            raise invalid("Invalid expression: unexpected end")
        self._at += 1
        return self._tokens[self._at - 1]

    def skip(self, token: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at].upper() == token:
            self._at += 1
            return True
        return False

    def expect(self, token: str) -> None:
        if not self.skip(token):
            raise invalid(f"Invalid expression: {token} was expected")

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise invalid(f"Invalid expression: Syntax error; token: {self._tokens[self._at]}")


def _tokens(text: str) -> _Tokens:
    if _TOKEN.sub("", text).strip():
        raise invalid("Invalid expression: Syntax error")
    return _Tokens(match[1] for match in _TOKEN.finditer(text))
