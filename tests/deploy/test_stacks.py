"""What SAM deploys is what the template says, side by side and in two regions, as far as moto goes."""

from __future__ import annotations

import ast
import itertools
import json
from typing import Any

import pytest

from tests.deploy.conftest import IGNORED, Deployed
from tests.template.stack import ROOT, Stack
from tests.template.test_names import FULL

pytestmark = pytest.mark.artifact


def test_every_stack_is_complete(one: Deployed) -> None:
    assert one.description["StackStatus"] == "CREATE_COMPLETE"


def test_moto_creates_all_kinds_but_those_that_other_tests_look_at(one: Deployed) -> None:
    wanted = {k: r["Type"] for k, r in one.stack.resources.items() if r["Type"] not in IGNORED}
    # The layer's logical id ends with its content's hash, which is the packaged template's.
    layers = {k for k, r in one.template["Resources"].items() if "LayerVersion" in r["Type"]}
    wanted = {k: kind for k, kind in wanted.items() if "LayerVersion" not in kind}
    created = {k: kind for k, (kind, _) in one.resources.items() if k not in layers}
    assert created == wanted
    assert {one.resources[layer][0] for layer in layers} == {"AWS::Lambda::LayerVersion"}


@pytest.mark.parametrize("kind", IGNORED)
def test_what_moto_ignores_is_in_the_template_and_has_its_test(kind: str) -> None:
    kinds = {r["Type"] for r in Stack.of(**FULL).resources.values()}
    assert kind in kinds
    assert kind in (ROOT / "tests" / "template" / IGNORED[kind]).read_text()


def test_stacks_of_one_region_share_no_resource(deployed: dict[str, Deployed]) -> None:
    regions = [d.stack.region for d in deployed.values()]
    assert sorted(regions) == ["eu-west-1", "us-east-1", "us-east-1"]
    for first, second in itertools.combinations(deployed.values(), 2):
        # moto gives a layer no id; its name is looked at below.
        ids = [{p for _, p in d.resources.values() if p} for d in (first, second)]
        if first.stack.region == second.stack.region:
            assert not ids[0] & ids[1]
        assert not {i for i in ids[0] if i.startswith("arn:")} & ids[1]


def test_the_function_is_as_the_template_says(one: Deployed) -> None:
    wanted = one.stack.properties("TerminationFunction")
    found = one.function
    for key in ("Handler", "Runtime", "Timeout"):
        assert found[key] == wanted[key]
    assert str(found["MemorySize"]) == wanted["MemorySize"]
    assert found["Role"].endswith(f"role/{one.physical('TerminationRole')}")
    assert found["CodeSize"] > 10_000
    layers = [layer["LayerName"] for layer in one.client("lambda").list_layers()["Layers"]]
    assert [name for name in layers if name.startswith(f"{one.stack.name}-Dependencies")]


def test_its_environment_is_as_the_template_says(one: Deployed) -> None:
    wanted = {
        **one.stack.environment(),
        "IDEMPOTENCY_TABLE": one.physical("IdempotencyTable"),
    }
    assert one.environment == wanted


def read(document: str | dict[str, Any]) -> list[dict[str, Any]]:
    """A policy's statements; moto hands some documents out as Python would write them."""
    found = ast.literal_eval(document) if isinstance(document, str) else document
    statements: list[dict[str, Any]] = found["Statement"]
    return statements


@pytest.mark.parametrize("role", ["TerminationRole", "ScheduleRole"])
def test_a_role_bears_the_template_s_policies(one: Deployed, role: str) -> None:
    iam, name = one.client("iam"), one.physical(role)
    wanted = one.stack.properties(role)["Policies"]
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == [
        policy["PolicyName"] for policy in wanted
    ]
    for policy in wanted:
        found = iam.get_role_policy(RoleName=name, PolicyName=policy["PolicyName"])
        statements = read(found["PolicyDocument"])
        assert [s["Sid"] for s in statements] == [
            s["Sid"] for s in policy["PolicyDocument"]["Statement"]
        ]
        assert "${" not in json.dumps(statements)
    trust = read(iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"])
    (statement,) = one.stack.properties(role)["AssumeRolePolicyDocument"]["Statement"]
    assert [s["Principal"] for s in trust] == [statement["Principal"]]


def test_logs_end_queues_are_kept_apart_and_there_is_a_topic(one: Deployed) -> None:
    (group,) = one.client("logs").describe_log_groups(
        logGroupNamePrefix=one.physical("TerminationLogGroup")
    )["logGroups"]
    assert str(group["retentionInDays"]) == one.stack.parameters["LogRetentionDays"]
    sqs = one.client("sqs")
    urls = {one.physical("FailedRunsQueue"), one.physical("UndeliveredQueue")}
    assert len(urls) == 2
    for url in urls:
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert attributes["MessageRetentionPeriod"] == str(14 * 24 * 3600)
    topics = one.client("sns").list_topics()["Topics"]
    assert one.physical("AlarmTopic") in [topic["TopicArn"] for topic in topics]
