"""The second function: off until it is turned on, and with a role of its own."""

from __future__ import annotations

import pytest

from tests.support.iam import Request, is_allowed
from tests.template.stack import ACCOUNT, Stack
from tests.template.test_roles import (
    FAILED_RUNS,
    HERE,
    INSTANCE,
    OURS,
    PARAMETER,
    REGION,
    REPORTED,
    ROLE,
    TABLE,
    VIA_SSM,
    item,
    named,
    tag,
)

ON = {"HousekeepingEnabled": "true"}
IMAGE = f"arn:aws:ec2:{REGION}::image/ami-1234567890abcdef0"
SNAPSHOT = f"arn:aws:ec2:{REGION}::snapshot/snap-1234567890abcdef0"
STACK = Stack.of(region=REGION, **ON)
LOG_STREAM = STACK.arn("HousekeepingLogGroup").removesuffix("*") + "log-stream:2025/11/25"
OUTBOX = "cleanup-reports#agent-1"
VOLUME = f"arn:aws:ec2:{REGION}:{ACCOUNT}:volume/vol-1"
RULE = f"arn:aws:rbin:{REGION}:{ACCOUNT}:rule/r"
PUBLIC = f"arn:aws:ssm:{REGION}::parameter/aws/service/ami-amazon-linux-latest/al2023"
OTHER_PARAMETER = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/golden-ami"
LOOKS = [
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeLaunchConfigurations",
    "ec2:DescribeFastSnapshotRestores",
    "ec2:DescribeFleets",
    "ec2:DescribeImageAttribute",
    "ec2:DescribeImageReferences",
    "ec2:DescribeImages",
    "ec2:DescribeInstances",
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeLockedSnapshots",
    "ec2:DescribeSnapshotAttribute",
    "ec2:DescribeSnapshots",
    "ec2:DescribeSpotFleetRequests",
    "ec2:DescribeSpotInstanceRequests",
    "ec2:DescribeVolumes",
    "imagebuilder:ListImageRecipes",
    "rbin:ListRules",
    "ssm:DescribeParameters",
]
RESOURCES = {"ec2:DescribeImageAttribute": IMAGE, "ec2:DescribeSnapshotAttribute": SNAPSHOT}
"""Of the looks that know some."""
ALLOWED = [
    *(Request(action, RESOURCES.get(action, "*"), HERE) for action in LOOKS),
    Request("ec2:DeregisterImage", IMAGE, OURS),
    Request("ec2:DeleteSnapshot", SNAPSHOT, OURS),
    Request("ssm:GetParameters", OTHER_PARAMETER, HERE),
    Request("ssm:GetParameters", PUBLIC, HERE),
    Request("ssm:GetParameter", PARAMETER, HERE),
    Request("dynamodb:GetItem", TABLE, item(OUTBOX)),
    Request("dynamodb:PutItem", TABLE, item(OUTBOX)),
    Request("dynamodb:DeleteItem", TABLE, item(OUTBOX)),
    Request("dynamodb:PutItem", TABLE, item("unseen-references")),
    Request("logs:PutLogEvents", LOG_STREAM, HERE),
    Request("sqs:SendMessage", FAILED_RUNS, HERE),
]
DENIED = [
    Request("ec2:DeregisterImage", IMAGE, HERE),
    Request("ec2:DeregisterImage", IMAGE, HERE | tag(ManagedBy="Terraform")),
    Request("ec2:DeregisterImage", IMAGE, OURS | tag(DoNotTerminate="")),
    Request("ec2:DeregisterImage", IMAGE.replace(REGION, "us-east-1"), OURS),
    Request("ec2:DeleteSnapshot", SNAPSHOT, HERE),
    Request("ec2:DeleteSnapshot", SNAPSHOT, OURS | tag(DoNotTerminate="x")),
    Request("ec2:DisableImageDeregistrationProtection", IMAGE, OURS),
    Request("ec2:UnlockSnapshot", SNAPSHOT, OURS),
    Request("ec2:CreateTags", IMAGE, OURS),
    Request("ec2:DeleteVolume", VOLUME, OURS),
    Request("ec2:TerminateInstances", INSTANCE, OURS),
    Request("ec2:ModifyImageAttribute", IMAGE, OURS),
    Request("ssm:PutParameter", OTHER_PARAMETER, HERE),
    Request("ssm:GetParameter", OTHER_PARAMETER, HERE),
    Request("ssm:GetParameters", OTHER_PARAMETER.replace(ACCOUNT, "999999999999"), HERE),
    Request("rbin:DeleteRule", RULE, HERE),
    Request("dynamodb:Scan", TABLE, HERE),
    Request("dynamodb:PutItem", TABLE, item(REPORTED)),
    Request("dynamodb:PutItem", TABLE, item(OUTBOX, REPORTED)),
    Request("dynamodb:DeleteItem", TABLE, HERE),
    Request("iam:PassRole", ROLE, HERE),
]


