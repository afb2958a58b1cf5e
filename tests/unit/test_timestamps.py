"""AWS's timestamps mean what botocore takes them for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
import pytest
from botocore.utils import parse_timestamp
from hypothesis import given
from hypothesis import strategies as st

from handler.aws.timestamps import read, read_timestamps


@pytest.mark.parametrize(
    "text",
    [
        "2025-11-25T12:30:00.000Z",
        "2025-11-25T12:30:00Z",
        "2025-11-25T12:30:00.123456+00:00",
        "2025-11-25T13:30:00+01:00",
        "20251125T123000Z",
        "Tue, 25 Nov 2025 12:30:00 GMT",
        "1764073800",
        "1764073800.5",
        1764073800,
        1764073800.5,
        0,
    ],
)
def test_whatever_a_service_writes_is_read_as_botocore_reads_it(text: Any) -> None:
    assert read(text).astimezone(UTC) == parse_timestamp(text).astimezone(UTC)


@given(st.datetimes(timezones=st.just(UTC)))
def test_iso_8601_is_read_to_the_microsecond(at: datetime) -> None:
    assert read(at.isoformat().replace("+00:00", "Z")) == at
    assert read(at.isoformat()).utcoffset() == timedelta(0)


def test_what_is_no_time_is_an_error_here_as_there() -> None:
    for text in ("yesterday or so", ""):
        with pytest.raises(ValueError, match="Invalid timestamp"):
            parse_timestamp(text)
        with pytest.raises(ValueError, match="Invalid timestamp"):
            read(text)


def test_every_parser_of_the_session_reads_so() -> None:
    session = botocore.session.get_session()
    read_timestamps(session)
    parser = session.get_component("response_parser_factory").create_parser("ec2")
    assert parser._timestamp_parser is read
