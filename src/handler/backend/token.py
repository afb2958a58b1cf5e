"""The client token: from SSM through Powertools Parameters, kept until the backend refuses it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from handler import redact
from handler.backend.errors import BackendError

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.parameters import SSMProvider

KEPT = 12 * 3600
"""Seconds for which Powertools keeps the token; longer than an execution environment lives.
What ends its use is the backend's 401, so that a run never depends on SSM for a token it has."""

_SENDABLE = re.compile(r"[!-~]+")


class TokenError(BackendError):
    """The client token is not to be had, so the backend is not either; never holds the token."""


def private_ca(provider: SSMProvider, parameter: str) -> str:
    """The certificates in an SSM parameter. Raises OSError, as for a CA bundle that is no file."""
    from aws_lambda_powertools.utilities.parameters import GetParameterError

    try:
        return str(provider.get(parameter, max_age=KEPT))
    except GetParameterError as error:
        said = f"the SSM parameter {parameter} (BACKEND_CA_PARAMETER) could not be read: {error}"
        raise OSError(said) from error


@dataclass(slots=True)
class ClientToken:
    """The token as one run uses it.

    Args:
        given: the token itself (`CLIENT_TOKEN`, local runs only), or None.
        parameter: the SSM parameter's name, used where `given` is None.
        provider: makes Powertools' SSM provider, the first time it is needed.
    """

    given: str | None = field(repr=False)
    parameter: str
    provider: Callable[[], SSMProvider]
    _renewed: str | None = field(default=None, init=False, repr=False)
    _refused: str | None = field(default=None, init=False, repr=False)
    _failure: TokenError | None = field(default=None, init=False)
    _lock: Lock = field(default_factory=Lock, init=False)

    def get(self) -> str:
        """The token. Raises TokenError."""
        with self._lock:
            token = self._renewed or self.given or self._fetch(force=False)
            redact.learn(token)
            return token

    def renew(self, refused: str) -> str | None:
        """Another token than the refused one, fetched anew once in the run; None if there is none.

        Raises TokenError when SSM has none to give.
        """
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if self._renewed is None and self.given is None and self._refused is None:
                self._refused = refused
                try:
                    self._renewed = self._fetch(force=True)
                except TokenError as error:
                    self._failure = error  # the run's other calls must not blame the token
                    raise
            redact.learn(self._renewed or "")
            return self._renewed if self._renewed != refused else None

    def _fetch(self, *, force: bool) -> str:
        from aws_lambda_powertools.utilities.parameters import GetParameterError

        try:
            value = self.provider().get(
                self.parameter, decrypt=True, max_age=KEPT, force_fetch=force
            )
        except GetParameterError as error:
            cause = error.__cause__ or error.__context__ or error
            raise TokenError(
                f"the client token could not be read from the SSM parameter {self.parameter}: "
                f"{cause}. Check that it exists in this region, and that the function's role may "
                "read it (ssm:GetParameter, and kms:Decrypt for a key of your own)"
            ) from error
        token = str(value).strip()
        if not _SENDABLE.fullmatch(token):
            raise TokenError(
                f"the SSM parameter {self.parameter} does not hold a token: it is empty, or holds "
                "spaces or characters that no HTTP header can carry"
            )
        return token
