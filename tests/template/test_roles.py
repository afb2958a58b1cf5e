"""What the roles allow and what they do not: a table of requests against the template's policies."""

from __future__ import annotations

import pytest

from tests.support.iam import Request, is_allowed
from tests.template.stack import ACCOUNT, Stack

REGION = "eu-west-1"
HERE = {"aws:RequestedRegion": REGION}
ELSEWHERE = {"aws:RequestedRegion": "us-east-1"}
INSTANCE = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1234567890abcdef0"
SPOT_REQUEST = f"arn:aws:ec2:{REGION}:{ACCOUNT}:spot-instances-request/sir-12345678"
GROUP = f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:autoScalingGroup:0b:autoScalingGroupName/web"
PARAMETER = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/spot-cleanup/agent-1/token"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/12ab"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:other"
SCHEDULE = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/spot-cleanup/termination-agent-1"
TABLE = "arn:of:spot-cleanup/IdempotencyTable"
LOG_STREAM = "arn:of:spot-cleanup/TerminationLogGroup:log-stream:2025/11/25"


def tag(**tags: str) -> dict[str, str]:
    return {f"aws:ResourceTag/{key}": value for key, value in tags.items()}


OURS = HERE | tag(ManagedBy="SpotOptimizer")
VIA_SSM = {
    "kms:ViaService": f"ssm.{REGION}.amazonaws.com",
    "kms:EncryptionContext:PARAMETER_ARN": PARAMETER,
}

TERMINATE = "ec2:TerminateInstances"
CANCEL = "ec2:CancelSpotInstanceRequests"
SHRINK = "autoscaling:TerminateInstanceInAutoScalingGroup"
LOOK_UP = "cloudtrail:LookupEvents"

ALLOWED = [
    Request("ec2:DescribeInstances", context=HERE),
    Request("ec2:DescribeSpotInstanceRequests", context=HERE),
    Request(TERMINATE, INSTANCE, OURS),
    Request(TERMINATE, INSTANCE, OURS | tag(Name="web", LogicalAgentId="agent-1")),
    Request(CANCEL, SPOT_REQUEST, OURS),
    Request(CANCEL, SPOT_REQUEST, HERE),  # EC2 does not copy the instance's tags to its request
    Request("ssm:GetParameter", PARAMETER, HERE),
    Request("dynamodb:GetItem", TABLE, HERE),
    Request("dynamodb:PutItem", TABLE, HERE),
    Request("dynamodb:UpdateItem", TABLE, HERE),
    Request("dynamodb:DeleteItem", TABLE, HERE),
    Request("logs:CreateLogStream", LOG_STREAM, HERE),
    Request("logs:PutLogEvents", LOG_STREAM, HERE),
    Request("sqs:SendMessage", "arn:of:spot-cleanup/FailedRunsQueue", HERE),
    # what the doctor looks at
    Request("scheduler:GetSchedule", SCHEDULE, HERE),
    Request("cloudwatch:GetMetricData", context=HERE),
    Request("sts:DecodeAuthorizationMessage", context=HERE),
]

