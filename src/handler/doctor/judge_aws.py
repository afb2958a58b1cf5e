"""The doctor's checks on AWS: EC2's permissions, the table, the schedule, the last run."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from handler.aws.errors import AwsError, ErrorKind
from handler.doctor.advice import Advice, advice, allow
from handler.doctor.findings import (
    Check,
    Finding,
    depends,
    failed,
    ok,
    skipped,
    warning,
)
from handler.doctor.ports import TableFault, TableTrouble
from handler.doctor.recent_runs import Minute, Schedule, judge_runs
from handler.instances.guard import GROUP_TAG, Policy
from handler.instances.model import Instance
from handler.instances.ports import Accepted

TERMINATE = "ec2:TerminateInstances"
CANCEL = "ec2:CancelSpotInstanceRequests"
DESCRIBE_SPOT = "ec2:DescribeSpotInstanceRequests"
DECODE = "sts:DecodeAuthorizationMessage"
_TABLE = {
    TableFault.MISSING: Advice(
        "there is no such table in this account and region",
        "set IDEMPOTENCY_TABLE to the stack's table (stack output IdempotencyTable), in this region; if "
        "it was deleted, revert the stack's drift",
    ),
    TableFault.SCHEMA: Advice(
        "the table's key is not a single string attribute named id, as Powertools' is",
        "make the table as the template does; it is a cache of acknowledged reports, and may begin "
        "empty",
    ),
}


def describe_failed(error: AwsError) -> Finding:
    """DescribeInstances did not work."""
    return _aws_failed(Check.EC2_DESCRIBE, error, "ec2:DescribeInstances")


def pick(running: Sequence[Instance], policy: Policy, marked: Collection[str]) -> Instance | None:
    """The instance to try on: one that the guards do not refuse, a marked one if there is one."""
    free = [
        one for one in running if policy.protect_tag not in one.tags and GROUP_TAG not in one.tags
    ]
    return next((one for one in free if one.instance_id in marked), free[0] if free else None)


def nothing_to_try_on(policy: Policy) -> Finding:
    """The DryRun needs an instance: IAM's conditions are on the instance's tags."""
    tags = ",".join(f"{key}={value}" for key, value in policy.required_tags.items())
    return skipped(
        Check.EC2_TERMINATE,
        f"no running instance bears {tags or 'any tag'} without {policy.protect_tag} and outside of "
        "Auto Scaling groups: there is none to try the permission on",
    )


def judge_dry_run(
    instance: Instance, answer: Accepted | AwsError, decoded: str | AwsError | None
) -> Finding:
    """Whether EC2 would terminate it: the original guide's cause 3.

    Args:
        instance: the one that was tried.
        answer: EC2's, to a DryRun.
        decoded: the reason of a denial, why it could not be decoded, or None where none is coded.
    """
    cure = (
        f"{allow(TERMINATE)}. The template allows it for instances with the tag ManagedBy of the "
        "first of RequiredTags and without DoNotTerminate: compare the instance's tags"
    )
    trial = _Trial(Check.EC2_TERMINATE, f"terminate {instance.instance_id}", TERMINATE, cure)
    return trial.judge(answer, decoded)


def spot_requests_unknown(error: AwsError) -> Finding:
    """DescribeSpotInstanceRequests did not work: runs leave instances from Spot requests alone."""
    return _aws_failed(Check.SPOT, error, DESCRIBE_SPOT)


def no_standing_request(requests: int) -> Finding:
    """Of so many Spot requests behind running instances, none has to be cancelled first."""
    if not requests:
        return ok(Check.SPOT, "no running instance comes from a Spot request")
    return ok(Check.SPOT, f"none of {requests} Spot requests would launch another instance")


def judge_cancellation(
    request: str, answer: Accepted | AwsError, decoded: str | AwsError | None
) -> Finding:
    """Whether EC2 would cancel a standing Spot request; arguments as of `judge_dry_run`."""
    cure = (
        f"{allow(CANCEL)}. The template allows it for requests that bear no other ManagedBy tag than "
        "the first of RequiredTags; until then instances from persistent requests are left alone"
    )
    return _Trial(Check.SPOT, f"cancel {request}", CANCEL, cure).judge(answer, decoded)


@dataclass(frozen=True, slots=True)
class _Trial:
    """A call that was made with DryRun: `what` EC2 would do, and the cure of a denial."""

    check: Check
    what: str
    permission: str
    cure: str

    def judge(self, answer: Accepted | AwsError, decoded: str | AwsError | None) -> Finding:
        if isinstance(answer, Accepted):
            return ok(self.check, f"EC2's DryRun would {self.what}")
        if answer.kind is ErrorKind.MISSING:
            return skipped(self.check, f"{answer.code}: gone before EC2 was asked to {self.what}")
        if not answer.denied:
            return _aws_failed(self.check, answer, self.permission)
        found = f"{answer.code}: EC2's DryRun would not {self.what}"
        if not isinstance(decoded, AwsError):
            return failed(self.check, found, decoded or answer.message, self.cure)
        return failed(
            self.check,
            found,
            f"{answer.message} (not decoded, since {DECODE} did not work: {decoded.code})",
            f"{self.cure}; to see the exact reason, allow {DECODE} to the function's role, or decode "
            "the message with `aws sts decode-authorization-message` under a role that may",
        )


def judge_table(trouble: TableTrouble | AwsError | None, table: str) -> Finding:
    """Whether acknowledged reports can be remembered. Without, runs go on, and may report twice."""
    if trouble is None:
        return ok(Check.TABLE, f"{table} takes all that is asked of it")
    if isinstance(trouble, AwsError):
        return _aws_failed(Check.TABLE, trouble, "dynamodb:GetItem", f"{table}: ")
    found = f"{table}, {trouble.action}: {trouble.error}"
    if trouble.fault in _TABLE:
        return failed(Check.TABLE, found, *_TABLE[trouble.fault])
    permission = f"dynamodb:{trouble.action} on the table"
    return _aws_failed(Check.TABLE, trouble.error, permission, f"{table}, {trouble.action}: ")


def judge_schedule(found: Schedule | AwsError | None, name: str) -> Finding:
    """Whether something starts the runs: the original guide's cause 1."""
    if isinstance(found, AwsError):
        if found.denied:
            cure = allow("scheduler:GetSchedule on the schedule")
            return skipped(Check.SCHEDULE, f"{name}: {found.code}: it may not be looked at", cure)
        return _aws_failed(Check.SCHEDULE, found, "scheduler:GetSchedule", f"{name}: ")
    if found is None:
        return failed(
            Check.SCHEDULE,
            f"there is no schedule {name}",
            "it was deleted, or the stack does not serve this agent: nothing starts the function for it",
            "see whether the stack's parameters name the agent; if they do, somebody deleted the schedule: "
            "revert the stack's drift, since deploying the same template makes nothing again",
        )
    if found.enabled:
        return ok(Check.SCHEDULE, f"{name} is enabled: {found.expression}")
    return failed(
        Check.SCHEDULE,
        f"{name} is disabled ({found.expression})",
        "somebody has switched the schedule off: nothing starts the function for this agent",
        "find out why, then enable it where it was disabled: in the console (EventBridge, Schedules) or "
        "on the command line. A deploy of the same template does not",
    )


def judge_last_run(
    runs: Sequence[Minute] | AwsError, now: datetime, schedule: Schedule | None
) -> Finding:
    """When the last run succeeded."""
    if not isinstance(runs, AwsError):
        return judge_runs(runs, now, schedule)
    if runs.denied:
        cure = allow("cloudwatch:GetMetricData")
        return skipped(Check.LAST_RUN, f"{runs.code}: the metrics may not be read", cure)
    return _aws_failed(Check.LAST_RUN, runs, "cloudwatch:GetMetricData")


def judge_describe(running: Sequence[Instance], policy: Policy) -> Finding:
    """DescribeInstances worked."""
    tags = ",".join(f"{key}={value}" for key, value in policy.required_tags.items())
    bearing = f"bear {tags}" if tags else "run here"
    return ok(Check.EC2_DESCRIBE, f"{len(running)} running instances {bearing}")


def without_describe(check: Check) -> Finding:
    """What needs to see instances."""
    return depends(check, Check.EC2_DESCRIBE)


def _aws_failed(check: Check, error: AwsError, permission: str, where: str = "") -> Finding:
    cause, cure = advice(error, permission)
    judge = warning if error.kind is ErrorKind.THROTTLED else failed
    return judge(check, f"{where}{error}", cause, cure)
