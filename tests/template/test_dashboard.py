"""The dashboards, alarms and saved queries name what the code writes, and all of it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from handler.images.delete import DeletionStatus
from handler.instances.outcome import Outcome
from handler.telemetry import COUNT, metrics_to
from tests.template.stack import ROOT, Stack

Json = Any

CODE = ROOT / "src" / "handler"
TELEMETRY = [CODE / "instances" / "journal.py", CODE / "images" / "journal.py"]
METRIC = re.compile(r"(?:[A-Z][a-z]+){2,}")
AWS_METRICS = {
    "AWS/Lambda": {"Invocations", "Errors", "Throttles", "Duration"},
    "AWS/SQS": {"ApproximateNumberOfMessagesVisible", "NumberOfMessagesSent"},
}
SERVICE = {"service": "svc"}
"""The metrics' only dimension."""
OF_FILTERS = "Space/mine"
"""The namespace of what the filters on the log count: see test_log_filters.py."""
STACK = Stack.of(
    "mine",
    "ap-south-1",
    AgentId="agent-9",
    PowertoolsServiceName="svc",
    PowertoolsMetricsNamespace="Space",
    HousekeepingEnabled="true",
)
DASHBOARDS = {
    name: json.loads(properties["DashboardBody"])
    for name, properties in STACK.of_type("AWS::CloudWatch::Dashboard").items()
}
QUERIES = STACK.of_type("AWS::Logs::QueryDefinition")


