"""Every command of the runbook that needs an account: run in bash, read as the AWS command line reads it.

Also the migration guide's and those of the deploy page. What AWS would answer is not here: tests/integration follows the steps.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local import tags
from tests.support import runbook
from tests.support.aws_cli import CliError, Shell, read
from tests.template.stack import Stack
from tests.template.test_dashboard import TELEMETRY, keys_used, written
from tools.dashboard_preview.insights import query

ROOT = runbook.ROOT
PAGES = {
    name: (ROOT / "docs" / f"{name}.md").read_text() for name in ("runbook", "migration", "deploy")
}
ACCOUNT = [
    one
    for text in PAGES.values()
    for one in runbook.blocks(text)
    if re.search(r"\baws [a-z]|\bask \d|\$\(out ", one)
]
STACK = Stack.of("spot-cleanup", HousekeepingEnabled="true")
PLATFORM = {"type", "record.status", "record.requestId", "record.metrics.durationMs", "level"}
"""Keys that Lambda itself and Powertools write."""


def outputs(_: dict[str, Any]) -> Mapping[str, Any]:
    told = STACK.outputs.items()
    return {"Stacks": [{"Outputs": [{"OutputKey": k, "OutputValue": o["Value"]} for k, o in told]}]}


def resource(given: dict[str, Any]) -> Mapping[str, Any]:
    name = given["LogicalResourceId"]
    assert name in STACK.resources
    return {"StackResourceDetail": {"PhysicalResourceId": f"{given['StackName']}-{name}"}}


def functions(given: dict[str, Any]) -> Mapping[str, Any]:
    return {
        "StackResources": [
            {"ResourceType": one["Type"], "PhysicalResourceId": f"{given['StackName']}-{name}"}
            for name, one in STACK.own.items()
        ]
    }


def start(given: dict[str, Any]) -> Mapping[str, Any]:
    assert keys_used(given["queryString"]) <= written(TELEMETRY[0]) | PLATFORM
    query(f"SOURCE 'log' | {given['queryString']}", {"log": []})
    return {"queryId": "1"}


ANSWERS = {
    ("cloudformation", "DescribeStacks"): outputs,
    ("cloudformation", "DescribeStackResource"): resource,
    ("cloudformation", "DescribeStackResources"): functions,
    ("lambda", "Invoke"): lambda _: {"Payload": json.dumps({"text": "healthy"}).encode()},
    ("logs", "StartQuery"): start,
    ("logs", "GetQueryResults"): lambda _: {"status": "Complete", "results": []},
    ("scheduler", "GetSchedule"): lambda given: {
        "Name": given["Name"],
        "GroupName": given["GroupName"],
        "Description": "d",
        "ScheduleExpression": "rate(1 minute)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": "a", "RoleArn": "r"},
    },
}


def test_each_block_of_commands_works_as_it_is_written(tmp_path: Path) -> None:
    shell = Shell(tmp_path, ANSWERS)
    # What the page calls before, and what is no command of AWS's: known by test_deploy_docs.py.
    before = f"{runbook.SETUP}\nROLE=role\nmake() {{ :; }}\nsleep() {{ :; }}\n"
    blocks = [
        f"aws sts get-caller-identity\necho block {number}\n(\n{block})\n"
        for number, block in enumerate(ACCOUNT)
    ]
    shell.run(before + re.sub(r"^\.venv/bin/sam .*$", ":", "".join(blocks), flags=re.MULTILINE))
    asked = ["|" if one.service == "sts" else "a" for one in shell.asked]
    assert "".join(asked).count("|a") == len(ACCOUNT) > 30, "each asks something"


@pytest.mark.parametrize(
    ("command", "refused"),
    [
        ("aws logs filter-log-events --start 5", "does not know --start"),
        ("aws logs filter-log-events --log-group-name a stray", "does not know stray"),
        ("aws sqs purge-queue", "Missing required parameter"),
        ("aws ec2 stop-everything", "has no operation"),
        ("aws lambda invoke --function-name f", "needs a file"),
        ("aws ec2 create-tags --resources i-1 --tags Name=a,Value=b", "there is no Name"),
        (
            "aws lambda put-function-concurrency --function-name f --reserved-concurrent-executions",
            "needs a value",
        ),
    ],
)
def test_a_command_that_the_command_line_would_refuse_is_refused(
    command: str, refused: str
) -> None:
    with pytest.raises(CliError, match=refused):
        read(shlex.split(command)[1:])


def test_stopping_everything_stops_both_functions_and_it_can_be_undone(tmp_path: Path) -> None:
    """On moto: the functions' concurrency, and the role's policy."""
    stop, deny = runbook.blocks(runbook.section("Stop everything now"))[:2]
    on_again, allow = runbook.blocks(runbook.section("Stop everything now"))[2:]
    with mock_aws():
        clients: dict[str, Any] = {
            name: boto3.client(name, region_name="us-east-1") for name in ("iam", "lambda")
        }
        role = {"RoleName": "spot-cleanup-TerminationRole", "AssumeRolePolicyDocument": "{}"}
        arn = clients["iam"].create_role(**role)["Role"]["Arn"]
        names = ["spot-cleanup-TerminationFunction", "spot-cleanup-HousekeepingFunction"]
        for name in names:
            clients["lambda"].create_function(
                FunctionName=name,
                Role=arn,
                Runtime="python3.13",
                Handler="a.b",
                Code={"ZipFile": b"PK\x05\x06" + bytes(18)},
            )
        shell = Shell(tmp_path, ANSWERS, clients.__getitem__)

        def reserved() -> list[int | None]:
            get = clients["lambda"].get_function_concurrency
            return [get(FunctionName=one).get("ReservedConcurrentExecutions") for one in names]

        shell.run(stop)
        assert reserved() == [0, 0]
        shell.run(f'{deny}\naws iam get-role-policy --role-name "$ROLE" --policy-name stop')
        (policy,) = clients["iam"].list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
        document = clients["iam"].get_role_policy(RoleName=role["RoleName"], PolicyName=policy)
        (statement,) = document["PolicyDocument"]["Statement"]
        assert (statement["Effect"], statement["Resource"]) == ("Deny", "*")
        assert "ec2:TerminateInstances" in statement["Action"]

        shell.run(f"ROLE={role['RoleName']}\n{on_again}\n{allow}")
        assert reserved() == [None, None]
        assert clients["iam"].list_role_policies(RoleName=role["RoleName"])["PolicyNames"] == []


@pytest.mark.parametrize("guide", ["migration", "deploy"])
def test_the_query_for_machines_to_tag_finds_each_kind_that_lacks_a_tag(
    guide: str, tmp_path: Path
) -> None:
    """The original agent's machines, as EC2 shows them; one shows no `Tags` at all."""
    bears = {
        "first server": tags.first_server("first server"),
        "worker's replica": tags.polled_replica("worker's replica", "i-1"),
        "replica without a logical id": tags.manual_replica("...", None, "i-1"),
        "managed by another": {"ManagedBy": "Else", "LogicalAgentId": "web-1", "Name": "else"},
        "new server": tags.new_server("new server", "web-1"),
        "replica": tags.manual_replica("replica", "web-1", "i-1"),
    }
    shown: list[dict[str, object]] = [
        {"InstanceId": name, "Tags": [{"Key": key, "Value": value} for key, value in one.items()]}
        for name, one in bears.items()
    ]
    answer = {"Reservations": [{"Instances": [*shown, {"InstanceId": "no tags"}]}]}
    (block,) = [
        one
        for one in runbook.blocks(PAGES[guide])
        if re.search(r"describe-instances .*--query '.*LogicalAgentId", one)
    ]
    shell = Shell(tmp_path, {("ec2", "DescribeInstances"): lambda _: answer})
    found = [line.split("\t") for line in shell.run(block).splitlines() if line]
    assert [one[0] for one in found] == [*list(bears)[:4], "no tags"]
    assert [one[1] for one in found] == [
        *("first server", "worker's replica", "...", "else", "None")
    ]


def test_openssl_knows_what_it_is_asked() -> None:
    (block,) = [one for one in runbook.blocks(PAGES["runbook"]) if one.startswith("openssl")]
    told = subprocess.run(
        ["openssl", "s_client", "-help"], capture_output=True, text=True, check=True
    )
    for option in re.findall(r" -(\w+)", block):
        assert f"-{option} " in told.stderr + told.stdout
