"""What the roles allow and what they do not: a table of requests against the template's policies.

That every call of the code is allowed, tests/iam tells.
"""

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
NETWORK = f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/*"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/other"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:other"
SCHEDULES = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/spot-cleanup-ScheduleGroup"
SCHEDULE = f"{SCHEDULES}/termination"
STACK = Stack.of(region=REGION)
TABLE = STACK.arn("IdempotencyTable")
FAILED_RUNS, UNDELIVERED = STACK.arn("FailedRunsQueue"), STACK.arn("UndeliveredQueue")
LOG_STREAM = STACK.arn("TerminationLogGroup").removesuffix("*") + "log-stream:2025/11/25"
BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/spot"


def tag(**tags: str) -> dict[str, str]:
    return {f"aws:ResourceTag/{key}": value for key, value in tags.items()}


def item(*ids: str) -> dict[str, str | list[str]]:
    """The items of the table that a call names."""
    return {**HERE, "dynamodb:LeadingKeys": [*ids]}


OURS = HERE | tag(ManagedBy="SpotOptimizer")
REPLICA = HERE | tag(ReplicaId="rep-1", ParentInstance="i-1", Name="replica")
REPORTED, PROVEN, SEEN, DOCTOR = "success-report#0af3", "lived-here#0af3", "first-seen", "doctor"
NOTE = "unseen-references"
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
    Request("ec2:DescribeFleets", context=HERE),
    Request("ec2:DescribeSpotFleetRequests", context=HERE),
    Request("ec2:DescribeInstanceAttribute", INSTANCE, HERE),
    Request("autoscaling:DescribeAutoScalingInstances", context=HERE),
    Request("ssm:GetParameter", PARAMETER, HERE),
    *(
        Request(f"dynamodb:{action}", TABLE, item(one))
        for one in (REPORTED, PROVEN, SEEN, DOCTOR)
        for action in ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem")
    ),
    Request("dynamodb:BatchWriteItem", TABLE, item(REPORTED, PROVEN)),
    Request("logs:CreateLogStream", LOG_STREAM, HERE),
    Request("logs:PutLogEvents", LOG_STREAM, HERE),
    Request("sqs:SendMessage", FAILED_RUNS, HERE),
    # what the doctor looks at
    Request("scheduler:GetSchedule", SCHEDULE, HERE),
    Request("cloudwatch:GetMetricData", context=HERE),
    Request("dynamodb:GetItem", TABLE, item(NOTE)),
    Request("sts:DecodeAuthorizationMessage", context=HERE),
    Request("sts:DecodeAuthorizationMessage", context=ELSEWHERE),  # STS's global endpoint
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
    # the original agent's replicas, unless UntaggedReplicas says so
    Request(TERMINATE, INSTANCE, REPLICA),
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
    Request(
        "ec2:CancelSpotFleetRequests",
        SPOT_REQUEST.replace("spot-instances-request/sir", "spot-fleet-request/sfr"),
        HERE,
    ),
    # what only a parameter opens
    Request(SHRINK, GROUP, OURS),
    Request(LOOK_UP, context=HERE),
    Request("kms:Decrypt", KEY, HERE | VIA_SSM),
    Request("ec2:CreateNetworkInterface", NETWORK, HERE),
    Request("events:PutEvents", BUS, HERE),
    # other secrets, tables, logs, queues
    Request("ssm:GetParameter", PARAMETER + "2", HERE),
    Request("ssm:GetParameter", PARAMETER.removesuffix("/token"), HERE),
    Request("ssm:GetParameter", PARAMETER.replace("agent-1", "agent-2"), HERE),
    Request("ssm:GetParameters", PARAMETER, HERE),
    Request("ssm:GetParametersByPath", PARAMETER, HERE),
    Request("ssm:PutParameter", PARAMETER, HERE),
    Request("dynamodb:Scan", TABLE, HERE),
    Request("dynamodb:DeleteTable", TABLE, HERE),
    Request("dynamodb:BatchGetItem", TABLE, item(REPORTED)),
    Request("dynamodb:Query", TABLE, item(REPORTED)),
    Request("dynamodb:GetItem", TABLE + "2", item(REPORTED)),
    # housekeeping's items, and a call that names none
    Request("dynamodb:GetItem", TABLE, item("cleanup-reports#agent-1")),
    Request("dynamodb:GetItem", TABLE, item(NOTE, "cleanup-reports#agent-1")),
    Request("dynamodb:PutItem", TABLE, item(NOTE)),
    Request("dynamodb:BatchWriteItem", TABLE, item(REPORTED, "cleanup-reports#agent-1")),
    Request("dynamodb:PutItem", TABLE, HERE),
    Request("logs:CreateLogGroup", STACK.arn("TerminationLogGroup"), HERE),
    Request("logs:PutLogEvents", LOG_STREAM.replace("spot-cleanup", "other"), HERE),
    Request("sqs:SendMessage", UNDELIVERED, HERE),
    Request("sqs:ReceiveMessage", FAILED_RUNS, HERE),
    Request("lambda:InvokeFunction", FUNCTION, HERE),
    # the doctor only looks, and at its own
    Request("scheduler:GetSchedule", SCHEDULE.replace("termination", "housekeeping"), HERE),
    Request("scheduler:GetSchedule", SCHEDULE.replace("spot-cleanup-", "other-"), HERE),
    Request("scheduler:UpdateSchedule", SCHEDULE, HERE),
    Request("scheduler:DeleteSchedule", SCHEDULE, HERE),
    Request("cloudwatch:GetMetricData", context=ELSEWHERE),
    Request("cloudwatch:PutMetricData", context=HERE),
    Request("iam:PassRole", ROLE, HERE),
    Request("sts:AssumeRole", ROLE, HERE),
]


def named(request: Request) -> str:
    tail = request.resource.rsplit(":", 1)[-1]
    return f"{request.action} {tail} {' '.join(f'{k}={v}' for k, v in request.context.items())}"


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


@pytest.mark.parametrize("value", ["Spot=Optimizer", "Fleet 7/blue", "größe", "a+b=c:@"])
def test_it_may_hold_what_a_tag_s_value_may(value: str) -> None:
    tags = {"RequiredTags": f"ManagedBy={value},Env=x y=z"}
    assert allows(Request(TERMINATE, INSTANCE, HERE | tag(ManagedBy=value)), **tags)
    assert not allows(Request(TERMINATE, INSTANCE, HERE | tag(ManagedBy=value[:-1])), **tags)


def test_untagged_replicas_are_ended_where_the_operator_says_so() -> None:
    chosen = {"UntaggedReplicas": "terminate"}
    assert allows(Request(TERMINATE, INSTANCE, REPLICA), **chosen)
    assert allows(Request(TERMINATE, INSTANCE, OURS), **chosen)
    for tags in (
        HERE,
        HERE | tag(ReplicaId="rep-1"),
        HERE | tag(ParentInstance="i-1"),
        REPLICA | tag(DoNotTerminate=""),
        REPLICA | ELSEWHERE,
    ):
        assert not allows(Request(TERMINATE, INSTANCE, tags), **chosen)
    protected = Request(TERMINATE, INSTANCE, REPLICA | tag(DoNotTerminate=""))
    assert allows(protected, **chosen, ProtectTag="KeepMe")  # the code's to guard


def test_events_go_to_the_named_bus_alone() -> None:
    assert allows(Request("events:PutEvents", BUS, HERE), EventBusName="spot")
    other = BUS.replace("/spot", "/default")
    assert not allows(Request("events:PutEvents", other, HERE), EventBusName="spot")


@pytest.mark.parametrize("name", ["ca", "/spot-cleanup/ca"])
def test_the_backend_s_own_ca_is_read_where_there_is_one(name: str) -> None:
    arn = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{name.removeprefix('/')}"
    read = Request("ssm:GetParameter", arn, HERE)
    assert allows(read, BackendCaParameter=name)
    assert not allows(read)
    assert allows(Request("ssm:GetParameter", PARAMETER, HERE), BackendCaParameter=name)


def test_another_protect_tag_is_guarded_by_the_code_alone() -> None:
    protected = Request(TERMINATE, INSTANCE, OURS | tag(DoNotTerminate="x"))
    assert allows(protected, ProtectTag="KeepMe")


def test_shrinking_groups_is_a_choice_and_holds_for_own_groups_only() -> None:
    chosen = {"AsgMembers": "terminate_and_shrink"}
    assert allows(Request(SHRINK, GROUP, OURS), **chosen)
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


@pytest.mark.parametrize("name", ["token", "/token", "/a/b/token"])
def test_a_parameter_s_name_may_begin_with_a_slash_or_not(name: str) -> None:
    arn = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{name.removeprefix('/')}"
    assert allows(Request("ssm:GetParameter", arn, HERE), ClientTokenParameter=name)


def test_the_network_is_the_lambda_service_s_and_not_the_code_s() -> None:
    vpc = {"VpcSubnetIds": "subnet-0a", "VpcSecurityGroupIds": "sg-0b"}
    code = HERE | {"lambda:SourceFunctionArn": FUNCTION}
    for action, resource in (
        ("CreateNetworkInterface", NETWORK),
        ("DeleteNetworkInterface", NETWORK),
        ("DescribeNetworkInterfaces", "*"),
    ):
        assert allows(Request(f"ec2:{action}", resource, HERE), **vpc)
        assert not allows(Request(f"ec2:{action}", resource, code), **vpc)
    assert allows(Request(TERMINATE, INSTANCE, OURS | code), **vpc)


def test_the_schedule_may_start_its_function_and_keep_what_it_could_not_deliver() -> None:
    policies = Stack.of().policies("ScheduleRole")
    mine = Stack.of().arn("TerminationFunction")
    assert is_allowed(policies, Request("lambda:InvokeFunction", mine))
    assert is_allowed(policies, Request("sqs:SendMessage", UNDELIVERED))
    for request in (
        Request("lambda:InvokeFunction", FUNCTION),
        Request("lambda:UpdateFunctionCode", mine),
        Request("sqs:SendMessage", FAILED_RUNS),
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
            "aws:SourceArn": Stack.of().arn("ScheduleGroup"),
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
        UntaggedReplicas="terminate",
        EventBusName="spot",
        BackendCaParameter="ca",
    )
    assert "ManagedPolicyArns" not in stack.properties(role)
    for policy in stack.policies(role):
        for statement in policy["Statement"]:
            assert "*" not in str(statement["Action"])
            # Whatever cannot be narrowed by resource is narrowed by region, but for STS's global endpoint.
            unbound = statement["Resource"] == "*" and statement["Effect"] == "Allow"
            if unbound and statement["Sid"] != "SeeWhyNot":
                assert statement["Condition"] == {"StringEquals": {"aws:RequestedRegion": REGION}}
