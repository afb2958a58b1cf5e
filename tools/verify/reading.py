"""How AWS is asked: by calls that read, and by no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, TypeAlias

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from handler.aws import error_codes
from handler.aws.errors import ErrorKind
from handler.doctor.findings import Check, Finding, failed, skipped

Json = Any

READS = {
    "DescribeStacks": "cloudformation",
    "ListStackResources": "cloudformation",
    "DescribeAlarms": "cloudwatch",
    "GetDashboard": "cloudwatch",
    "GetMetricData": "cloudwatch",
    "SimulatePrincipalPolicy": "iam",
    "GetFunctionConfiguration": "lambda",
    "DescribeMetricFilters": "logs",
    "FilterLogEvents": "logs",
    "GetSchedule": "scheduler",
    "GetQueueAttributes": "sqs",
    "DescribeParameters": "ssm",
}
"""Every call that is made, and its service. The permission bears the same names. Nothing else gets out."""
NOT_THERE = ("NotFound", "NonExistentQueue", "NoSuchEntity")
"""In AWS's codes for what does not exist. CloudFormation's about a stack is ValidationError."""


class NotReadingError(Exception):
    """A call that is none of `READS` was about to be made: a mistake in this package."""


@dataclass(frozen=True, eq=False)
class Deployed:
    """A stack, as AWS tells it."""

    name: str
    region: str
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @cached_property
    def _session(self) -> boto3.Session:
        session = boto3.Session(region_name=self.region)
        session.events.register("before-parameter-build", _only_reads)
        return session

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3's classes
        """A client that refuses what does not read."""
        return self._session.client(service)  # type: ignore[call-overload] # the name is not a literal

    def pages(self, service: str, operation: str, part: str, **given: object) -> list[Json]:
        """What all pages of an answer hold under this key."""
        pages = self.client(service).get_paginator(operation).paginate(**given)
        return [one for page in pages for one in page[part]]

    @cached_property
    def description(self) -> Json:
        """CloudFormation's."""
        return self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"][0]

    @cached_property
    def resources(self) -> dict[str, tuple[str, str]]:
        """Kind and physical id by logical id, the nested stack's among them."""
        own = dict(self._resources_of(self.name))
        nested = [i for kind, i in own.values() if kind == "AWS::CloudFormation::Stack"]
        return own | {k: v for stack in nested for k, v in self._resources_of(stack)}

    def _resources_of(self, stack: str) -> Iterator[tuple[str, tuple[str, str]]]:
        found = "cloudformation", "list_stack_resources", "StackResourceSummaries"
        for one in self.pages(*found, StackName=stack):
            known = one["ResourceType"], one.get("PhysicalResourceId", "")
            yield one["LogicalResourceId"], known

    def physical(self, logical_id: str) -> str:
        """The name that AWS knows a resource by."""
        return self.resources[logical_id][1]

    def of_type(self, *kinds: str) -> list[str]:
        """Physical ids of the resources of these kinds."""
        return [i for kind, i in self.resources.values() if kind in kinds]

    def environment(self, function: str) -> dict[str, str]:
        """A function's variables: they name secrets, and hold none."""
        given = self.client("lambda").get_function_configuration(
            FunctionName=self.physical(function)
        )
        return {name: str(value) for name, value in given["Environment"]["Variables"].items()}

    def sums(self, metrics: Iterable[Json], span: timedelta) -> dict[str, float]:
        """The sum of each metric's values in this time, by its name; those that have none are left out."""
        # CloudWatch begins at a whole period: an hour's would count runs of before a quarter of one.
        period = 60 if span < timedelta(hours=12) else 3600
        queries = [
            {"Id": f"m{n}", "MetricStat": {"Metric": metric, "Period": period, "Stat": "Sum"}}
            | {"Label": metric["MetricName"]}
            for n, metric in enumerate(metrics)
        ]
        sums: dict[str, float] = {}
        asked = {"MetricDataQueries": queries, "StartTime": self.now - span, "EndTime": self.now}
        for one in self.pages("cloudwatch", "get_metric_data", "MetricDataResults", **asked):
            if one["Values"]:
                sums[one["Label"]] = sums.get(one["Label"], 0) + sum(one["Values"])
        return sums

    def events(self, group: str, pattern: str, span: timedelta) -> list[Json]:
        """The log's lines of this time that a filter pattern takes, the oldest first; a thousand at most."""
        start = int((self.now - span).timestamp() * 1000)
        most = {"MaxItems": 1000}
        asked = {"logGroupName": group, "filterPattern": pattern, "startTime": start}
        return self.pages("logs", "filter_log_events", "events", **asked, PaginationConfig=most)


Examine: TypeAlias = Callable[[Check, Deployed], Iterable[Finding]]
"""Finds something on a check, of a stack."""


def _only_reads(model: Any, **_: object) -> None:  # noqa: ANN401 - botocore's
    if READS.get(model.name) != model.service_model.service_name:
        raise NotReadingError(model.name)


def answer(check: Check, of: Deployed, examine: Examine) -> list[Finding]:
    """What a check finds; an error of AWS's, or of the way there, is a finding as well."""
    findings: list[Finding] = []
    try:
        findings.extend(examine(check, of))
    except error_codes.SDK_ERRORS as error:
        findings.append(_not_had(check, error))
    return findings


def _not_had(check: Check, error: BotoCoreError | ClientError | ResponseParserError) -> Finding:
    kind = error_codes.read(error).kind
    if not isinstance(error, ClientError) or kind is ErrorKind.LOCKED_OUT:
        why = f"AWS was not reached, or does not take this shell's credentials: {error}"
        return skipped(check, why, "give the shell good ones, and a way out")
    operation, code = error.operation_name, error.response["Error"]["Code"]
    permission = f"{READS[operation]}:{operation}"
    if error_codes.read(error).denied:
        why = f"whoever runs this lacks {permission}: {error}"
        return skipped(check, why, f"allow {permission}")
    no_stack = (operation, code) == ("DescribeStacks", "ValidationError")
    if no_stack or any(one in code for one in NOT_THERE):
        return failed(check, str(error), "it was deleted, or never made", "make deploy")
    return skipped(check, f"{permission} had no answer: {error}", "try again")
