"""Timestamps in AWS's answers, read by the standard library.

botocore takes each apart with dateutil, which was a fifth of a burst's processor time: EC2 sends four
timestamps with every instance.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.utils import parse_timestamp

if TYPE_CHECKING:
    from botocore.session import Session


def read_timestamps(session: Session) -> None:
    """Have the session's clients read timestamps so: botocore's own way to give its parsers another function."""
    factory = session.get_component("response_parser_factory")
    factory.set_parser_defaults(timestamp_parser=read)


def read(value: Any) -> datetime:  # noqa: ANN401 - a text, or seconds
    """ISO 8601 with a zone here; everything else (seconds, RFC 822, no zone) as botocore reads it."""
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            if at.tzinfo is not None:
                return at
    read_by_botocore: datetime = parse_timestamp(value)
    return read_by_botocore