def constants(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def emitted() -> set[str]:
    """In the telemetry modules, and only there, a metric's name is a text in CamelCase."""
    found = {text for path in TELEMETRY for text in constants(path) if METRIC.fullmatch(text)}
    return found | {outcome.metric for outcome in Outcome}


def widgets(kind: str, *dashboards: str) -> list[dict[str, Json]]:
    return [
        widget["properties"]
        for name in dashboards or DASHBOARDS
        for widget in DASHBOARDS[name]["widgets"]
        if widget["type"] == kind
    ]


def written_out(rows: list[list[Json]]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Namespace, name and dimensions of each metric: `.` and `...` repeat the row before."""
    before: list[str] = []
    for row in rows:
        words = [word for word in row if isinstance(word, str)]
        if not words:
            continue  # an expression
        if words[0] == "...":
            words = before[: len(before) - len(words) + 1] + words[1:]
        words = [before[i] if word == "." else word for i, word in enumerate(words)]
        before = words
        yield words[0], words[1], dict(zip(words[2::2], words[3::2], strict=True))


def on_dashboards(*dashboards: str) -> list[tuple[str, str, dict[str, str]]]:
    return [
        metric
        for widget in widgets("metric", *dashboards)
        for metric in written_out(widget["metrics"])
    ]


def in_alarms() -> list[tuple[str, str, dict[str, str]]]:
    plain = []
    for alarm in STACK.of_type("AWS::CloudWatch::Alarm").values():
        stats = [m["MetricStat"]["Metric"] for m in alarm.get("Metrics", []) if "MetricStat" in m]
        plain += stats or [alarm]
    return [
        (one["Namespace"], one["MetricName"], {d["Name"]: d["Value"] for d in one["Dimensions"]})
        for one in plain
        if one["Namespace"] != OF_FILTERS
    ]


def test_every_metric_named_is_emitted_and_every_metric_emitted_is_named() -> None:
    shown = {name for space, name, _ in on_dashboards() + in_alarms() if space == "Space"}
    assert shown == emitted()


def test_no_metric_is_sent_past_the_one_that_sends_and_named_outside_the_journals() -> None:
    senders = {path for path in CODE.rglob("*.py") if "add_metric" in path.read_text()}
    assert senders == {CODE / "telemetry.py"}


def test_other_metrics_are_aws_own_and_of_this_stack() -> None:
    for space, name, dimensions in on_dashboards() + in_alarms():
        if space != "Space":
            assert name in AWS_METRICS[space]
            (value,) = dimensions.values()
            assert value.startswith("mine-")


def test_metrics_have_the_service_as_their_only_dimension(
    capsys: pytest.CaptureFixture[str],
) -> None:
    metrics_to("Space", "svc")([("FuseBlown", COUNT, 1.0)])
    (blob,) = [json.loads(x) for x in capsys.readouterr().out.splitlines() if '"_aws"' in x]
    (sent,) = blob["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
    assert {key: blob[key] for key in sent} == SERVICE
    for space, _, dimensions in on_dashboards() + in_alarms():
        if space == "Space":
            assert dimensions == SERVICE


def test_what_is_shown_of_housekeeping_exists_only_with_it() -> None:
    assert list(Stack.of().of_type("AWS::CloudWatch::Dashboard")) == ["Dashboard"]
    first, second = (
        {name for space, name, _ in on_dashboards(which) if space == "Space"}
        for which in ("Dashboard", "HousekeepingDashboard")
    )
    assert first.isdisjoint(second)
    assert "Housekeeping" not in json.dumps(DASHBOARDS["Dashboard"])


def test_the_times_to_termination_are_p50_and_p95_and_the_longest_wait_does_not_hide_them() -> None:
    """Where few machines end in a day, p95 is the longest: that stands in a table."""
    (rows,) = [w["metrics"] for w in widgets("metric") if "TimeToTerminate" in str(w["metrics"])]
    assert [row[-1]["stat"] for row in rows] == ["p50", "p95"]
    (table,) = [w for w in widgets("log", "Dashboard") if "by agent_id" in w["query"]]
    assert "max(seconds_waited) as longest_wait" in table["query"]


def test_a_rate_is_reckoned_from_metrics_of_its_own_widget() -> None:
    for widget in widgets("metric"):
        options = [row[-1] for row in widget["metrics"] if isinstance(row[-1], dict)]
        ids = {option["id"] for option in options if "id" in option}
        for expression in (o["expression"] for o in options if "expression" in o):
            assert set(re.findall(r"\b[a-z]\w*", expression)) <= ids


@pytest.mark.parametrize(
    ("dashboard", "function"),
    [("Dashboard", "TerminationFunction"), ("HousekeepingDashboard", "HousekeepingFunction")],
)
def test_durations_are_shown_against_the_function_s_own_limit(
    dashboard: str, function: str
) -> None:
    (duration,) = [w for w in widgets("metric", dashboard) if "Duration" in str(w["metrics"])]
    (line,) = duration["annotations"]["horizontal"]
    assert line["value"] == STACK.properties(function)["Timeout"] * 1000
    assert ("AWS/Lambda", "Duration", {"FunctionName": f"mine-{function}"}) in on_dashboards(
        dashboard
    )


def test_the_oldest_wait_is_shown_against_its_alarm() -> None:
    (wait,) = [w for w in widgets("metric") if "OldestWait" in str(w["metrics"])]
    (line,) = wait["annotations"]["horizontal"]
    assert line["value"] == int(STACK.parameters["OverdueAfterSeconds"])


def test_the_state_of_every_alarm_is_on_the_dashboard() -> None:
    (widget,) = widgets("alarm")
    alarms = {
        **STACK.of_type("AWS::CloudWatch::Alarm"),
        **STACK.of_type("AWS::CloudWatch::CompositeAlarm"),
    }
    assert sorted(widget["alarms"]) == sorted(map(STACK.arn, alarms))


@pytest.mark.parametrize("dashboard", sorted(DASHBOARDS))
def test_widgets_are_titled_in_this_region_and_cover_one_another_nowhere(dashboard: str) -> None:
    covered: set[tuple[int, int]] = set()
    for widget in DASHBOARDS[dashboard]["widgets"]:
        assert widget["properties"]["title"]
        if widget["type"] != "alarm":
            assert widget["properties"]["region"] == "ap-south-1"
        assert widget["x"] + widget["width"] <= 24
        area = {
            (widget["x"] + i, widget["y"] + j)
            for i in range(widget["width"])
            for j in range(widget["height"])
        }
        assert covered.isdisjoint(area)
        covered |= area


def test_what_became_of_each_agent_s_machines_is_a_table_from_the_log() -> None:
    (table,) = [w for w in widgets("log", "Dashboard") if "by agent_id" in w["query"]]
    assert "count_distinct(instance_id)" in table["query"]
    assert "agent_id" not in json.dumps(widgets("metric"))


def test_machine_hours_are_summed() -> None:
    (widget,) = [w for w in widgets("metric") if "ZombieHours" in str(w["metrics"])]
    assert (widget["stat"], widget["period"]) == ("Sum", 86400)


def test_dashboards_are_named_after_stack_and_region_for_they_are_seen_from_every_region() -> None:
    for properties in STACK.of_type("AWS::CloudWatch::Dashboard").values():
        assert properties["DashboardName"].startswith("mine-ap-south-1")
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,255}", properties["DashboardName"])


def test_saved_queries_are_named_after_the_stack_and_ask_its_own_log() -> None:
    assert sorted(query["Name"] for query in QUERIES.values()) == [
        "mine/failures by code",
        "mine/history of one instance",
        "mine/look-ups that failed",
        "mine/machines that do not end",
        "mine/slowest runs",
        "mine/terminations by reason",
    ]
    for query in QUERIES.values():
        of_both = query["Name"] == "mine/look-ups that failed"
        other = ["mine-HousekeepingLogGroup"] if of_both else []
        assert query["LogGroupNames"] == ["mine-TerminationLogGroup", *other]


def test_outputs_lead_to_the_dashboards() -> None:
    for output, dashboard in (
        ("DashboardUrl", "Dashboard"),
        ("HousekeepingDashboardUrl", "HousekeepingDashboard"),
    ):
        url = STACK.outputs[output]["Value"]
        assert url.startswith("https://ap-south-1.console.aws.amazon.com/cloudwatch/")
        assert url.endswith(f"#dashboards/dashboard/mine-{dashboard}")


# ---------------------------------------------------------------- queries

POWERTOOLS_KEYS = {"level", "message", "service", "function_request_id", "agent_id"}
"""And what is appended to each line."""
REPORT_KEYS = {  # of Lambda's own line at a run's end
    "type",
    "record.metrics.durationMs",
    "record.metrics.initDurationMs",
    "record.metrics.maxMemoryUsedMB",
    "record.requestId",
    "record.status",
}
INSIGHTS = (
    {"SOURCE", "fields", "filter", "stats", "sort", "limit"}
    | {"by", "as", "asc", "desc", "in", "like", "and", "or"}
    | {"count", "count_distinct", "max", "latest", "pct", "bin", "ispresent"}
)


def written(path: Path) -> set[str]:
    """The keys of the dict displays in a telemetry module: what `extra` is made of."""
    displays = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Dict)]
    keys = [key.value for d in displays for key in d.keys if isinstance(key, ast.Constant)]
    return cast("set[str]", set(keys)) | POWERTOOLS_KEYS


def bare(query: str) -> str:
    """A query without comments and quoted text."""
    return re.sub(r"#.*|\"[^\"]*\"|'[^']*'", " ", query)


def keys_used(query: str) -> set[str]:
    text = bare(query)
    own = set(re.findall(r"\bas (\w+)", text))
    return set(re.findall(r"(?<![\w@.])[A-Za-z_][\w.]*", text)) - INSIGHTS - own


def saved_and_shown() -> dict[str, tuple[str, Path]]:
    shown = {w["title"]: (w["query"], TELEMETRY[0]) for w in widgets("log", "Dashboard")}
    cleanup = {
        f"Housekeeping: {w['title']}": (w["query"], TELEMETRY[1])
        for w in widgets("log", "HousekeepingDashboard")
    }
    saved = {q["Name"]: (q["QueryString"], TELEMETRY[0]) for q in QUERIES.values()}
    return {**shown, **cleanup, **saved}


@pytest.mark.parametrize("title", sorted(saved_and_shown()))
def test_a_query_asks_only_for_keys_that_the_log_has(title: str) -> None:
    query, writer = saved_and_shown()[title]
    known = REPORT_KEYS if "platform.report" in query else written(writer)
    assert keys_used(query)
    assert keys_used(query) <= known
    assert set(re.findall(r"@\w+", bare(query))) <= {"@timestamp", "@message"}


@pytest.mark.parametrize("dashboard", sorted(DASHBOARDS))
def test_a_log_table_reads_the_log_of_its_own_function(dashboard: str) -> None:
    function = "Housekeeping" if dashboard.startswith("Housekeeping") else "Termination"
    for widget in widgets("log", dashboard):
        assert widget["query"].startswith(f"SOURCE 'mine-{function}LogGroup' | ")


def test_queries_ask_for_outcomes_that_there_are() -> None:
    outcomes = {outcome.key for outcome in Outcome} | {status.value for status in DeletionStatus}
    for query, _ in saved_and_shown().values():
        for clause in re.findall(r"outcome (?:=|in) (\[[^]]*\]|\S+)", query):
            assert set(re.findall(r"[\"'](\w+)[\"']", clause)) <= outcomes
