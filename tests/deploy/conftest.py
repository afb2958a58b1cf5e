"""Three environments of samconfig.toml, packaged and deployed with SAM to moto's CloudFormation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import pytest
from samtranslator.yaml_helper import yaml_parse

from local.stack import CREDENTIALS
from tests.deploy.moto_template import for_moto
from tests.support.artifact import artifact
from tests.support.built import Artifact
from tests.template.stack import NESTED, ROOT, Stack
from tests.template.test_samconfig import filled_in, overrides, settings, stack_of
from tools.stack_set import transform

__all__ = ["artifact"]

BUCKET = "artifacts"
ENVIRONMENTS = ("us-east-1", "staging-us-east-1", "eu-west-1")
"""Two stacks beside one another, and one in another region, for several agents."""

IGNORED = {
    "AWS::CloudWatch::Alarm": "test_alarms.py",
    "AWS::CloudWatch::CompositeAlarm": "test_alarms.py",
    "AWS::Lambda::EventInvokeConfig": "test_schedule.py",
    "AWS::Logs::MetricFilter": "test_log_filters.py",
    "AWS::Logs::QueryDefinition": "test_dashboard.py",
    "AWS::SNS::Subscription": "test_alarms.py",
    "AWS::SNS::TopicPolicy": "test_alarms.py",
    "AWS::SQS::QueuePolicy": "test_schedule.py",
    "AWS::Scheduler::Schedule": "test_schedule.py",
    "AWS::Scheduler::ScheduleGroup": "test_names.py",
}
"""What moto passes over in silence, and which of tests/template looks at it instead."""

# moto in a process of its own: its state is its process's, and others' tests have theirs.
SERVER = """
import sys
from local.stack import run_aws
with run_aws() as url:
    print(url, flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Cloud:
    """moto's server."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": self.url}

    def client(self, service: str, region: str) -> Any:
        keys = {name.lower(): value for name, value in CREDENTIALS.items()}
        return boto3.client(service, region_name=region, endpoint_url=self.url, **keys)  # type: ignore[call-overload] # the name is not a literal

    def sam(self, command: str, *arguments: str, cwd: Path) -> None:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("sam")), command, *arguments],
            cwd=cwd,
            env={
                **self.environment,
                "SAM_CLI_TELEMETRY": "0",
                "SAM_CLI_POLL_DELAY": "0.2",  # seconds between looks at the stack; 5 otherwise
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@dataclass(frozen=True)
class Deployed:
    """A stack as moto has it, beside what the template says of it."""

    stack: Stack
    template: dict[str, Any]
    cloud: Cloud

    def client(self, service: str) -> Any:
        return self.cloud.client(service, self.stack.region)

    @cached_property
    def description(self) -> dict[str, Any]:
        answer = self.client("cloudformation").describe_stacks(StackName=self.stack.name)
        description: dict[str, Any] = answer["Stacks"][0]
        return description

    @cached_property
    def resources(self) -> dict[str, tuple[str, str]]:
        """Kind and physical id of what moto created; what it ignores leaves an empty entry."""
        own = self._resources_of(self.stack.name)
        return {**own, **(self._resources_of(own[NESTED][1]) if NESTED in own else {})}

    def _resources_of(self, stack: str) -> dict[str, tuple[str, str]]:
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        return {
            r["LogicalResourceId"]: (r["ResourceType"], r["PhysicalResourceId"])
            for page in pages.paginate(StackName=stack)
            for r in page["StackResourceSummaries"]
            if r["ResourceType"]
        }

    def physical(self, logical_id: str) -> str:
        return self.resources[logical_id][1]

    @cached_property
    def function(self) -> dict[str, Any]:
        name = self.physical("TerminationFunction")
        configuration: dict[str, Any] = self.client("lambda").get_function_configuration(
            FunctionName=name
        )
        return configuration

    @cached_property
    def environment(self) -> dict[str, str]:
        """The function's; of parameters that are numbers moto makes numbers there."""
        variables = self.function["Environment"]["Variables"]
        return {name: str(value) for name, value in variables.items()}


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        cwd=ROOT,
        env={**os.environ, **CREDENTIALS},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        url = server.stdout.readline().strip()
        # SAM takes an endpoint for S3 only under a name.
        yield Cloud(url.replace("127.0.0.1", "localhost"))
    finally:
        server.stdin.close()
        server.wait(30)
        server.stdout.close()


@pytest.fixture(scope="session")
def packaged(cloud: Cloud, artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `sam package` makes of the built templates: code, layer and nested template are in S3."""
    cloud.client("s3", "us-east-1").create_bucket(Bucket=BUCKET)
    folder = tmp_path_factory.mktemp("deploy")
    written = folder / "packaged.yaml"
    cloud.sam(
        "package",
        *("--template-file", str(artifact.template), "--region", "us-east-1"),
        *("--s3-bucket", BUCKET, "--output-template-file", str(written)),
        cwd=folder,
    )
    return written


def nested_for_moto(cloud: Cloud, stack: Stack, url: str) -> str:
    """Where a nested template as moto can take it now is."""
    s3 = cloud.client("s3", "us-east-1")
    key = url.rpartition("/")[2]
    packaged = yaml_parse(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode())
    own = f"{stack.region}-{stack.name}-{key}"
    body = json.dumps(for_moto(packaged, stack, set(IGNORED)))
    s3.put_object(Bucket=BUCKET, Key=own, Body=body.encode())
    return f"https://s3.amazonaws.com/{BUCKET}/{own}"


def deploy(cloud: Cloud, packaged: Path, environment: str) -> Deployed:
    """With SAM for the first of them; for the others by the call that SAM makes, which takes no time."""
    stack = stack_of(environment)
    template = transform(yaml_parse(packaged.read_text()), stack.region)
    for_deployment = for_moto(template, stack, set(IGNORED))
    monitoring = for_deployment["Resources"][NESTED]["Properties"]
    assert stack.nested is not None
    monitoring["TemplateURL"] = nested_for_moto(cloud, stack.nested, monitoring["TemplateURL"])
    text = json.dumps(for_deployment)
    deployed = Deployed(stack, template, cloud)
    if environment != ENVIRONMENTS[0]:
        deployed.client("cloudformation").create_stack(
            StackName=stack.name,
            TemplateBody=text,
            Parameters=[
                {"ParameterKey": k, "ParameterValue": v} for k, v in overrides(environment).items()
            ],
            Capabilities=settings(environment)["capabilities"].split(),
        )
        return deployed
    file = packaged.with_name(f"{environment}.json")
    file.write_text(text)
    config = packaged.with_name(f"{environment}.toml")
    config.write_text(filled_in((ROOT / "samconfig.toml").read_text()))
    cloud.sam(
        "deploy",
        *("--config-file", str(config), "--config-env", environment),
        *("--template-file", str(file), "--no-resolve-s3", "--s3-bucket", BUCKET),
        *("--no-confirm-changeset", "--no-progressbar"),
        cwd=packaged.parent,
    )
    return deployed


@pytest.fixture(scope="session")
def deployed(cloud: Cloud, packaged: Path) -> dict[str, Deployed]:
    return {name: deploy(cloud, packaged, name) for name in ENVIRONMENTS}


@pytest.fixture(params=ENVIRONMENTS)
def one(request: pytest.FixtureRequest, deployed: dict[str, Deployed]) -> Deployed:
    """Each of them in turn."""
    return deployed[request.param]
