"""What every Describe call shares: filters, their limits, and pages."""

import base64
import binascii
import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from tools.ec2_emulator.errors import AwsError

T = TypeVar("T")
Values = Callable[[T], Iterable[str]]
"""An item's values for one filter: none where it does not have the attribute."""

MAX_FILTER_VALUES = 200
"""Of one call, in all of its filters (https://github.com/ansible/ansible/pull/16184: 199 ids beside a
filter of one value; https://github.com/gjbae1212/gossm/issues/47 has the code and its message)."""
MAX_VALUE_LENGTH = 255
"""Characters (https://github.com/ansible-collections/amazon.aws/issues/2393)."""


def select(
    items: Sequence[T],
    filters: Iterable[Mapping[str, Any]],
    values_of: Mapping[str, Values[T]],
    tags_of: Callable[[T], Mapping[str, str]],
) -> list[T]:
    """The items that every filter accepts; a filter accepts any of its values, `*` and `?` included."""
    selected, filters = list(items), list(filters)
    _check_limits([value for each in filters for value in each.get("Values", [])])
    for each in filters:
        name, wanted = each["Name"], each.get("Values", [])
        values = _values(name, values_of, tags_of)
        accepts = _matcher(tuple(wanted))
        selected = [item for item in selected if any(accepts(value) for value in values(item))]
    return selected


def page(
    items: Sequence[T],
    sequence_of: Callable[[T], int],
    parameters: Mapping[str, Any],
    *,
    smallest: int = 5,
    largest: int = 1_000,
) -> tuple[list[T], str | None]:
    """One page of items in order of their sequence, and the token of the next; all without MaxResults."""
    size = parameters.get("MaxResults")
    if size is not None and not smallest <= size <= largest:
        raise AwsError(
            "InvalidParameterValue",
            f"Value ( {size} ) for parameter maxResults is invalid. "
            f"Expecting a value between {smallest} and {largest}.",
        )
    after = _read_token(parameters.get("NextToken"))
    rest = sorted((item for item in items if sequence_of(item) > after), key=sequence_of)
    if size is None or len(rest) <= size:
        return rest, None
    return rest[:size], _token(sequence_of(rest[size - 1]))


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _check_limits(values: Sequence[str]) -> None:
    if len(values) > MAX_FILTER_VALUES:
        raise AwsError(
            "FilterLimitExceeded",
            f"The maximum number of filter values specified on a single call is {MAX_FILTER_VALUES}",
        )
    if any(len(value) > MAX_VALUE_LENGTH for value in values):
        raise AwsError(
            "FilterLimitExceeded",
            f"The maximum length for a filter value is {MAX_VALUE_LENGTH} characters",
        )


def _values(
    name: str, values_of: Mapping[str, Values[T]], tags_of: Callable[[T], Mapping[str, str]]
) -> Values[T]:
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        return lambda item: [tags_of(item)[key]] if key in tags_of(item) else []
    if name == "tag-key":
        return lambda item: tags_of(item).keys()
    if name not in values_of:
        raise AwsError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return values_of[name]


@functools.lru_cache(maxsize=256)
def _matcher(wanted: tuple[str, ...]) -> Callable[[str], bool]:
    plain = frozenset(value for value in wanted if not re.search(r"[*?\\]", value))
    patterns = [re.compile(_pattern(value), re.DOTALL) for value in wanted if value not in plain]
    return lambda value: value in plain or any(p.fullmatch(value) for p in patterns)


def _pattern(value: str) -> str:
    parts = {"*": ".*", "?": "."}
    return "".join(
        parts.get(token) or re.escape(token.removeprefix("\\") if len(token) == 2 else token)
        for token in re.findall(r"\\.|.", value, re.DOTALL)
    )


def _token(sequence: int) -> str:
    return base64.urlsafe_b64encode(f"after:{sequence}".encode()).decode()


def _read_token(token: str | None) -> int:
    if token is None:
        return -1
    try:
        word, _, number = base64.urlsafe_b64decode(token).decode().partition(":")
        if word == "after":
            return int(number)
    except (ValueError, binascii.Error):
        pass
    raise AwsError("InvalidParameterValue", "Unable to parse pagination token")
