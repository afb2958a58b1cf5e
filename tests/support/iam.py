"""Would IAM allow this request? The smallest evaluator that can tell of this project's policies.

moto ignores conditions. Among Python's packages some lint policies (parliament,
iam-policy-validator), write them (policy-sentry) or take them apart (policyuniverse), but
none that is kept evaluates a request. Node has one, @cloud-copilot/iam-simulate, by far larger
than what one table of requests needs, and it would bring a second language's lock file.

Known: identity policies with Allow and Deny, action and resource patterns, and the condition operators
in `_OPERATORS`, each with `IfExists`. Anything else is an error, never a silent yes or no:
NotAction, set operators, policy variables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_KNOWN = {"Sid", "Effect", "Action", "Resource", "Condition"}


@dataclass(frozen=True)
class Request:
    """One call as IAM sees it: a resource of each type that the action needs is a request."""

    action: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict)


def is_allowed(policies: Iterable[Mapping[str, Any]], request: Request) -> bool:
    """A Deny beats every Allow, and without an Allow the answer is no."""
    statements = [s for policy in policies for s in _list(policy["Statement"])]
    effects = {s["Effect"] for s in statements if _applies(s, request)}
    if unknown := effects - {"Allow", "Deny"}:
        raise NotImplementedError(f"effect {unknown}")
    return effects == {"Allow"}


def _applies(statement: Mapping[str, Any], request: Request) -> bool:
    if unknown := statement.keys() - _KNOWN:
        raise NotImplementedError(f"{', '.join(sorted(unknown))} in a statement")
    return (
        any(
            _pattern(a, ignore_case=True).fullmatch(request.action)
            for a in _list(statement["Action"])
        )
        and any(_matches_resource(r, request.resource) for r in _list(statement["Resource"]))
        and all(
            _condition_holds(operator, key, _list(wanted), request.context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _matches_resource(pattern: str, resource: str) -> bool:
    # An action that knows no resources is only covered by "*".
    return pattern == "*" if resource == "*" else bool(_pattern(pattern).fullmatch(resource))


def _condition_holds(
    operator: str, key: str, wanted: list[str], context: Mapping[str, str]
) -> bool:
    found = {name.lower(): value for name, value in context.items()}.get(key.lower())
    if operator == "Null":
        return str(found is None).lower() in wanted
    name = operator.removesuffix("IfExists")
    if name not in _OPERATORS:
        raise NotImplementedError(f"condition operator {operator}")
    if found is None:
        return operator != name or name in _NEGATED
    test = _OPERATORS[name]
    hit = any(test(value, found) for value in wanted)
    return hit != (name in _NEGATED)


def _equals(wanted: str, found: str) -> bool:
    return _literal(wanted) == found


def _like(wanted: str, found: str) -> bool:
    return bool(_pattern(wanted).fullmatch(found))


_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": _equals,
    "StringNotEquals": _equals,
    "StringLike": _like,
    "StringNotLike": _like,
    "ArnEquals": _like,
    "ArnLike": _like,
    "Bool": lambda wanted, found: wanted.lower() == found.lower(),
}
_NEGATED = {"StringNotEquals", "StringNotLike"}


def _literal(text: str) -> str:
    if "${" in text:
        raise NotImplementedError(f"policy variable in {text!r}")
    return text


@lru_cache
def _pattern(pattern: str, *, ignore_case: bool = False) -> re.Pattern[str]:
    parts = re.split(r"([*?])", _literal(pattern))
    text = "".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in parts)
    return re.compile(text, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
