"""An answer that botocore cannot read is a failed call, whatever its parsers stumble over.

They take a well-formed answer of another shape for AWS's: a number where a list belongs ends in an
AttributeError, a date that is none in a ValueError. None of these is an error of the SDK's, so that
one odd answer would end the run.
"""

from __future__ import annotations

from typing import Any

from botocore.parsers import ResponseParserError, ResponseParserFactory
from botocore.session import Session


def refuse_unreadable(core: Session) -> None:
    """From now on clients of this session raise nothing but the SDK's errors."""
    core.register_component("response_parser_factory", _Parsers())


class _Parsers(ResponseParserFactory):
    def create_parser(self, protocol_name: str) -> Any:  # noqa: ANN401 - botocore chooses the class
        return _Parser(super().create_parser(protocol_name))


class _Parser:
    """Raises ResponseParserError alone."""

    def __init__(self, real: Any) -> None:  # noqa: ANN401 - as above
        self._real = real

    def parse(self, response: Any, shape: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
        try:
            answer = self._real.parse(response, shape)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ResponseParserError(
                f"the answer cannot be read: {type(error).__name__}"
            ) from error
        if not isinstance(answer, dict):
            raise ResponseParserError("the answer is no object")
        return answer
