"""Which of the template's alarms would be on? A stand-in for CloudWatch's metrics, filters and alarms.

Source: Amazon CloudWatch User Guide, "Using Amazon CloudWatch alarms" (M out of N datapoints, missing data) and
"Create a composite alarm" (action suppression). Known: one statistic of one metric, the expression `SUM([a, b])`,
rules of `ALARM("name") OR ...`. Anything else is an error, never a silent yes or no.
"""

from __future__ import annotations

import json
import operator
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.invoke import Invocation
from tests.support.filter_pattern import matches
from tests.template.stack import Stack

Key = tuple[str, str, frozenset[tuple[str, str]]]
"""A metric: namespace, name, dimensions."""
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "LessThanThreshold": operator.lt,
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
}
_STATISTICS: dict[str, Callable[[list[float]], float]] = {"Sum": sum, "Maximum": max}


@dataclass
class Watch:
    """What the stack's metrics were, by the minute, and which alarms that puts on."""

    stack: Stack
    sent: dict[Key, dict[int, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def ran(self, minute: int, done: Invocation, *, failed: bool) -> None:
        """A run of the termination function: Lambda's metrics, its own, and what the filters count."""
        function = {"FunctionName": f"{self.stack.name}-TerminationFunction"}
        self.send("AWS/Lambda", "Invocations", function, minute, 1)
        self.send("AWS/Lambda", "Errors", function, minute, int(failed))
        for line in done.emf:
            for directive in line["_aws"]["CloudWatchMetrics"]:
                ((*names,),) = directive["Dimensions"]
                dimensions = {name: line[name] for name in names}
                for metric in directive["Metrics"]:
                    for value in line[metric["Name"]]:
                        self.send(directive["Namespace"], metric["Name"], dimensions, minute, value)
        for one in self.stack.of_type("AWS::Logs::MetricFilter").values():
            (to,) = one["MetricTransformations"]
            for line in (*done.lines, *done.emf):
                if matches(one["FilterPattern"], json.dumps(line)):
                    value = float(to["MetricValue"])
                    self.send(to["MetricNamespace"], to["MetricName"], {}, minute, value)

    def send(
        self, namespace: str, name: str, dimensions: Mapping[str, str], minute: int, value: float
    ) -> None:
        """One datapoint."""
        self.sent[namespace, name, frozenset(dimensions.items())][minute].append(value)

    def on(self, minute: int) -> set[str]:
        """The alarms that are on at the end of a minute, by their logical ids."""
        alarms = self.stack.of_type("AWS::CloudWatch::Alarm")
        found = {name for name, one in alarms.items() if self._is_on(one, minute)}
        for name, one in self.stack.of_type("AWS::CloudWatch::CompositeAlarm").items():
            if found & self._children(one):
                found.add(name)
        return found

    def told(self, minute: int) -> dict[str, int]:
        """Who has notified by the end of a minute: the alarm, and in which minute it did."""
        told: dict[str, int] = {}
        history = [self.on(each) for each in range(minute + 1)]
        for kind in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"):
            for name, one in self.stack.of_type(kind).items():
                if "AlarmActions" not in one:
                    continue
                for at in range(minute + 1):
                    if self._tells(name, one, history[: at + 1]):
                        told.setdefault(name, at)
        return told

    def _tells(self, name: str, alarm: Mapping[str, Any], history: list[set[str]]) -> bool:
        if "ActionsSuppressor" not in alarm:
            return name in history[-1]
        suppressor = (
            alarm["ActionsSuppressor"].rpartition(":")[2].removeprefix(f"{self.stack.name}-")
        )
        wait = alarm["ActionsSuppressorWaitPeriod"] // 60
        extension = alarm["ActionsSuppressorExtensionPeriod"] // 60
        waited = len(history) > wait and all(name in each for each in history[-wait - 1 :])
        return waited and not any(suppressor in each for each in history[-extension - 1 :])

    def _children(self, composite: Mapping[str, Any]) -> set[str]:
        names = re.findall(r'ALARM\("([^"]+)"\)', composite["AlarmRule"])
        if " OR ".join(f'ALARM("{name}")' for name in names) != composite["AlarmRule"]:
            raise NotImplementedError(composite["AlarmRule"])
        # A reference resolves to the stack's name and the logical id (tests/template/stack.py).
        return {name.removeprefix(f"{self.stack.name}-") for name in names}

    def _is_on(self, alarm: Mapping[str, Any], minute: int) -> bool:
        holds = _COMPARE[alarm["ComparisonOperator"]]
        missing = {"breaching": True, "notBreaching": False}[alarm["TreatMissingData"]]
        breaching = [
            missing if value is None else holds(value, float(alarm["Threshold"]))
            for value in self._datapoints(alarm, minute)
        ]
        needed: int = alarm["DatapointsToAlarm"]
        return sum(breaching) >= needed

    def _datapoints(self, alarm: Mapping[str, Any], minute: int) -> Iterable[float | None]:
        """The last periods' values, the newest first; the newest may be cut short."""
        if "Metrics" not in alarm:
            period, parts = alarm["Period"], [(alarm, alarm["Statistic"])]
        else:
            stats = [one["MetricStat"] for one in alarm["Metrics"] if "MetricStat" in one]
            (shown,) = [one for one in alarm["Metrics"] if one["ReturnData"]]
            ids = [one["Id"] for one in alarm["Metrics"] if "MetricStat" in one]
            if shown["Expression"] != f"SUM([{', '.join(ids)}])":
                raise NotImplementedError(shown["Expression"])
            (period,) = {one["Period"] for one in stats}
            parts = [(one["Metric"], one["Stat"]) for one in stats]
        length = period // 60
        newest = minute // length
        for number in range(newest, newest - alarm["EvaluationPeriods"], -1):
            span = range(number * length, (number + 1) * length)
            found = [self._value(metric, stat, span) for metric, stat in parts]
            known = [value for value in found if value is not None]
            yield sum(known) if known else None

    def _value(self, metric: Mapping[str, Any], statistic: str, span: range) -> float | None:
        dimensions = frozenset((one["Name"], one["Value"]) for one in metric.get("Dimensions", []))
        by_minute = self.sent.get((metric["Namespace"], metric["MetricName"], dimensions), {})
        values = [value for minute in span for value in by_minute.get(minute, [])]
        return float(_STATISTICS[statistic](values)) if values else None
