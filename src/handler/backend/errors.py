"""What goes wrong between this function and the product's backend."""

from __future__ import annotations


class BackendError(Exception):
    """A list could not be had, or a report was not acknowledged.

    The message says what happened and what to do; it never holds a secret. `status` is HTTP's,
    where there was an answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
