"""A night on call: the stack as deployed, minute by minute, and somebody who follows the runbook.

The function runs for real, as the schedule starts it. AWS is the emulator, with moto for what the emulator lacks;
alarms are judged by tests/support/alarms.py, commands run in bash by tests/support/aws_cli.py, and queries by the
interpreter that the dashboards' preview uses.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backend.client import OperatorClient
from handler.termination import lambda_handler
from local.invoke import Invocation, invoke
from tests.integration.world import MANAGED, PARAMETER
from tests.reliability.fake_time import FakeTime
from tests.support import runbook
from tests.support.alarms import Watch
from tests.support.aws_cli import Shell
from tests.template.stack import Stack
from tools.dashboard_preview.insights import Line, query
from tools.ec2_emulator import Emulator

STACK = Stack.of("spot-cleanup", "us-east-1")
FUNCTION = STACK.outputs["TerminationFunction"]["Value"]
SCHEDULE: str = STACK.outputs["Schedule"]["Value"]
AGENT = "agent-1"


def line_of(written: Mapping[str, Any], at: datetime) -> Line:
    """A log line as Logs Insights shows it: nested fields are named with dots."""

    def flat(prefix: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            return {prefix: value}
        return {k: v for key, one in value.items() for k, v in flat(f"{prefix}.{key}", one).items()}

    fields = {k: v for key, one in written.items() for k, v in flat(key, one).items()}
    stamp = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.000")
    return {**fields, "@timestamp": stamp, "@message": json.dumps(written)}


@dataclass
class Night:
    """The stack, and its time: minute 0 is when the fault is there."""

    aws: Emulator
    clock: FakeTime
    moto: Callable[[str], Any]
    moto_url: str
    server_url: str
    operator: OperatorClient
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    watch: Watch = field(default_factory=lambda: Watch(STACK))
    lines: list[Line] = field(default_factory=list)
    minute: int = -1
    secret: tuple[str, str] = ("", "")
    asked: dict[str, list[list[dict[str, str]]]] = field(default_factory=dict)

    # The stack.

    def environment(self) -> dict[str, str]:
        return {
            **{k: str(v) for k, v in STACK.environment().items()},
            **self.aws.environment,
            "AWS_ENDPOINT_URL_SCHEDULER": self.moto_url,
            "AWS_ENDPOINT_URL_CLOUDWATCH": self.moto_url,
            "AGENT_ID": AGENT,
            "SERVER_URL": self.server_url,
            "CLIENT_TOKEN_PARAMETER": PARAMETER,
            **self.variables,
        }

    def zombie(self, **launch: Any) -> str:
        """A machine that was marked long enough ago."""
        given = {"tags": MANAGED, "launch_time": self.clock() - 3600, **launch}
        one = self.aws.fleet.launch(**given)
        self.operator.add_zombies(AGENT, [one], age_seconds=400)
        return one

    def invoke(self, event: dict[str, Any], into: Invocation) -> None:
        def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
            context.function_name = FUNCTION
            returned: dict[str, Any] = lambda_handler(event, context)
            return returned

        invoke(handler, self.environment(), event, into=into)

    def pass_minutes(self, count: int, *, runs: bool = True, fresh: bool = False) -> None:
        """So many minutes, with a run in each; `fresh`: and with another zombie."""
        for _ in range(count):
            self.minute += 1
            if fresh:
                self.zombie()
            began = self.clock()
            done, failed = Invocation(), False
            if runs:
                try:
                    self.invoke({}, done)
                except Exception:  # noqa: BLE001 - Lambda counts whatever it is as an error
                    failed = True
                self.watch.ran(self.minute, done, failed=failed)
            at = datetime.fromtimestamp(began, UTC)
            written = [*done.lines, *done.emf, *([_platform(failed)] if runs else [])]
            self.lines += [line_of(one, at) for one in written]
            self._to_cloudwatch(at)
            self.clock.advance(max(began + 60 - self.clock(), 0))

    def _to_cloudwatch(self, at: datetime) -> None:
        """What the doctor reads; the alarms have it already."""
        data: dict[str, list[dict[str, Any]]] = {}
        for (namespace, name, dimensions), by_minute in self.watch.sent.items():
            if values := by_minute.get(self.minute):
                one = {
                    "MetricName": name,
                    "Dimensions": [{"Name": k, "Value": v} for k, v in dimensions],
                    "Timestamp": at,
                    "Values": values,
                }
                data.setdefault(namespace, []).append(one)
        for namespace, of in data.items():
            self.moto("cloudwatch").put_metric_data(Namespace=namespace, MetricData=of)

    # Whoever is on call.

    def notified(self) -> dict[str, int]:
        """The alarms that have told somebody, and in which minute."""
        return self.watch.told(self.minute)

    @property
    def shell(self) -> Shell:
        """A shell in which the page's first block was pasted."""

        return Shell(
            self.folder,
            {
                ("cloudformation", "DescribeStacks"): lambda _: {"Stacks": [_outputs()]},
                ("cloudformation", "DescribeStackResource"): _resource,
                ("cloudwatch", "DescribeAlarms"): self._alarms,
                ("ec2", "CreateTags"): self._tag,
                ("lambda", "GetFunctionConcurrency"): lambda _: {},
                ("lambda", "Invoke"): self._doctor,
                ("logs", "StartQuery"): self._start,
                ("logs", "GetQueryResults"): self._results,
                ("sqs", "ReceiveMessage"): lambda _: {},
            },
            self.moto,
        )

    def do(self, commands: str, **replaced: str) -> str:
        """Run commands of the page; what they print. `machine` stands in for the example's id."""
        if machine := replaced.get("machine"):
            commands = commands.replace(runbook.EXAMPLE, machine)
        return self.shell.run(f"{runbook.SETUP}\n{commands}")

    def follow(self, alarm: str) -> tuple[str, str]:
        """From an alarm's text to its section, and what the section's first block shows.

        Returns the section that names the cause, and what was shown.
        """
        description = STACK.properties(alarm)["AlarmDescription"]
        section = description.rpartition(" section ")[2].removesuffix(".")
        shown = self.do(runbook.blocks(runbook.section(section))[0])
        if section != "NeedsSomebodyAlarm":
            return section, shown
        names = [one.removeprefix("spot-cleanup-") for one in shown.split()]
        sections = ["".join(map(str.title, one.split("-"))) + "Alarm" for one in names]
        assert sections, "no alarm is on"
        followed = [self.follow(one) for one in sections]
        return ", ".join(one for one, _ in followed), "\n".join(text for _, text in followed)

    def doctor(self) -> dict[str, dict[str, str]]:
        """The doctor's checks, asked as the page says; its text is printed."""
        told = self.do(runbook.blocks(runbook.section("Ask the doctor"))[0])
        answer = json.loads((self.folder / "answer.json").read_text())
        assert answer["text"] in told
        runbook.leads_from(answer)
        checks: dict[str, dict[str, str]] = {one["check"]: one for one in answer["checks"]}
        return checks

    # What AWS answers here.

    def _doctor(self, given: dict[str, Any]) -> Mapping[str, Any]:
        done = Invocation()
        self.invoke(json.loads(given["Payload"]), done)
        return {"StatusCode": 200, "Payload": json.dumps(done.returned).encode()}

    def _alarms(self, given: dict[str, Any]) -> Mapping[str, Any]:
        assert given["StateValue"] == "ALARM"
        kind = STACK.of_type("AWS::CloudWatch::Alarm")
        names = [
            kind[one]["AlarmName"] for one in sorted(self.watch.on(self.minute)) if one in kind
        ]
        prefix = given["AlarmNamePrefix"]
        return {"MetricAlarms": [{"AlarmName": one} for one in names if one.startswith(prefix)]}

    def _start(self, given: dict[str, Any]) -> Mapping[str, Any]:
        assert given["logGroupName"] == STACK.outputs["LogGroup"]["Value"]
        times = (int(given["startTime"]), int(given["endTime"]))
        assert time.time() - 86_460 <= times[0] < times[1] <= time.time() + 1
        shift = times[1] - self.clock()  # the shell asks the machine's clock
        began = datetime.fromtimestamp(times[0] - shift, UTC).strftime("%Y-%m-%d %H:%M:%S")
        lines = [one for one in self.lines if one["@timestamp"] >= began]
        table = query(f"SOURCE 'log' | {given['queryString']}", {"log": lines})
        number = str(len(self.asked))
        self.asked[number] = [
            [
                {"field": name, "value": str(value)}
                for name, value in zip(table.columns, row, strict=True)
                if value != ""
            ]
            for row in table.rows
        ]
        return {"queryId": number}

    def _results(self, given: dict[str, Any]) -> Mapping[str, Any]:
        return {"status": "Complete", "results": self.asked[given["queryId"]]}

    def _tag(self, given: dict[str, Any]) -> Mapping[str, Any]:
        for one in given["Resources"]:
            for tag in given["Tags"]:
                self.aws.fleet.tag(one, tag["Key"], tag["Value"])
        return {}


