"""From what a run uses to what a month costs."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from benchmarks import prices

DAILY = (0, 10, 1_000)
"""Terminations a day."""
RUNS = prices.HOURS * 60
"""A run a minute."""
METRICS_AT_MOST = 14
"""Twelve outcomes, TimeToTerminate and OldestWait (contract, section 2)."""
EVENT_OVERHEAD = 26
"""Bytes that CloudWatch Logs adds to each line (AWS, PutLogEvents)."""

# What Lambda itself writes for one run with JSON logs at system level INFO, in the shape of AWS's
# "Lambda Telemetry API event schema reference", with values of this function's size.
_START = {
    "time": "2025-11-25T12:30:00.000Z",
    "type": "platform.start",
    "record": {"requestId": "6f7f0961-f839-4a12-9a1b-0c5a6f1b2c3d", "version": "$LATEST"},
}
_REPORT = {
    "time": "2025-11-25T12:30:00.013Z",
    "type": "platform.report",
    "record": {
        "requestId": "6f7f0961-f839-4a12-9a1b-0c5a6f1b2c3d",
        "metrics": {
            "durationMs": 12.345,
            "billedDurationMs": 13,
            "memorySizeMB": 256,
            "maxMemoryUsedMB": 101,
        },
        "status": "success",
    },
}
PLATFORM_BYTES = sum(len(json.dumps(line)) + EVENT_OVERHEAD for line in (_START, _REPORT))


@dataclass(frozen=True)
class Usage:
    """What the two kinds of run use at one memory size.

    Args:
        memory: MB.
        idle_ms: billed milliseconds of a run with nothing to do.
        single_ms: of a run that ends one instance.
        idle_bytes: what an idle run logs.
        single_bytes: what the other kind logs.
        writes: DynamoDB's write units for one instance.
        reads: its read units.
        metrics: custom metrics that a run which ends something sends.
    """

    memory: int
    idle_ms: int
    single_ms: int
    idle_bytes: float
    single_bytes: float
    writes: int
    reads: int
    metrics: int


def month(usage: Usage, daily: int) -> dict[str, float]:
    """Dollars by kind, for so many terminations a day, each in a run of its own."""
    busy = daily * prices.DAYS
    idle = RUNS - busy
    seconds = (idle * usage.idle_ms + busy * usage.single_ms) / 1e3
    logged = idle * usage.idle_bytes + busy * usage.single_bytes + RUNS * PLATFORM_BYTES
    # Evenly over the day: a metric costs in each hour in which it is sent.
    hours = min(daily, 24) / 24
    return {
        "compute": seconds * usage.memory / 1024 * prices.LAMBDA_GB_SECOND,
        "requests": RUNS * prices.LAMBDA_REQUEST,
        "schedule": RUNS * prices.SCHEDULER_INVOCATION,
        "DynamoDB": busy
        * (usage.writes * prices.DYNAMODB_WRITE + usage.reads * prices.DYNAMODB_READ),
        "logs": logs(logged),
        "metrics": usage.metrics * prices.CUSTOM_METRIC_MONTH * hours,
    }


def logs(size: float) -> float:
    """Dollars for so many bytes, written once and kept for the template's 90 days."""
    return size / 1e9 * (prices.LOGS_GB_INGESTED + 3 * prices.LOGS_GB_MONTH)


def monitoring(template: str) -> dict[str, float]:
    """What a template's alarms and dashboards cost, by their number in its text.

    An alarm is paid by the metrics that it reads.
    """
    found = re.findall(r"    Type: AWS::CloudWatch::Alarm\n(?:(?:    .*)?\n)*", template)
    alarms, metrics = len(found), sum(one.count("MetricName: ") for one in found)
    composite = template.count("Type: AWS::CloudWatch::CompositeAlarm\n")
    dashboards = template.count("Type: AWS::CloudWatch::Dashboard\n")
    return {
        "alarms": alarms + composite,
        "composite alarms": composite,
        "alarm metrics": metrics,
        "alarms $": metrics * prices.ALARM_METRIC_MONTH + composite * prices.COMPOSITE_ALARM_MONTH,
        "dashboards": dashboards,
        "dashboards $": dashboards * prices.DASHBOARD_MONTH,
    }
