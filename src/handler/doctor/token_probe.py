"""Why the client token cannot be read: SSM's answers, told apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handler.aws import error_codes
from handler.aws.errors import AwsError
from handler.backend.token import ClientToken, TokenError
from handler.doctor.ports import TokenFault, TokenTrouble

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

UNKNOWN = frozenset({"ParameterNotFound", "ParameterVersionNotFound"})
KEY = frozenset({"InvalidKeyId"})
"""The parameter's KMS key is gone, disabled, or not this role's to use."""


@dataclass(frozen=True, slots=True)
class TokenProbe:
    """The port `TokenExamination`.

    Args:
        token: as a run uses it, but kept by nobody before.
        ssm: makes the client, the first time it is needed.
    """

    token: ClientToken
    ssm: Callable[[], SSMClient]

    def read(self) -> TokenTrouble | None:
        """GetParameter through Powertools, as a run does."""
        try:
            self.token.get()
        except TokenError as error:
            return self._told_apart(error)
        return None

    def _told_apart(self, error: TokenError) -> TokenTrouble:
        wrapped = error.__cause__
        if wrapped is None:  # SSM gave something
            return TokenTrouble(TokenFault.NOT_A_TOKEN, str(error))
        reason = wrapped.__cause__ or wrapped.__context__  # Powertools wraps it in one of its own
        if not isinstance(reason, error_codes.SDK_ERRORS):
            return TokenTrouble(TokenFault.OTHER, str(wrapped))
        found = error_codes.read(reason)
        return TokenTrouble(self._fault(found), str(found), found)

    def _fault(self, found: AwsError) -> TokenFault:
        if found.code in UNKNOWN:
            return TokenFault.MISSING
        if found.code in KEY:
            return TokenFault.KEY
        if found.denied:
            return TokenFault.KEY if self._readable_encrypted() else TokenFault.DENIED
        return TokenFault.OTHER

    def _readable_encrypted(self) -> bool:
        """Whether SSM itself says yes: a denial has one code, whoever made it."""
        try:
            self.ssm().get_parameter(Name=self.token.parameter, WithDecryption=False)
        except error_codes.SDK_ERRORS:
            return False
        return True
