"""How this room asks AWS, and reads the parts that several answers share."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from handler.aws import error_codes, lists
from handler.aws.errors import AwsError

FILTER_VALUES = 200
"""Values of one call, in all of its filters: EC2 answers `FilterLimitExceeded` to more."""
LONGEST_VALUE = 255
"""Characters of a filter's value (likewise)."""
LONGEST = 60.0
"""Seconds; longer than any run has time to look."""


def once(call: Callable[[], Mapping[str, Any]], key: str) -> Mapping[str, Any] | AwsError:
    """A call that the SDK makes once; an answer without its field is not AWS's."""
    try:
        answer = call()
    except error_codes.SDK_ERRORS as error:
        return error_codes.read(error)
    return error_codes.NOT_AWS if error_codes.lacks(answer, key) else answer


def request_id(answer: Mapping[str, Any]) -> str | None:
    """AWS's id of the request, for the audit trail."""
    found: str | None = answer.get("ResponseMetadata", {}).get("RequestId")
    return found


def tags_of(raw: Mapping[str, Any]) -> dict[str, str]:
    """A resource's tags."""
    return {tag["Key"]: tag.get("Value", "") for tag in raw.get("Tags") or []}


def filtered(name: str, values: Sequence[str]) -> dict[str, Any]:
    """One filter of a Describe call."""
    return {"Name": name, "Values": list(values)}


def literal(value: str) -> str:
    """A filter's value without its wildcards (EC2, "Filter using wildcards")."""
    return re.sub(r"([\\*?])", r"\\\1", value)


def like(value: str) -> str:
    """A filter's value that matches this one; a long one by its beginning, which may match others too."""
    whole = literal(value)
    return whole if len(whole) <= LONGEST_VALUE else f"{literal(value[: LONGEST_VALUE // 2])}*"


def in_calls(
    name: str, values: Collection[str], *others: dict[str, Any]
) -> Iterator[list[dict[str, Any]]]:
    """The filters of as many calls as it takes to ask for all of these values, beside the others."""
    room = FILTER_VALUES - sum(len(one["Values"]) for one in others)
    for chunk in chunks(values, room):
        yield [filtered(name, chunk), *others]


def chunks(values: Collection[str], size: int) -> Iterator[list[str]]:
    """Cut ids into calls."""
    rest = iter(values)
    return iter(lambda: list(islice(rest, size)), [])


def read_all(
    client: Any,  # noqa: ANN401 - boto3 makes the class at run time
    operation: str,
    key: str,
    **given: object,
) -> list[dict[str, Any]] | AwsError:
    """Every page's items; whoever looks bounds the time (`LookUps`)."""
    return lists.read_all(client, operation, key, lambda: LONGEST, **given)
