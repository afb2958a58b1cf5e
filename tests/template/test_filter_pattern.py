"""The matcher of tests/support/filter_pattern.py judges as CloudWatch Logs does."""

import pytest

from tests.support.filter_pattern import matches


@pytest.mark.parametrize(
    ("pattern", "line", "hit"),
    [
        ('{ $.a = "x" }', '{"a": "x"}', True),
        ('{ $.a = "x" }', '{"a": "xx"}', False),
        ('{ $.a = "x*" }', '{"a": "xx"}', True),
        ('{ $.a = "*x*" }', '{"a": "axb"}', True),
        ('{ $.a = "x." }', '{"a": "xy"}', False),
        ('{ $.a = "x" }', '{"b": "x"}', False),
        ('{ $.a = "5" }', '{"a": 5}', False),
        ('{ ($.a = "x")\n|| ($.b = "y") }', '{"b": "y"}', True),
        ("{ $.a[0] > 5 }", '{"a": [6.0]}', True),
        ("{ $.a[0] > 5 }", '{"a": [5.0, 6.0]}', False),
        ("{ $.a[0] > 5 }", '{"a": []}', False),
        ("{ $.a[0] > 5 }", '{"a": 6}', False),
        ('{ $.a = "x" }', "no JSON", False),
        ('{ $.a = "x" }', '["x"]', False),
    ],
)
def test_a_line_is_counted_or_not(pattern: str, line: str, hit: bool) -> None:
    assert matches(pattern, line) is hit


@pytest.mark.parametrize(
    "pattern",
    ["ERROR", '{ $.a != "x" }', '{ ($.a = "x") && ($.b = "y") }', "{ $.a > x }", "{ $.a = 5 }"],
)
def test_what_it_does_not_know_is_an_error(pattern: str) -> None:
    with pytest.raises(NotImplementedError):
        matches(pattern, '{"a": "x"}')
