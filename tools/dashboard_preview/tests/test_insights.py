"""The part of Logs Insights' language that the tables use."""

from __future__ import annotations

import pytest

from tools.dashboard_preview.errors import CannotDrawError
from tools.dashboard_preview.insights import Line, query

LINES: list[Line] = [
    {"@timestamp": "09:00", "level": "INFO", "outcome": "terminated", "instance_id": "i-1", "n": 3},
    {"@timestamp": "09:01", "level": "WARNING", "outcome": "failed", "code": "Denied", "n": 10},
    {"@timestamp": "09:02", "level": "WARNING", "outcome": "refused", "why": "protected"},
    {"@timestamp": "09:03", "level": "ERROR", "message": "run failed: 'why'"},
    {"@timestamp": "09:04", "level": "WARNING", "outcome": "failed", "code": "Denied", "n": 2.5},
]


def rows(text: str) -> list[tuple[object, ...]]:
    return list(query(f"SOURCE 'log' | {text}", {"log": LINES}).rows)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("outcome = 'failed'", ["09:01", "09:04"]),
        ('outcome in ["failed", "refused"]', ["09:01", "09:02", "09:04"]),
        ("outcome in ['refused'] or level = 'ERROR'", ["09:02", "09:03"]),
        ("level = 'WARNING' and code = 'Denied' or level = 'ERROR'", ["09:01", "09:03", "09:04"]),
        ("level = 'WARNING' and (code = 'Denied' or level = 'ERROR')", ["09:01", "09:04"]),
        ("not level = 'WARNING'", ["09:00", "09:03"]),
        ("message like 'failed'", ["09:03"]),
        ("ispresent(why)", ["09:02"]),
        ("not ispresent(outcome)", ["09:03"]),
        ("n > 2.5", ["09:00", "09:01"]),
        ("n <= 3 and n != 3", ["09:04"]),
        ("n = 'three'", []),
        ("nowhere = 'x'", []),
    ],
)
def test_a_filter_keeps_the_lines_that_it_speaks_of(condition: str, expected: list[str]) -> None:
    assert rows(f"filter {condition} | fields @timestamp") == [(one,) for one in expected]


def test_fields_are_columns_and_what_a_line_lacks_is_blank() -> None:
    table = query(
        "SOURCE 'log' | fields @timestamp, code | sort @timestamp desc | limit 2", {"log": LINES}
    )
    assert table.columns == ("@timestamp", "code")
    assert table.rows == (("09:04", "Denied"), ("09:03", ""))


def test_stats_count_and_take_the_latest_by_keys() -> None:
    table = query(
        "SOURCE 'log' | filter ispresent(outcome) | stats count(*) as attempts, latest(n) as last, sum(n) "
        "by outcome, code | sort attempts desc",
        {"log": LINES},
    )
    assert table.columns == ("outcome", "code", "attempts", "last", "sum(n)")
    assert table.rows[0] == ("failed", "Denied", 2, 2.5, 12.5)
    assert set(table.rows[1:]) == {("terminated", "", 1, 3, 3), ("refused", "", 1, "", 0)}


def test_stats_by_a_span_of_time_and_percentiles() -> None:
    days: list[Line] = [
        {"@timestamp": f"2025-11-{day} {hour:02}:59:59.900", "ms": hour}
        for day in (18, 19)
        for hour in range(day)
    ]
    table = query(
        "SOURCE 'log' | stats pct(ms, 50) as p50, pct(ms, 95), count(*) by bin(1d) as day, bin(12h)"
        " | sort day desc",
        {"log": [*days, {"@timestamp": "2025-11-18 00:00:00.000"}]},
    )
    assert table.columns == ("day", "bin(12h)", "p50", "pct(ms, 95)", "count(*)")
    assert table.rows[0] == ("2025-11-19 00:00:00", "2025-11-19 00:00:00", 5, 11, 12)
    assert table.rows[-1] == ("2025-11-18 00:00:00", "2025-11-18 12:00:00", 14, 17, 6)


def test_numbers_are_sorted_as_numbers() -> None:
    assert rows("filter ispresent(n) | fields n | sort n asc") == [(2.5,), (3,), (10,)]


def test_comments_and_line_breaks_are_nothing() -> None:
    assert rows("# put in the id\n filter instance_id = 'i-1' # so\n | fields n") == [(3,)]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("parse @message '*' as x", "command 'parse'"),
        ("dedup outcome", "command 'dedup'"),
        ("stats stddev(n)", "function 'stddev'"),
        ("stats pct(n)", "where ','"),
        ("stats count(*) by floor(n)", "function 'floor'"),
        ("filter strlen(why) > 3", "function 'strlen'"),
        ("filter why ~ 'x'", "~ 'x'"),
        ("filter why", "its end"),
        ("fields n extra", "'extra'"),
        ("limit many", "'many'"),
    ],
)
def test_anything_else_is_an_error_that_names_it(text: str, named: str) -> None:
    with pytest.raises(CannotDrawError) as error:
        rows(text)
    assert named in str(error.value)


def test_a_group_that_is_not_there_is_an_error() -> None:
    with pytest.raises(CannotDrawError, match="no log group 'other'"):
        query("SOURCE 'other' | fields n", {"log": LINES})
