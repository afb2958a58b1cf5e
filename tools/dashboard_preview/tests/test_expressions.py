"""Metric math, against values reckoned by hand."""

from __future__ import annotations

import pytest

from tools.dashboard_preview.errors import CannotDrawError
from tools.dashboard_preview.expressions import Widget, evaluate

DONE = {0: 3.0, 60: 4.0, 180: 0.0}
FAILED = {60: 1.0, 120: 2.0, 180: 0.0}
WIDGET = Widget({"done": DONE, "failed": FAILED}, [DONE, FAILED], range(0, 240, 60))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("done", DONE),
        ("2 * done - 1", {0: 5.0, 60: 7.0, 180: -1.0}),
        ("-done", {0: -3.0, 60: -4.0, 180: 0.0}),
        ("(done + 1) / 2", {0: 2.0, 60: 2.5, 180: 0.5}),
        # what is missing counts as 0
        ("done + failed", {0: 3.0, 60: 5.0, 120: 2.0, 180: 0.0}),
        ("done - failed", {0: 3.0, 60: 3.0, 120: -2.0, 180: 0.0}),
        # a division by zero has no point
        ("done / failed", {60: 4.0, 120: 0.0}),
        ("SUM([done, failed])", {0: 3.0, 60: 5.0, 120: 2.0, 180: 0.0}),
        ("AVG([done, failed])", {0: 1.5, 60: 2.5, 120: 1.0, 180: 0.0}),
        ("MAX([done, failed])", {0: 3.0, 60: 4.0, 120: 2.0, 180: 0.0}),
        ("MIN([done, failed])", {0: 3.0, 60: 1.0, 120: 2.0, 180: 0.0}),
        ("100 * done / SUM([done, failed])", {0: 100.0, 60: 80.0, 120: 0.0}),
        ("SUM(METRICS())", {0: 3.0, 60: 5.0, 120: 2.0, 180: 0.0}),
        ("FILL(done, 0)", {0: 3.0, 60: 4.0, 120: 0.0, 180: 0.0}),
    ],
)
def test_an_expression_makes_a_time_series(expression: str, expected: dict[int, float]) -> None:
    assert evaluate(expression, WIDGET) == expected


def test_an_array_stays_one_series_for_each_metric() -> None:
    assert evaluate("FILL(METRICS(), 9)", WIDGET) == [
        {0: 3.0, 60: 4.0, 120: 9.0, 180: 0.0},
        {0: 9.0, 60: 1.0, 120: 2.0, 180: 0.0},
    ]


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("RATE(done)", "RATE"),
        ("SEARCH('{Space} Wait', 'Sum')", "SEARCH"),
        ("IF(done > 1, done, failed)", "IF"),
        ("done ** 2", "done"),
        ("done > 1", "done > 1"),
        ("SUM(done)", "SUM"),
        ("FILL(done, REPEAT)", "REPEAT"),
        ("done +", "done +"),
        ("missing + 1", "missing"),
        ("1 + 1", "ends in a number"),
        ("[done, failed] * 2", "done"),
    ],
)
def test_anything_else_is_an_error_that_quotes_it(expression: str, named: str) -> None:
    with pytest.raises(CannotDrawError) as error:
        evaluate(expression, WIDGET)
    assert named in str(error.value)
