"""Aggregation as CloudWatch's, against values reckoned by hand."""

from __future__ import annotations

import pytest

from tools.dashboard_preview.errors import CannotDrawError
from tools.dashboard_preview.metrics import Metric, Metrics, statistic

NOON = 1_764_072_000  # 2025-11-25 12:00:00 UTC
HERE = frozenset({("service", "svc"), ("agent_id", "agent-1")})
WAIT = Metric("Space", "Wait", HERE)


def emf(at: float, **values: float | list[float]) -> dict[str, object]:
    return {
        "_aws": {
            "Timestamp": int(at * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": "Space",
                    "Dimensions": [["agent_id", "service"]],
                    "Metrics": [{"Name": name, "Unit": "Count"} for name in values],
                }
            ],
        },
        "agent_id": "agent-1",
        "service": "svc",
        **values,
    }


@pytest.mark.parametrize(
    ("stat", "expected"),
    [
        ("Sum", 150.0),
        ("Average", 30.0),
        ("Minimum", 10.0),
        ("Maximum", 50.0),
        ("SampleCount", 5.0),
        ("p50", 30.0),
        ("p90", 50.0),
        ("p80", 40.0),
        ("p20", 10.0),
        ("p99.9", 50.0),
        ("p0", 10.0),
        ("p100", 50.0),
    ],
)
def test_a_statistic_of_five_samples(stat: str, expected: float) -> None:
    assert statistic(stat)([30.0, 10.0, 50.0, 20.0, 40.0]) == expected


def test_a_percentile_of_a_hundred_samples_leaves_so_many_at_or_below_it() -> None:
    hundred = [float(n) for n in range(1, 101)]
    assert [statistic(p)(hundred) for p in ("p50", "p95", "p99")] == [50.0, 95.0, 99.0]


@pytest.mark.parametrize("stat", ["tm90", "IQM", "p101", "Median", "sum", ""])
def test_another_statistic_is_an_error_that_names_it(stat: str) -> None:
    with pytest.raises(CannotDrawError, match=f"the statistic '{stat}'"):
        statistic(stat)


def test_samples_fall_into_the_period_in_which_they_were_sent() -> None:
    metrics = Metrics()
    for at, values in ((0, [1.0, 2.0]), (299.9, [4.0]), (300, [8.0]), (900, [16.0])):
        metrics.put_emf(emf(NOON + at, Wait=values))
    assert metrics.series(WAIT, "Sum", 300, NOON, NOON + 3600) == {
        NOON: 7.0,
        NOON + 300: 8.0,
        NOON + 900: 16.0,
    }


def test_a_period_begins_at_its_multiple_and_a_day_at_midnight_in_utc() -> None:
    metrics = Metrics()
    metrics.put_emf(emf(NOON + 61, Wait=1.0))
    assert metrics.series(WAIT, "Sum", 60, NOON + 61, NOON + 100) == {NOON + 60: 1.0}
    assert metrics.series(WAIT, "Sum", 86400, NOON, NOON + 100) == {NOON - 43200: 1.0}


def test_what_is_before_or_after_the_drawn_time_does_not_count() -> None:
    metrics = Metrics()
    for at in (-1, 0, 60):
        metrics.put_emf(emf(NOON + at, Wait=1.0))
    assert metrics.series(WAIT, "SampleCount", 60, NOON, NOON + 60) == {NOON: 1.0}


def test_other_dimensions_are_another_metric() -> None:
    metrics = Metrics()
    metrics.put_emf(emf(NOON, Wait=1.0))
    fewer = Metric("Space", "Wait", frozenset({("service", "svc")}))
    assert metrics.series(fewer, "Sum", 60, NOON, NOON + 60) == {}


def test_it_is_known_which_namespaces_are_the_function_s_own() -> None:
    metrics = Metrics()
    metrics.put_emf(emf(NOON, Wait=1.0))
    metrics.put(Metric("AWS/Lambda", "Errors", frozenset()), NOON, [0.0])
    assert metrics.own == {"Space"}
    assert metrics.names() == {("Space", "Wait"), ("AWS/Lambda", "Errors")}
