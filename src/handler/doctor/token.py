"""Examines the client token: whether it can be read, and if not, why; SSM's answers, told apart."""

from __future__ import annotations

from typing import NamedTuple

from handler.aws import error_codes
from handler.aws.errors import AwsError
from handler.backend.token import ClientToken, TokenError
from handler.doctor.advice import Advice, advice, allow
from handler.doctor.dependencies import LONGEST_LOOK, Dependencies, examines
from handler.doctor.findings import Check, Finding, failed, ok

TOKEN = Check("token", "Can the function read its client token?")
UNKNOWN = frozenset({"ParameterNotFound", "ParameterVersionNotFound"})
KEY = frozenset({"InvalidKeyId"})
"""The parameter's KMS key is gone, disabled, or not this role's to use."""

_UNKNOWN = Advice(
    "the parameter does not exist in this account and region",
    "create it as a SecureString, or set the stack's parameter ClientTokenParameter to its name",
)
_DENIED = Advice(
    "the function's role lacks ssm:GetParameter on it",
    allow("ssm:GetParameter on this parameter"),
)
_KEY = Advice(
    "SSM would give it, but its KMS key does not decrypt for the function's role",
    "set the template's TokenKmsKeyArn to the key (that allows kms:Decrypt), see that the key's "
    "own policy lets the account in, and that the key is enabled",
)
_NOT_A_TOKEN = Advice(
    "it holds something else than a token",
    "put the client's token, and nothing else, into the parameter: no spaces, no quotes, no JSON",
)
_OTHER = Advice(
    "AWS does not give the parameter's value",
    "in a VPC: give the subnets a NAT gateway or an interface endpoint of SSM; else see the error",
)


class Trouble(NamedTuple):
    """Why it cannot be read; `found` never holds what the parameter holds."""

    found: str
    advice: Advice


@examines(TOKEN)
def examine(it: Dependencies) -> list[Finding]:
    """Every agent's token, as SSM has it now."""
    return it.per_agent([TOKEN], lambda agent_id: [_of(it, agent_id)], LONGEST_LOOK + 1)


def _of(it: Dependencies, agent_id: str) -> Finding:
    token = it.token(agent_id)
    if token.given is not None:
        return ok(TOKEN, "it is given by CLIENT_TOKEN, which is for local runs")
    trouble = it.look(lambda: _read(it, token))
    if trouble is None:
        return ok(TOKEN, f"the SSM parameter {token.parameter} holds one")
    it.tokenless.add(agent_id)
    if isinstance(trouble, AwsError):
        trouble = Trouble(str(trouble), advice(trouble, "ssm:GetParameter"))
    return failed(TOKEN, f"{token.parameter}: {trouble.found}", *trouble.advice)


def _read(it: Dependencies, token: ClientToken) -> Trouble | None:
    """GetParameter through Powertools, as a run does."""
    try:
        token.get()
    except TokenError as error:
        wrapped = error.__cause__
        if wrapped is None:  # SSM gave something
            return Trouble(str(error), _NOT_A_TOKEN)
        reason = wrapped.__cause__ or wrapped.__context__  # Powertools wraps it in one of its own
        if not isinstance(reason, error_codes.SDK_ERRORS):
            return Trouble(str(wrapped), _OTHER)
        found = error_codes.read(reason)
        return Trouble(str(found), _advice(it, token, found))
    return None


def _advice(it: Dependencies, token: ClientToken, found: AwsError) -> Advice:
    if found.code in UNKNOWN:
        return _UNKNOWN
    if found.code in KEY:
        return _KEY
    if found.denied:
        return _KEY if _readable_encrypted(it, token) else _DENIED
    return advice(found, "ssm:GetParameter")


def _readable_encrypted(it: Dependencies, token: ClientToken) -> bool:
    """Whether SSM itself says yes: a denial has one code, whoever made it."""
    try:
        it.client("ssm").get_parameter(Name=token.parameter, WithDecryption=False)
    except error_codes.SDK_ERRORS:
        return False
    return True
