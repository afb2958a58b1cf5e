"""Whether each role may do what its function does: IAM's own simulator is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from handler.doctor.findings import Check, Finding, failed, ok
from tools.verify.reading import Deployed

TERMINATION, HOUSEKEEPING, SCHEDULE = "TerminationRole", "HousekeepingRole", "ScheduleRole"
FUNCTIONS = {TERMINATION: "TerminationFunction", HOUSEKEEPING: "HousekeepingFunction"}
COMMON = """
parameters | ssm:GetParameter
log | logs:CreateLogStream logs:PutLogEvents
failed_runs | sqs:SendMessage
"""
LOOKS = "ec2:DescribeFleets ec2:DescribeInstances ec2:DescribeSpotFleetRequests ec2:DescribeSpotInstanceRequests"
CALLS = {
    TERMINATION: f"""
* | {LOOKS} autoscaling:DescribeAutoScalingInstances cloudwatch:GetMetricData sts:DecodeAuthorizationMessage
instance | ec2:DescribeInstanceAttribute
instance | ec2:TerminateInstances | tagged
spot_request | ec2:CancelSpotInstanceRequests
group | autoscaling:TerminateInstanceInAutoScalingGroup | tagged | ASG_MEMBERS=terminate_and_shrink
* | cloudtrail:LookupEvents | | MISSING_INSTANCE_POLICY=verify
bus | events:PutEvents | | EVENT_BUS_NAME
schedule | scheduler:GetSchedule
table | dynamodb:DeleteItem dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem | success-report#0af3
{COMMON}""",
    HOUSEKEEPING: f"""
* | {LOOKS} autoscaling:DescribeAutoScalingGroups autoscaling:DescribeLaunchConfigurations
* | ec2:DescribeFastSnapshotRestores ec2:DescribeImageReferences ec2:DescribeImages ec2:DescribeLockedSnapshots
* | ec2:DescribeLaunchTemplateVersions ec2:DescribeLaunchTemplates ec2:DescribeSnapshots ec2:DescribeVolumes
* | rbin:ListRules ssm:DescribeParameters
image | ec2:DescribeImageAttribute
image | ec2:DeregisterImage | tagged
snapshot | ec2:DescribeSnapshotAttribute
snapshot | ec2:DeleteSnapshot | tagged
rule | rbin:GetRule
any_parameter | ssm:GetParameters
table | dynamodb:DeleteItem dynamodb:GetItem dynamodb:PutItem | cleanup-reports#agent-1
{COMMON}""",
    SCHEDULE: """
functions | lambda:InvokeFunction
undelivered | sqs:SendMessage
""",
}
"""Calls that are judged alike: resources | actions | `tagged` as ours, or the table's item | the variable with which
the code makes them. That these are all of the code's calls, tests/iam/test_verify.py tells."""


def token_parameters(environment: Mapping[str, str]) -> list[str]:
    """The names of the SSM parameters with the agents' tokens."""
    name = environment["CLIENT_TOKEN_PARAMETER"]
    agents = [one.partition("=")[0] for one in environment["AGENT_ID"].split(",")]
    return list(dict.fromkeys(name.replace("{agent_id}", agent) for agent in agents))


def roles(check: Check, of: Deployed) -> Iterator[Finding]:
    """May each role that the stack has do what it must?"""
    for role in CALLS:
        if role not in of.resources:
            continue
        if denied := dict.fromkeys(_denied(of, role)):
            yield failed(
                check,
                f"{role}: denied: {', '.join(denied)}",
                "its policy was changed, or a boundary or an organization's policy is in the way",
                "revert the stack's drift, or have these calls allowed there",
            )
        else:
            yield ok(check, f"{role}: all that it is for is allowed")


def _resources(of: Deployed, role: str) -> dict[str, list[str]]:
    """ARNs that the calls are about."""
    _, partition, _, region, account, _ = of.description["StackId"].split(":", 5)
    function = FUNCTIONS.get(role, FUNCTIONS[TERMINATION])
    variables = of.environment(function)
    ids = {name: i.rpartition("/")[2] for name, (_, i) in of.resources.items()}
    logs = of.physical(function.replace("Function", "LogGroup"))
    read = [*token_parameters(variables), variables.get("BACKEND_CA_PARAMETER", "")]
    own = {
        "role": [f"iam:::role/{ids[role]}"],
        "instance": ["ec2:::instance/i-1234567890abcdef0"],
        "spot_request": ["ec2:::spot-instances-request/sir-12345678"],
        "group": ["autoscaling:::autoScalingGroup:0b:autoScalingGroupName/web"],
        "bus": [f"events:::event-bus/{variables.get('EVENT_BUS_NAME')}"],
        "schedule": [f"scheduler:::schedule/{variables.get('SCHEDULE_NAME')}"],
        "table": [f"dynamodb:::table/{ids['IdempotencyTable']}"],
        "parameters": [f"ssm:::parameter/{name.lstrip('/')}" for name in read if name],
        "any_parameter": ["ssm:::parameter/golden-ami"],
        "log": [f"logs:::log-group:{logs}:log-stream:1"],
        "rule": ["rbin:::rule/r1"],
        "failed_runs": [f"sqs:::{ids['FailedRunsQueue']}"],
        "undelivered": [f"sqs:::{ids['UndeliveredQueue']}"],
        "functions": [f"lambda:::function:{ids[f]}" for f in FUNCTIONS.values() if f in ids],
    }
    place = {"iam": f"::{account}:"}
    arns = {
        name: [
            f"arn:{partition}:{service}{place.get(service, f':{region}:{account}:')}{rest}"
            for service, _, rest in (one.partition(":::") for one in each)
        ]
        for name, each in own.items()
    }
    images = f"arn:{partition}:ec2:{region}::"
    return arns | {
        "*": ["*"],
        "image": [f"{images}image/ami-1234567890abcdef0"],
        "snapshot": [f"{images}snapshot/snap-1234567890abcdef0"],
    }


def _denied(of: Deployed, role: str) -> Iterator[str]:
    arns = _resources(of, role)
    variables = of.environment(FUNCTIONS.get(role, FUNCTIONS[TERMINATION]))
    tag = variables["REQUIRED_TAGS"].partition(",")[0].partition("=")[2]
    for line in filter(None, CALLS[role].splitlines()):
        about, actions, named, only, *_ = [*map(str.strip, line.split("|")), "", ""]
        variable, _, value = only.partition("=")
        if only and (not variables.get(variable) or value not in {"", variables[variable]}):
            continue
        context = [("aws:RequestedRegion", "string", of.region)]
        if named:
            ours = ("aws:ResourceTag/ManagedBy", "string", tag)
            context += [
                ours if named == "tagged" else ("dynamodb:LeadingKeys", "stringList", named)
            ]
        for one in of.pages(
            *("iam", "simulate_principal_policy", "EvaluationResults"),
            PolicySourceArn=arns["role"][0],
            ActionNames=actions.split(),
            ResourceArns=arns[about],
            ContextEntries=[
                {"ContextKeyName": key, "ContextKeyType": kind, "ContextKeyValues": [told]}
                for key, kind, told in context
            ],
        ):
            if not _allowed(one):
                yield one["EvalActionName"]


def _allowed(result: Any) -> bool:  # noqa: ANN401 - JSON
    each = [one["EvalResourceDecision"] for one in result.get("ResourceSpecificResults", [])]
    return all(one == "allowed" for one in (result["EvalDecision"], *each))
