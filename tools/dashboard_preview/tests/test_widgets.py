"""What a dashboard's JSON may hold, and that nothing in it is left out in silence."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tools.dashboard_preview.__main__ import parameters
from tools.dashboard_preview.errors import CannotDrawError, WidgetError
from tools.dashboard_preview.metrics import Metric, Metrics
from tools.dashboard_preview.rows import written_out
from tools.dashboard_preview.template import Dashboard, Template
from tools.dashboard_preview.widgets import NO_DATA, ONLY_IN_AWS, Alarms, Graph, Recorded, read

TEMPLATE = Template.read(parameters("300"))
AGENT = ["service", "svc", "agent_id", "agent-1"]


def recorded() -> Recorded:
    metrics = Metrics()
    metrics.own.add("Space")
    for name, value in (("Done", 4.0), ("Failed", 1.0)):
        for agent, factor in (("agent-1", 1), ("agent-2", 10)):
            dimensions = frozenset({("service", "svc"), ("agent_id", agent)})
            metrics.put(Metric("Space", name, dimensions), 90.0, [value * factor])
    times = ("1970-01-01 00:01:59.999", "1970-01-01 00:02:00.000")
    lines = [{"@timestamp": time, "n": n} for n, time in enumerate(times, 1)]
    return Recorded(metrics, {"log": lines}, 0.0, 180.0)


def drawn(properties: dict[str, Any], kind: str = "metric", **more: Any) -> Any:
    widget = {"type": kind, "x": 0, "y": 0, "width": 8, "height": 6, "properties": properties}
    dashboard = Dashboard.of("mine", json.dumps({"widgets": [widget], **more}))
    (placed,) = read(dashboard, TEMPLATE, recorded())
    return placed.content


def graph(*rows: list[Any], **more: Any) -> dict[str, Any]:
    return {"title": "Mine", "stat": "Sum", "period": 60, "metrics": list(rows), **more}


def test_dots_repeat_the_row_before() -> None:
    rows = [["Space", "Done", *AGENT], [".", "Failed", ".", ".", ".", "."], ["...", "agent-2"]]
    assert [row.metric for row in written_out(rows)] == [
        Metric("Space", "Done", frozenset({("service", "svc"), ("agent_id", "agent-1")})),
        Metric("Space", "Failed", frozenset({("service", "svc"), ("agent_id", "agent-1")})),
        Metric("Space", "Failed", frozenset({("service", "svc"), ("agent_id", "agent-2")})),
    ]


def test_rows_have_their_labels_points_axes_and_colours() -> None:
    content = drawn(
        graph(
            ["Space", "Done", *AGENT],
            [".", "Failed", ".", ".", ".", ".", {"label": "no", "yAxis": "right", "color": "#000"}],
        )
    )
    assert isinstance(content, Graph)
    assert [(x.label, x.points, x.right, x.colour) for x in content.lines] == [
        ("Done", {60: 4.0}, False, "#1f77b4"),
        ("no", {60: 1.0}, True, "#000"),
    ]


def test_an_expression_may_come_before_what_it_names_and_what_is_invisible_is_not_drawn() -> None:
    content = drawn(
        graph(
            [{"id": "rate", "label": "Rate", "expression": "100 * done / all"}],
            [{"id": "all", "expression": "done + failed", "visible": False}],
            ["Space", "Done", *AGENT, {"id": "done", "visible": False}],
            [".", "Failed", ".", ".", ".", ".", {"id": "failed", "visible": False}],
        )
    )
    assert [(line.label, line.points) for line in content.lines] == [("Rate", {60: 80.0})]


def test_an_array_is_drawn_as_a_line_for_each_metric() -> None:
    content = drawn(
        graph(
            [{"expression": "FILL(METRICS(), 0)"}],
            ["Space", "Done", *AGENT, {"label": "done", "visible": False}],
            [".", "Failed", ".", ".", ".", ".", {"visible": False}],
        )
    )
    assert [(line.label, line.points) for line in content.lines] == [
        ("done", {0: 0.0, 60: 4.0, 120: 0.0}),
        ("Failed", {0: 0.0, 60: 1.0, 120: 0.0}),
    ]


def test_what_nobody_sent_says_so_and_what_only_aws_sends_as_well() -> None:
    lines = drawn(graph(["Space", "Never", *AGENT], ["AWS/SQS", "Age", "QueueName", "q"])).lines
    assert [(line.label, line.points, line.note) for line in lines] == [
        ("Never", {}, NO_DATA),
        ("Age", {}, ONLY_IN_AWS),
    ]


@pytest.mark.parametrize(
    "variable",
    [
        {"type": "property", "property": "agent_id", "defaultValue": "agent-2"},
        {"type": "pattern", "pattern": "agent-1", "defaultValue": "agent-2"},
    ],
)
def test_a_variable_has_its_default(variable: dict[str, str]) -> None:
    variable |= {"id": "agent", "inputType": "select", "label": "Agent"}
    (line,) = drawn(graph(["Space", "Done", *AGENT]), variables=[variable]).lines
    assert line.points == {60: 40.0}


def test_a_dashboard_shows_only_as_far_as_it_looks_back() -> None:
    (line,) = drawn(graph(["Space", "Done", *AGENT]), start="-PT1M").lines
    assert not line.points
    table = drawn({"title": "Mine", "query": "SOURCE 'log' | fields n"}, "log", start="-PT1M").table
    assert table.rows == ((2,),)


def test_a_row_has_its_own_period_or_the_widget_s_or_cloudwatch_s() -> None:
    rows: list[list[Any]] = [["Space", "Done", *AGENT], ["...", "agent-1", {"period": 90}]]
    one, other = drawn(graph(*rows)).lines
    assert (one.period, other.period, other.points) == (60, 90, {90: 4.0})
    without = {"title": "Mine", "metrics": rows[:1]}
    assert [line.period for line in drawn(without).lines] == [300]


def test_alarms_are_called_by_their_names() -> None:
    arn = "arn:aws:lambda:us-east-1:123456789012:function:NoRunsAlarm"
    assert drawn({"title": "Mine", "alarms": [arn]}, "alarm") == Alarms(
        "Mine", ("spot-cleanup-no-runs",)
    )


@pytest.mark.parametrize(
    ("kind", "properties", "named"),
    [
        ("explorer", {"title": "Mine"}, "the type 'explorer'"),
        ("metric", graph(["Space", "Done", *AGENT], view="gauge"), "the view 'gauge'"),
        ("metric", graph(["Space", "Done", *AGENT], sparkline=True), "sparkline"),
        ("metric", graph(["Space", "Done", *AGENT, {"stat": "tm99"}]), "the statistic 'tm99'"),
        ("metric", graph(["Space", "Done", *AGENT, {"accountId": "1"}]), "accountId"),
        ("metric", graph(["Space", "Done", "service"]), "without its value"),
        ("metric", graph([{"id": "x", "expression": "RATE(y)"}]), "RATE"),
        ("metric", graph([{"id": "x", "expression": "x + 1"}]), "in a circle"),
        ("metric", graph([{"label": "x"}]), "neither a metric nor an expression"),
        ("metric", graph(["Space", "Done", *AGENT, {"label": "${LAST}"}]), "${LAST}"),
        (
            "metric",
            graph(["Space", "Done", *AGENT], annotations={"vertical": []}),
            "annotations has ['vertical']",
        ),
        ("metric", graph(["Space", "Done", *AGENT], yAxis={"left": {"log": 1}}), "log"),
        ("log", {"title": "Mine", "query": "SOURCE 'log' | dedup x"}, "command 'dedup'"),
        ("log", {"title": "Mine", "query": "SOURCE 'log'", "view": "pie"}, "the view 'pie'"),
        ("alarm", {"title": "Mine", "alarms": ["arn:of:nothing"]}, "no alarm nothing"),
        ("metric", {"title": "Mine"}, "'metrics' is missing"),
    ],
)
def test_what_is_not_known_is_an_error_that_names_the_widget_and_the_thing(
    kind: str, properties: dict[str, Any], named: str
) -> None:
    with pytest.raises(WidgetError) as error:
        drawn(properties, kind)
    assert str(error.value).startswith("widget 'Mine': ")
    assert named in str(error.value)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ('{"widgets": [}', "no JSON"),
        ('{"widgets": [], "theme": "dark"}', "theme"),
        ('{"widgets": [], "start": "yesterday"}', "yesterday"),
        ('{"widgets": [], "variables": [{"type": "property", "property": "x"}]}', "no default"),
    ],
)
def test_a_body_that_cannot_be_read_is_an_error_that_names_the_dashboard(
    body: str, named: str
) -> None:
    with pytest.raises(CannotDrawError, match=f"dashboard mine: .*{named}"):
        Dashboard.of("mine", body)


def test_how_far_it_looks_back_is_read() -> None:
    body = '{"widgets": [], "start": "-P2DT6H"}'
    assert Dashboard.of("mine", body).span == timedelta(days=2, hours=6)
    assert TEMPLATE.dashboard("Dashboard").name == "spot-cleanup-us-east-1"