DENIED = [
    # somebody else's machines
    Request(TERMINATE, INSTANCE, HERE),
    Request(TERMINATE, INSTANCE, HERE | tag(ManagedBy="")),
    Request(TERMINATE, INSTANCE, HERE | tag(ManagedBy="Terraform")),
    Request(TERMINATE, INSTANCE, HERE | tag(ManagedBy="spotoptimizer")),
    Request(TERMINATE, INSTANCE, HERE | tag(Name="SpotOptimizer")),
    Request(TERMINATE, INSTANCE, OURS | tag(DoNotTerminate="")),
    Request(TERMINATE, INSTANCE, OURS | tag(DoNotTerminate="false")),
    # another region, another account
    Request(TERMINATE, INSTANCE, OURS | ELSEWHERE),
    Request(TERMINATE, INSTANCE.replace(REGION, "us-east-1"), OURS | ELSEWHERE),
    Request(TERMINATE, INSTANCE.replace(ACCOUNT, "999999999999"), OURS),
    Request("ec2:DescribeInstances", context=ELSEWHERE),
    # other ways to harm a machine, or to get one's hands on it
    Request("ec2:StopInstances", INSTANCE, OURS),
    Request("ec2:RebootInstances", INSTANCE, OURS),
    Request("ec2:ModifyInstanceAttribute", INSTANCE, OURS),
    Request("ec2:CreateTags", INSTANCE, OURS),
    Request("ec2:DeleteTags", INSTANCE, OURS),
    Request("ec2:RunInstances", INSTANCE, OURS),
    # Spot requests that bear another owner's tag, or are elsewhere
    Request(CANCEL, SPOT_REQUEST, HERE | tag(ManagedBy="Terraform")),
    Request(CANCEL, SPOT_REQUEST, ELSEWHERE),
    Request(CANCEL, SPOT_REQUEST.replace(ACCOUNT, "999999999999"), HERE),
    Request("ec2:CancelSpotFleetRequests", "*", HERE),
    # what only a parameter opens
    Request(SHRINK, GROUP, OURS),
    Request(LOOK_UP, context=HERE),
    Request("kms:Decrypt", KEY, HERE | VIA_SSM),
    Request("ec2:CreateNetworkInterface", "*", HERE),
    # other secrets, tables, logs, queues
    Request("ssm:GetParameter", PARAMETER + "2", HERE),
    Request("ssm:GetParameter", PARAMETER.removesuffix("/token"), HERE),
    Request("ssm:GetParameter", PARAMETER.replace("agent-1", "agent-2"), HERE),
    Request("ssm:GetParameters", PARAMETER, HERE),
    Request("ssm:GetParametersByPath", PARAMETER, HERE),
    Request("ssm:PutParameter", PARAMETER, HERE),
    Request("dynamodb:Scan", TABLE, HERE),
    Request("dynamodb:DeleteTable", TABLE, HERE),
    Request("dynamodb:GetItem", TABLE + "2", HERE),
    Request("logs:CreateLogGroup", LOG_STREAM, HERE),
    Request("logs:PutLogEvents", LOG_STREAM.replace("spot-cleanup", "other"), HERE),
    Request("sqs:SendMessage", "arn:of:spot-cleanup/UndeliveredQueue", HERE),
    Request("sqs:ReceiveMessage", "arn:of:spot-cleanup/FailedRunsQueue", HERE),
    Request("lambda:InvokeFunction", FUNCTION, HERE),
    # the doctor only looks, and at its own
    Request("scheduler:GetSchedule", SCHEDULE.replace("termination", "housekeeping"), HERE),
    Request("scheduler:GetSchedule", SCHEDULE.replace("spot-cleanup/", "other/"), HERE),
    Request("scheduler:UpdateSchedule", SCHEDULE, HERE),
    Request("scheduler:DeleteSchedule", SCHEDULE, HERE),
    Request("cloudwatch:GetMetricData", context=ELSEWHERE),
    Request("cloudwatch:PutMetricData", context=HERE),
    Request("sts:DecodeAuthorizationMessage", context=ELSEWHERE),
    Request("iam:PassRole", "*", HERE),
    Request("sts:AssumeRole", "*", HERE),
]


def named(request: Request) -> str:
    tail = request.resource.rsplit(":", 1)[-1]
    return f"{request.action} {tail} {' '.join(map('='.join, request.context.items()))}"


def allows(request: Request, **parameters: str) -> bool:
    return is_allowed(Stack.of(region=REGION, **parameters).policies("TerminationRole"), request)


@pytest.mark.parametrize("request_", ALLOWED, ids=named)
def test_the_function_may(request_: Request) -> None:
    assert allows(request_)


@pytest.mark.parametrize("request_", DENIED, ids=named)
def test_the_function_may_not(request_: Request) -> None:
    assert not allows(request_)


def test_the_value_of_the_first_required_tag_is_the_role_s() -> None:
    tags = {"RequiredTags": "ManagedBy=Fleet-7,Env=prod"}
    assert allows(Request(TERMINATE, INSTANCE, HERE | tag(ManagedBy="Fleet-7")), **tags)
    assert not allows(Request(TERMINATE, INSTANCE, OURS), **tags)


def test_another_protect_tag_is_guarded_by_the_code_alone() -> None:
    protected = Request(TERMINATE, INSTANCE, OURS | tag(DoNotTerminate="x"))
    assert allows(protected, ProtectTag="KeepMe")


def test_shrinking_groups_is_a_choice_and_holds_for_own_groups_only() -> None:
    chosen = {"AsgMembers": "terminate_and_shrink"}
    assert allows(Request(SHRINK, GROUP, OURS), **chosen)
    assert allows(Request("autoscaling:DescribeAutoScalingInstances", "*", HERE), **chosen)
    assert not allows(Request("autoscaling:DescribeAutoScalingInstances", "*", HERE))
    assert not allows(Request("autoscaling:DescribeAutoScalingInstances", "*", ELSEWHERE), **chosen)
    assert not allows(Request(SHRINK, GROUP, HERE), **chosen)
    assert not allows(Request(SHRINK, GROUP, HERE | tag(ManagedBy="Terraform")), **chosen)
    assert not allows(Request(SHRINK, GROUP, OURS | ELSEWHERE), **chosen)
    assert not allows(Request("autoscaling:SetDesiredCapacity", GROUP, OURS), **chosen)
    assert not allows(Request("autoscaling:DeleteAutoScalingGroup", GROUP, OURS), **chosen)


