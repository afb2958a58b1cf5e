"""How an error is written down, in one line a fact."""

from collections.abc import Sequence

from tests.facts.fact import DYNAMODB_ERRORS, EC2_API, Fact, Refusal

OVERVIEW = f"{EC2_API}/errors-overview.html"
GITHUB = "https://github.com"


def error(  # noqa: PLR0917 - one line a fact
    name: str,
    source: str,
    call: str,
    code: str,
    message: str,
    means: str,
    *,
    status: int = 400,
    named: Sequence[str] = (),
    denied: bool = False,
) -> Fact:
    """An error in the service's own protocol.

    `means` is one of: throttled (ask again later), no-answer (look at the truth), faulty (AWS failed),
    missing (the id does not exist), refused (because of the ids), in-use, locked-out (because of the
    caller), no-such-call. `named` are the instances and Spot requests that the message names, `denied`
    is a missing permission.
    """
    reading = {"code": code, "means": means, "named": list(named), "denied": denied}
    return Fact(name, source, call, Refusal(code, message), reading, status)


def namespaced(  # noqa: PLR0917 - one line a fact
    name: str, space: str, message: str, code: str, means: str, status: int = 400
) -> Fact:
    """An error as the page on DynamoDB's errors shows them: a name space before the code."""
    body = f'{{"__type":"{space}#{code}","message":"{message}"}}'
    reading = {"code": code, "means": means, "named": [], "denied": code == "AccessDeniedException"}
    return Fact(name, DYNAMODB_ERRORS, "dynamodb.PutItem", body, reading, status)


def foreign(  # noqa: PLR0917 - one line a fact
    name: str, source: str, call: str, status: int, body: str, means: str
) -> Fact:
    """An answer that is not AWS's, or not all of it."""
    return Fact(name, source, call, body, {"means": means}, status)
