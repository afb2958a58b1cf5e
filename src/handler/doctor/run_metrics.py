"""The function's own runs, from the metrics that Lambda keeps of every function."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from handler.aws import error_codes
from handler.aws.errors import AwsError
from handler.doctor.recent_runs import Minute

INVOCATIONS, ERRORS = "Invocations", "Errors"
PERIOD = 60
"""Seconds."""


@dataclass(frozen=True, slots=True)
class LambdaRuns:
    """The port `Runs` on GetMetricData, in one call.

    Args:
        cloudwatch: makes the client, the first time it is needed.
        function_name: whose runs.
    """

    cloudwatch: Callable[[], Any]
    function_name: str

    def since(self, began: datetime, now: datetime) -> tuple[Minute, ...] | AwsError:
        """Invocations and errors by the minute; invocations of the doctor count as well."""
        try:
            answer = self.cloudwatch().get_metric_data(
                MetricDataQueries=[self._query(INVOCATIONS), self._query(ERRORS)],
                StartTime=began,
                EndTime=now,
            )
        except error_codes.SDK_ERRORS as error:
            return error_codes.read(error)
        if error_codes.lacks(answer, "MetricDataResults"):
            return error_codes.NOT_AWS
        counts: dict[str, dict[datetime, int]] = defaultdict(dict)
        for result in answer["MetricDataResults"]:
            pairs = zip(result["Timestamps"], result["Values"], strict=True)
            counts[result["Id"]].update({at: round(value) for at, value in pairs})
        errors = counts[ERRORS.lower()]
        return tuple(
            Minute(at, count, errors.get(at, 0))
            for at, count in counts[INVOCATIONS.lower()].items()
            if count
        )

    def _query(self, metric: str) -> dict[str, object]:
        return {
            "Id": metric.lower(),
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/Lambda",
                    "MetricName": metric,
                    "Dimensions": [{"Name": "FunctionName", "Value": self.function_name}],
                },
                "Period": PERIOD,
                "Stat": "Sum",
            },
        }