def test_the_event_history_is_read_only_to_verify() -> None:
    assert allows(Request(LOOK_UP, context=HERE), MissingInstancePolicy="verify")
    assert not allows(Request(LOOK_UP, context=ELSEWHERE), MissingInstancePolicy="verify")
    assert not allows(Request(LOOK_UP, context=HERE), MissingInstancePolicy="ignore")


def test_a_customer_s_key_decrypts_the_token_and_nothing_else() -> None:
    key = {"TokenKmsKeyArn": KEY}
    assert allows(Request("kms:Decrypt", KEY, HERE | VIA_SSM), **key)
    assert not allows(Request("kms:Decrypt", KEY, HERE), **key)
    other = VIA_SSM | {"kms:EncryptionContext:PARAMETER_ARN": PARAMETER + "2"}
    assert not allows(Request("kms:Decrypt", KEY, HERE | other), **key)
    direct = VIA_SSM | {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}
    assert not allows(Request("kms:Decrypt", KEY, HERE | direct), **key)
    assert not allows(Request("kms:Decrypt", KEY + "3", HERE | VIA_SSM), **key)
    assert not allows(Request("kms:Encrypt", KEY, HERE | VIA_SSM), **key)


@pytest.mark.parametrize("name", ["token", "/token", "a/b/token", "/a/b/token"])
def test_a_parameter_s_name_may_begin_with_a_slash_or_not(name: str) -> None:
    arn = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{name.removeprefix('/')}"
    assert allows(Request("ssm:GetParameter", arn, HERE), ClientTokenParameter=name)


def test_the_network_is_the_lambda_service_s_and_not_the_code_s() -> None:
    vpc = {"VpcSubnetIds": "subnet-0a", "VpcSecurityGroupIds": "sg-0b"}
    code = HERE | {"lambda:SourceFunctionArn": FUNCTION}
    for action in ("CreateNetworkInterface", "DeleteNetworkInterface", "DescribeNetworkInterfaces"):
        assert allows(Request(f"ec2:{action}", "*", HERE), **vpc)
        assert not allows(Request(f"ec2:{action}", "*", code), **vpc)
    assert allows(Request(TERMINATE, INSTANCE, OURS | code), **vpc)


def test_the_schedule_may_start_its_function_and_keep_what_it_could_not_deliver() -> None:
    policies = Stack.of().policies("ScheduleRole")
    mine = "arn:of:spot-cleanup/TerminationFunction"
    assert is_allowed(policies, Request("lambda:InvokeFunction", mine))
    assert is_allowed(policies, Request("sqs:SendMessage", "arn:of:spot-cleanup/UndeliveredQueue"))
    for request in (
        Request("lambda:InvokeFunction", FUNCTION),
        Request("lambda:UpdateFunctionCode", mine),
        Request("sqs:SendMessage", "arn:of:spot-cleanup/FailedRunsQueue"),
        Request(TERMINATE, INSTANCE, OURS),
    ):
        assert not is_allowed(policies, request)


@pytest.mark.parametrize(
    ("role", "service"),
    [("TerminationRole", "lambda.amazonaws.com"), ("ScheduleRole", "scheduler.amazonaws.com")],
)
def test_a_role_is_for_one_service(role: str, service: str) -> None:
    (trust,) = Stack.of().properties(role)["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": service}
    assert trust["Action"] == "sts:AssumeRole"


def test_only_this_stack_s_schedules_use_their_role() -> None:
    (trust,) = Stack.of().properties("ScheduleRole")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"] == {
        "StringEquals": {
            "aws:SourceAccount": ACCOUNT,
            "aws:SourceArn": "arn:of:spot-cleanup/ScheduleGroup",
        }
    }


def test_each_function_has_a_role_of_its_own() -> None:
    functions = Stack.of().of_type("AWS::Lambda::Function")
    roles = [function["Role"] for function in functions.values()]
    assert len(set(roles)) == len(functions)


@pytest.mark.parametrize("role", ["TerminationRole", "ScheduleRole"])
def test_no_role_bears_a_managed_policy_or_an_action_with_a_wildcard(role: str) -> None:
    stack = Stack.of(
        AsgMembers="terminate_and_shrink",
        MissingInstancePolicy="verify",
        TokenKmsKeyArn=KEY,
        VpcSubnetIds="subnet-0a",
        VpcSecurityGroupIds="sg-0b",
    )
    assert "ManagedPolicyArns" not in stack.properties(role)
    for policy in stack.policies(role):
        for statement in policy["Statement"]:
            assert "*" not in str(statement["Action"])
            # Whatever cannot be narrowed by resource is narrowed by region.
            if statement["Resource"] == "*" and statement["Effect"] == "Allow":
                assert statement["Condition"] == {"StringEquals": {"aws:RequestedRegion": REGION}}