def _platform(failed: bool) -> dict[str, Any]:
    """Lambda's own line on a run (Lambda Developer Guide, "Telemetry API", platform.report)."""
    metrics = {"durationMs": 40.0, "maxMemoryUsedMB": 90}
    status = "error" if failed else "success"
    return {
        "type": "platform.report",
        "record": {"requestId": "r", "status": status, "metrics": metrics},
    }


def _outputs() -> Mapping[str, Any]:
    told = STACK.outputs.items()
    return {"Outputs": [{"OutputKey": k, "OutputValue": one["Value"]} for k, one in told]}


def _resource(given: dict[str, Any]) -> Mapping[str, Any]:
    name = given["LogicalResourceId"]
    assert name in STACK.resources
    return {"StackResourceDetail": {"PhysicalResourceId": f"{STACK.name}-{name}"}}


def make_schedule(scheduler: Any) -> None:
    """As the template makes it."""
    group, _, name = SCHEDULE.partition("/")
    with contextlib.suppress(scheduler.exceptions.ConflictException):
        scheduler.create_schedule_group(Name=group)
    scheduler.create_schedule(
        Name=name,
        GroupName=group,
        Description="Starts the function.",
        ScheduleExpression="rate(1 minute)",
        FlexibleTimeWindow={"Mode": "OFF"},
        State="ENABLED",
        Target={
            "Arn": f"arn:aws:lambda:us-east-1:123456789012:function:{FUNCTION}",
            "RoleArn": "arn:aws:iam::123456789012:role/schedule",
        },
    )


def machine_ids(text: str) -> set[str]:
    """The machines that a text names."""
    return set(re.findall(r"\bi-[0-9a-f]{17}\b", text))
