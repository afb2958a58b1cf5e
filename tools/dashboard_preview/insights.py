"""CloudWatch Logs Insights: the part of its query language that the dashboards' tables use."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tools.dashboard_preview.errors import CannotDrawError
from tools.dashboard_preview.metrics import statistic

Line = Mapping[str, Any]
"""A log line's fields; nested ones are named with dots. `@timestamp` and `@message` are among them."""
Test = Callable[[Line], bool]

_TOKEN = re.compile(
    r"""\s*(?:\#[^\n]*|(?P<text>"[^"]*"|'[^']*')|(?P<number>-?\d+(?:\.\d+)?(?![\w.]))
        |(?P<span>\d+[smhd]\b)
        |(?P<name>@?[A-Za-z_][\w.]*)|(?P<sign><=|>=|!=|[=<>|()\[\],*]))""",
    re.VERBOSE,
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_STATS: dict[str, Callable[[list[Any]], Any]] = {
    "count": len,
    "count_distinct": lambda values: len(set(values)),
    "sum": sum,
    "min": lambda values: min(
        values, default=""
    ),  # CloudWatch leaves it empty where no line has the field
    "max": lambda values: max(values, default=""),
    "latest": lambda values: values[-1] if values else "",
}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Table:
    """A query's answer."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def query(text: str, groups: Mapping[str, Iterable[Line]]) -> Table:
    """Run a query: SOURCE, then fields, filter, stats, sort and limit in any order.

    A comparison with a field that a line does not have is false.

    Args:
        text: the query, as in the widget's JSON.
        groups: the log lines by log group, the oldest first.

    Raises:
        CannotDrawError: a command, function or group that is not known here.
    """
    tokens = _Tokens(text)
    tokens.expect("SOURCE")
    group = tokens.literal()
    if group not in groups:
        raise CannotDrawError(f"there is no log group {group!r}")
    lines: list[Line] = list(groups[group])
    columns: list[str] = []
    while tokens.accept("|"):
        command = tokens.name()
        if command not in _COMMANDS:
            raise CannotDrawError(f"the query's command {command!r} is not known here")
        lines, columns = _COMMANDS[command](tokens, lines, columns)
    tokens.end()
    columns = columns or ["@timestamp", "@message"]
    return Table(
        tuple(columns), tuple(tuple(line.get(name, "") for name in columns) for line in lines)
    )


class _Tokens:
    """The query's words, one after the other."""

    def __init__(self, text: str) -> None:
        self._words = list(_words(text))
        self._next = 0

    def peek(self, ahead: int = 0) -> str:
        place = self._next + ahead
        return self._words[place][1] if place < len(self._words) else ""

    def take(self, *kinds: str) -> str:
        kind, word = self._words[self._next] if self._next < len(self._words) else ("", "its end")
        if kind not in kinds:
            raise CannotDrawError(f"the query has {word!r} where {' or '.join(kinds)} is expected")
        self._next += 1
        return word

    def accept(self, word: str) -> bool:
        found = self._next < len(self._words) and self._words[self._next] in {
            ("name", word),
            ("sign", word),
        }
        self._next += found
        return found

    def expect(self, word: str) -> None:
        if not self.accept(word):
            raise CannotDrawError(f"the query has {self.peek()!r} where {word!r} is expected")

    def name(self) -> str:
        return self.take("name")

    def literal(self) -> Any:  # noqa: ANN401 - a text or a number
        word = self.take("text", "number")
        return word[1:-1] if word[0] in "'\"" else float(word)

    def separated(self, take: Callable[[], Any]) -> list[Any]:
        found = [take()]
        while self.accept(","):
            found.append(take())
        return found

    def end(self) -> None:
        if self._next < len(self._words):
            raise CannotDrawError(f"the query's {self.peek()!r} is not known here")


def _words(text: str) -> Iterator[tuple[str, str]]:
    place, text = 0, text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise CannotDrawError(f"the query cannot be read at {text[place : place + 20]!r}")
        place = match.end()
        if match.lastgroup:
            yield match.lastgroup, match[match.lastgroup]


# ---------------------------------------------------------------- commands

Command = Callable[[_Tokens, list[Line], list[str]], tuple[list[Line], list[str]]]


def _fields(tokens: _Tokens, lines: list[Line], columns: list[str]) -> tuple[list[Line], list[str]]:
    return lines, columns + tokens.separated(tokens.name)


def _filter(tokens: _Tokens, lines: list[Line], columns: list[str]) -> tuple[list[Line], list[str]]:
    test = _either(tokens)
    return [line for line in lines if test(line)], columns


def _stats(tokens: _Tokens, lines: list[Line], _: list[str]) -> tuple[list[Line], list[str]]:
    wanted = tokens.separated(partial(_aggregate, tokens))
    by = tokens.separated(partial(_key, tokens)) if tokens.accept("by") else []
    keys = [name for name, _ in by]
    groups: dict[tuple[Any, ...], list[Line]] = {}
    for line in lines:
        groups.setdefault(tuple(read(line) for _, read in by), []).append(line)
    rows: list[Line] = [
        dict(zip(keys, group, strict=True)) | {name: make(members) for name, make in wanted}
        for group, members in groups.items()
    ]
    return rows, [*keys, *(name for name, _ in wanted)]


def _key(tokens: _Tokens) -> tuple[str, Callable[[Line], Any]]:
    """A field, or the beginning of the span of time that a line falls into."""
    field = tokens.name()
    if not tokens.accept("("):
        return field, lambda line: line.get(field, "")
    if field != "bin":
        raise CannotDrawError(f"the query's function {field!r} is not known here")
    span = tokens.take("span")
    tokens.expect(")")
    seconds = int(span[:-1]) * _SECONDS[span[-1]]
    name = tokens.name() if tokens.accept("as") else f"bin({span})"

    def beginning(line: Line) -> str:
        at = datetime.fromisoformat(line["@timestamp"]).replace(tzinfo=UTC).timestamp()
        begun = datetime.fromtimestamp(at - at % seconds, UTC)
        return begun.strftime("%Y-%m-%d %H:%M:%S")

    return name, beginning


def _aggregate(tokens: _Tokens) -> tuple[str, Callable[[Sequence[Line]], Any]]:
    function = tokens.name()
    if function not in _STATS and function != "pct":
        raise CannotDrawError(f"the query's function {function!r} is not known here")
    tokens.expect("(")
    field = "*" if tokens.accept("*") else tokens.name()
    asked = field
    compute = _STATS.get(function)
    if compute is None:
        tokens.expect(",")
        asked = f"{field}, {tokens.peek()}"
        percentile = statistic(f"p{tokens.take('number')}")
        compute = lambda values: percentile(values) if values else ""  # noqa: E731
    tokens.expect(")")
    name = tokens.name() if tokens.accept("as") else f"{function}({asked})"

    def make(lines: Sequence[Line]) -> Any:  # noqa: ANN401 - as the field is
        return compute([line.get(field, "") for line in lines if field == "*" or field in line])

    return name, make


def _sort(tokens: _Tokens, lines: list[Line], columns: list[str]) -> tuple[list[Line], list[str]]:
    key = tokens.name()
    down = tokens.accept("desc")
    if not down:
        tokens.accept("asc")
    return sorted(lines, key=lambda line: _rank(line.get(key, "")), reverse=down), columns


def _limit(tokens: _Tokens, lines: list[Line], columns: list[str]) -> tuple[list[Line], list[str]]:
    return lines[: int(tokens.take("number"))], columns


_COMMANDS: dict[str, Command] = {
    "fields": _fields,
    "filter": _filter,
    "stats": _stats,
    "sort": _sort,
    "limit": _limit,
}


def _rank(value: Any) -> tuple[bool, Any]:  # noqa: ANN401 - a text or a number
    """Numbers before texts."""
    is_text = not isinstance(value, int | float)
    return is_text, str(value) if is_text else value


# ---------------------------------------------------------------- conditions


def _either(tokens: _Tokens) -> Test:
    tests = [_both(tokens)]
    while tokens.accept("or"):
        tests.append(_both(tokens))
    return lambda line: any(test(line) for test in tests)


def _both(tokens: _Tokens) -> Test:
    tests = [_one(tokens)]
    while tokens.accept("and"):
        tests.append(_one(tokens))
    return lambda line: all(test(line) for test in tests)


def _one(tokens: _Tokens) -> Test:
    if tokens.accept("not"):
        test = _one(tokens)
        return lambda line: not test(line)
    if tokens.accept("("):
        test = _either(tokens)
        tokens.expect(")")
        return test
    if tokens.peek(1) == "(":
        return _present(tokens)
    return _comparison(tokens)


def _present(tokens: _Tokens) -> Test:
    function = tokens.name()
    if function != "ispresent":
        raise CannotDrawError(f"the query's function {function!r} is not known here")
    tokens.expect("(")
    field = tokens.name()
    tokens.expect(")")
    return lambda line: field in line


def _comparison(tokens: _Tokens) -> Test:
    field = tokens.name()
    if tokens.accept("in"):
        tokens.expect("[")
        values = tokens.separated(tokens.literal)
        tokens.expect("]")
        return lambda line: field in line and line[field] in values
    if tokens.accept("like"):
        part = tokens.literal()
        return lambda line: field in line and str(part) in str(line[field])
    sign = tokens.take("sign")
    if sign not in _COMPARISONS:
        raise CannotDrawError(f"the query has {sign!r} where a comparison is expected")
    compare, value = _COMPARISONS[sign], tokens.literal()
    # Texts and numbers have no order between them.
    return lambda line: (
        isinstance(line.get(field), str if isinstance(value, str) else int | float)
        and compare(line[field], value)
    )
