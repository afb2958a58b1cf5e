"""Looks at AWS: whole lists through botocore's paginators, and single answers, within the run's time.

botocore takes a page without its field for an empty one. Here it is a failed look-up (`NOT_AWS`):
a proxy's page, or `{}`, says nothing about what there is. Real answers hold the field even where
the list is empty. The clients make a call again by themselves (`standard` retries), page by page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from typing import Any, TypeVar

from botocore.parsers import ResponseParserError

from handler.aws import error_codes
from handler.aws.errors import AwsError
from handler.aws.retry import OUT_OF_TIME
from handler.deadline import LateError, in_time, side_by_side

A = TypeVar("A")
T = TypeVar("T")

AT_ONCE = 8
"""Look-ups under way side by side: EC2's bucket holds 100 and refills by 20 a second (EC2 API throttling),
and a call takes some 40 ms."""
READINGS = 3
"""How often something is read whose answer could not be understood: it may have been cut off on the
way, which botocore does not try again."""


class _NotAwsError(Exception):
    """An answer lacks the field that every answer of this operation holds."""


class CallCount:
    """Counts what is sent to AWS, the tries that botocore makes again included."""

    def __init__(self) -> None:
        self.made = 0
        self._lock = Lock()

    def watch(self, client: Any) -> None:  # noqa: ANN401 - boto3 makes the class at run time
        """Count this client's calls as well."""
        client.meta.events.register("before-send", self._sent)

    def _sent(self, **_: object) -> None:
        with self._lock:
            self.made += 1


def read_all(
    client: Any,  # noqa: ANN401 - boto3 makes the class at run time
    operation: str,
    key: str,
    time_left: Callable[[], float],
    **given: object,
) -> list[dict[str, Any]] | AwsError:
    """Every page's items under `key`, or the error: half a list would make used things look free.

    Args:
        client: a boto3 client with `standard` retries.
        operation: boto3's name, such as `describe_images`.
        key: the field that holds the items, in every page.
        time_left: seconds in which AWS may still be asked.
        given: the call's parameters.
    """

    def read() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        for page in _pages(client, operation, given):
            if key not in page:
                raise _NotAwsError
            items += page[key]
            if time_left() <= 0:
                raise LateError
        return items

    return _looked(read, time_left)


def ask(
    client: Any,  # noqa: ANN401 - boto3 makes the class at run time
    operation: str,
    key: str,
    time_left: Callable[[], float],
    **given: object,
) -> dict[str, Any] | AwsError:
    """One answer that is not paginated and holds `key`, or the error; arguments as in `read_all`."""

    def read() -> dict[str, Any]:
        answer: dict[str, Any] = getattr(client, operation)(**given)
        if key not in answer:
            raise _NotAwsError
        return answer

    return _looked(read, time_left)


def each_of(
    look: Callable[[A], T], items: Sequence[A], time_left: Callable[[], float]
) -> list[tuple[A, T]] | AwsError:
    """Look for every item, several at once, in no order; an error where time does not allow for all."""
    answers = list(side_by_side(look, items, at_once=AT_ONCE, left=time_left)) if items else []
    return answers if len(answers) == len(items) else OUT_OF_TIME


def sound(look_up: Callable[[], T | AwsError]) -> T | AwsError:
    """The answer, unless an item lacks what AWS gives every item: then it is not AWS's."""
    try:
        return look_up()
    except (KeyError, TypeError, AttributeError):
        return error_codes.NOT_AWS


def _pages(client: Any, operation: str, given: dict[str, object]) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - as above
    if client.can_paginate(operation):
        yield from client.get_paginator(operation).paginate(**given)
        return
    page = getattr(client, operation)(**given)
    yield page
    while token := page.get("NextToken"):  # botocore has no paginator for DescribeLockedSnapshots
        page = getattr(client, operation)(**given, NextToken=token)
        yield page


def _looked(read: Callable[[], T], time_left: Callable[[], float]) -> T | AwsError:
    answer = error_codes.NOT_AWS
    for _ in range(READINGS):
        if time_left() <= 0:
            return OUT_OF_TIME
        try:
            return in_time(read, time_left)
        except LateError:
            return OUT_OF_TIME
        except _NotAwsError:
            answer = error_codes.NOT_AWS
        except ResponseParserError as error:
            answer = error_codes.read(error)
        except error_codes.SDK_ERRORS as error:
            return error_codes.read(error)
    return answer
