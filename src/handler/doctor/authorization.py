"""The reasons of a denial that EC2 gives in code: sts:DecodeAuthorizationMessage."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from handler.aws import error_codes
from handler.aws.errors import AwsError

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

CODED = re.compile(r"Encoded authorization failure message: (\S+)")
TAG = re.compile(r"(?:aws|ec2):ResourceTag/.+")
SHOWN = 500
"""Characters of a reason in a form that is not known."""


@dataclass(frozen=True, slots=True)
class AuthorizationMessages:
    """The port `Authorizations`."""

    sts: Callable[[], STSClient]

    def decode(self, error: AwsError) -> str | AwsError | None:
        """Who was denied what on which resource, and by what."""
        coded = CODED.search(error.message)
        if coded is None:
            return None
        try:
            answer = self.sts().decode_authorization_message(EncodedMessage=coded[1])
        except error_codes.SDK_ERRORS as failure:
            return error_codes.read(failure)
        if error_codes.lacks(answer, "DecodedMessage"):
            return error_codes.NOT_AWS
        return say(answer["DecodedMessage"])


class _Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class _Items(_Wire):
    items: list[dict[str, Any]] = Field(default_factory=list)


class _Principal(_Wire):
    arn: str = "the caller"


class _Context(_Wire):
    principal: _Principal = Field(default_factory=_Principal)
    action: str
    resource: str = "*"
    conditions: _Items = Field(default_factory=_Items)


class Decoded(_Wire):
    """What the message holds (STS API, DecodeAuthorizationMessage), as far as it is told."""

    explicit_deny: bool = False
    matched_statements: _Items = Field(default_factory=_Items)
    context: _Context


def say(text: str) -> str:
    """The decoded reason as a sentence."""
    try:
        decoded = Decoded.model_validate_json(text)
    except ValidationError:
        return text[:SHOWN]
    context = decoded.context
    what = f"{context.action} on {context.resource}"
    statements = [str(one.get("statementId") or "?") for one in decoded.matched_statements.items]
    if decoded.explicit_deny:
        said = f"{context.principal.arn} is denied {what} by the statement {', '.join(statements)}"
    else:
        said = f"no policy of {context.principal.arn} allows {what}"
    tags = ", ".join(
        f"{one['key'].partition('/')[2]}={_first_value(one)}"
        for one in context.conditions.items
        if TAG.fullmatch(str(one.get("key")))
    )
    return f"{said}; the instance's tags as IAM saw them: {tags or 'none'}"


def _first_value(condition: dict[str, Any]) -> str:
    values = _Items.model_validate(condition.get("values") or {}).items
    return str(values[0].get("value")) if values else ""