def policies(**parameters: str) -> list[dict[str, object]]:
    return Stack.of(region=REGION, **{**ON, **parameters}).policies("HousekeepingRole")


def test_it_is_off_by_default_and_nothing_of_it_is_there() -> None:
    assert not [name for name in Stack.of().resources if "Housekeeping" in name]
    assert [name for name in Stack.of(**ON).resources if "Housekeeping" in name]


@pytest.mark.parametrize(
    ("enabled", "dry_run", "told"),
    [
        ("true", "false", "false"),
        ("true", "true", "true"),
        ("dry-run", "false", "true"),
        ("dry-run", "true", "true"),
    ],
)
def test_it_can_be_tried_without_stopping_the_terminations(
    enabled: str, dry_run: str, told: str
) -> None:
    stack = Stack.of(HousekeepingEnabled=enabled, DryRun=dry_run)
    assert stack.environment("HousekeepingFunction")["DRY_RUN"] == told
    assert stack.environment()["DRY_RUN"] == dry_run


def test_it_runs_every_hour_under_a_name_of_its_own_and_is_not_repeated() -> None:
    stack = Stack.of("mine", **ON)
    (schedule,) = [
        one
        for one in stack.of_type("AWS::Scheduler::Schedule").values()
        if one["Name"] == "housekeeping"
    ]
    assert schedule["ScheduleExpression"] == "rate(1 hour)"
    assert schedule["GroupName"] == "mine-ScheduleGroup"
    assert schedule["Target"]["Arn"] == stack.arn("HousekeepingFunction")
    assert schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"] == 0
    assert stack.properties("HousekeepingFunction")["Timeout"] < 3600


@pytest.mark.parametrize(("given", "reserved"), [("0", None), ("1", 1), ("5", 1)])
def test_it_reserves_one_run_where_anything_is_reserved(given: str, reserved: int | None) -> None:
    function = Stack.of(ReservedConcurrency=given, **ON).properties("HousekeepingFunction")
    assert function.get("ReservedConcurrentExecutions") == reserved


@pytest.mark.parametrize("request_", ALLOWED, ids=named)
def test_the_function_may(request_: Request) -> None:
    assert is_allowed(policies(), request_)


@pytest.mark.parametrize("request_", DENIED, ids=named)
def test_the_function_may_not(request_: Request) -> None:
    assert not is_allowed(policies(), request_)


def test_no_other_secret_is_decrypted_though_the_default_key_would() -> None:
    """As if the key itself allowed it: AWS's key for SSM does, for the whole account."""
    generous = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}],
    }
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/aws-ssm"
    other = VIA_SSM | {"kms:EncryptionContext:PARAMETER_ARN": OTHER_PARAMETER}
    assert is_allowed([*policies(), generous], Request("kms:Decrypt", key, HERE | VIA_SSM))
    assert not is_allowed([*policies(), generous], Request("kms:Decrypt", key, HERE | other))


def test_the_schedule_may_start_it_once_it_is_there() -> None:
    mine = Request("lambda:InvokeFunction", Stack.of(**ON).arn("HousekeepingFunction"))
    assert is_allowed(Stack.of(**ON).policies("ScheduleRole"), mine)
    assert not is_allowed(Stack.of().policies("ScheduleRole"), mine)
