"""Reads AWS's lists to their end, page by page: a throttled page is asked for again, not the list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError

from handler.aws import error_codes
from handler.aws.errors import AwsError
from handler.aws.retry import Patience

Call = Callable[..., Mapping[str, Any]]
NEXT = "NextToken"


class NoSuchCallError(BotoCoreError):
    """The endpoint answered with a web server's error page, in a place where AWS speaks its own."""

    fmt = "the endpoint does not know the operation: it answered HTTP {status} with a page of HTML"


def tell_unknown_calls(client: Any) -> None:  # noqa: ANN401 - boto3 makes the class at run time
    """Have a client raise NoSuchCallError where an endpoint, an emulator say, lacks an operation.

    AWS answers every call, a refused one too, in its own format. A load balancer's page, which
    says 502 to 504, is no such sign.
    """
    client.meta.events.register("before-parse", _look_at_answer)


def _look_at_answer(response_dict: Mapping[str, Any], **_: object) -> None:
    kind = str(response_dict["headers"].get("content-type", ""))
    if response_dict["status_code"] in {404, 500, 501} and kind.startswith("text/html"):
        raise NoSuchCallError(status=response_dict["status_code"])


def ask(call: Call, given: Mapping[str, Any]) -> Mapping[str, Any] | AwsError:
    """One call; what goes wrong is a value."""
    try:
        return call(**given)
    except error_codes.SDK_ERRORS as error:
        return error_codes.read(error)


def read_all(
    patience: Patience, call: Call, key: str, **given: object
) -> list[dict[str, Any]] | AwsError:
    """Every page's items under `key`, or the error: half a list would make used things look free."""
    items: list[dict[str, Any]] = []
    token: object = None
    while True:
        parameters = dict(given) if token is None else {**given, NEXT: token}
        answer = patience(lambda parameters=parameters: ask(call, parameters))  # type: ignore[misc] # the default binds this round's
        if isinstance(answer, AwsError):
            return answer
        items += answer.get(key) or []
        token = answer.get(NEXT)
        if not token:
            return items
