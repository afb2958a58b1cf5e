"""Faults at night, eleven and some more: from the alarm, by the runbook's own steps, to the cause and the cure.

Each is planted into the stack as deployed. Then the alarm must be on in time, its text must lead to a section of the
runbook, that section's commands must show the cause, and the doctor must name it with its cure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from backend.quirks import Quirks
from tests.integration.night import AGENT, SCHEDULE, Night, machine_ids
from tests.integration.scripted import ScriptedBackend
from tests.support import runbook
from tools.ec2_emulator.faults import dropped

AT_ONCE, BY_SYMPTOM, IN_AN_HOUR = 5, 8, 68
"""Minutes until somebody is told: of a cause; of what a cause might have explained; of what lasts."""


@dataclass(frozen=True)
class Fault:
    """What is planted, and where each step must lead.

    Attributes:
        plant: makes it, in a night with one zombie.
        alarm: who tells somebody.
        within: minutes.
        sections: of the runbook, that the alarm leads to.
        shows: what their commands show of the cause.
        check: the doctor's that names it.
        status: that check's.
        says: of its cause and cure.
        runs: whether the function is started.
        fresh: whether machines go on being marked.
    """

    plant: Callable[[Night], object]
    alarm: str
    within: int
    sections: str
    shows: str
    check: str
    says: tuple[str, ...]
    status: str = "failed"
    runs: bool = True
    fresh: bool = False


def deny(action: str) -> Callable[[Night], object]:
    return lambda night: night.aws.policy.denied_actions.add(action)


def unreachable(night: Night) -> None:
    night.aws.faults.add("ec2:*", dropped(after_effect=False), times=None)


def rotated(night: Night) -> None:
    night.operator.rotate_token(night.secret[0])


def backend_500(night: Night) -> None:
    night.operator.set_quirks(Quirks(database_down=True))


def backend_gone(night: Night) -> None:
    with ScriptedBackend("t") as short:
        night.server_url = short.url  # nobody listens there afterwards


def schedule_disabled(night: Night) -> None:
    group, _, name = SCHEDULE.partition("/")
    scheduler = night.moto("scheduler")
    found = scheduler.get_schedule(GroupName=group, Name=name)
    keys = (
        *("Name", "GroupName", "Description"),
        *("ScheduleExpression", "FlexibleTimeWindow", "Target"),
    )
    scheduler.update_schedule(**{key: found[key] for key in keys}, State="DISABLED")


def protected(night: Night) -> None:
    (one,) = night.aws.fleet.instances
    night.aws.fleet.tag(one, "DoNotTerminate", "")


def untagged(night: Night) -> None:
    (one,) = night.aws.fleet.instances
    night.aws.fleet.untag(one, "ManagedBy")


def variables(**given: str) -> Callable[[Night], object]:
    return lambda night: night.variables.update(given)


FAULTS = {
    "DescribeInstances denied": Fault(
        deny("ec2:DescribeInstances"),
        *("IamFailuresAlarm", AT_ONCE, "IamFailuresAlarm", "error_code=UnauthorizedOperation"),
        "ec2_describe",
        ("lacks ec2:DescribeInstances", "allow ec2:DescribeInstances"),
    ),
    "EC2 unreachable": Fault(
        unreachable,
        *("NeedsSomebodyAlarm", BY_SYMPTOM, "LookUpFailuresAlarm", "ConnectionClosedError"),
        "ec2_describe",
        ("was closed before there was an answer", "look for a proxy or a firewall"),
    ),
    "TerminateInstances denied": Fault(
        deny("ec2:TerminateInstances"),
        *(
            "IamFailuresAlarm",
            AT_ONCE,
            "IamFailuresAlarm",
            "IAM permissions insufficient to terminate",
        ),
        "ec2_terminate",
        ("is not authorized to perform: ec2:Term", "allow ec2:TerminateInstances"),
    ),
    "token wrong": Fault(
        rotated,
        *("NeedsSomebodyAlarm", BY_SYMPTOM, "RunsFailingAlarm", "HTTP 401"),
        "token_accepted",
        ("not this client's, or not any more", "put the client's current token into the SSM"),
    ),
    "backend 500": Fault(
        backend_500,
        *("BackendUnavailableAlarm", AT_ONCE, "BackendUnavailableAlarm", "HTTP 500"),
        "backend_reachable",
        ("the backend, its database", "the backend's status and log"),
    ),
    "backend unreachable": Fault(
        backend_gone,
        *("BackendUnavailableAlarm", AT_ONCE, "BackendUnavailableAlarm", "no answer from the"),
        "backend_reachable",
        ("nothing listens there", "start the backend"),
    ),
    "table missing": Fault(
        variables(IDEMPOTENCY_TABLE="deleted"),
        *("NeedsSomebodyAlarm", BY_SYMPTOM, "LookUpFailuresAlarm", "ResourceNotFoundException"),
        "idempotency_table",
        ("no such table", "revert the stack's drift"),
        fresh=True,
    ),
    "table denied": Fault(
        deny("dynamodb:PutItem"),
        *("IamFailuresAlarm", AT_ONCE, "IamFailuresAlarm", "perform: dynamodb:PutItem"),
        "idempotency_table",
        ("lacks dynamodb:PutItem", "allow dynamodb:PutItem"),
    ),
    "schedule disabled": Fault(
        schedule_disabled,
        *("NoRunsAlarm", AT_ONCE, "NoRunsAlarm", "termination\tDISABLED"),
        "schedule",
        ("switched the schedule off", "enable it"),
        runs=False,
    ),
    "machine protected": Fault(
        protected,
        *("NeedsSomebodyAlarm", IN_AN_HOUR, "InstancesOverdueAlarm", "protected by its tag"),
        "last_hour",
        ("a guard said no", "mend the machine's tags"),
        status="warning",
    ),
    "machine untagged": Fault(
        untagged,
        *("InstancesUntaggedAlarm", IN_AN_HOUR, "InstancesUntaggedAlarm", "ManagedBy"),
        "marked_instances",
        ("cannot be ended for lack of ManagedBy", "aws ec2 create-tags"),
        status="warning",
    ),
    "switched off in the function": Fault(
        variables(AUTO_TERMINATE_ENABLED="false"),
        *("NeedsSomebodyAlarm", IN_AN_HOUR, "OldestWaitAlarm", "AUTO_TERMINATE_ENABLED"),
        "auto_terminate_function",
        ("switched terminating off", "AutoTerminateEnabled"),
    ),
    "only a plan": Fault(
        variables(DRY_RUN="true"),
        *("NeedsSomebodyAlarm", IN_AN_HOUR, "OldestWaitAlarm", "outcome=planned"),
        "dry_run",
        ("only say what they would do", "parameter DryRun"),
        status="warning",
    ),
    "fuse blown": Fault(
        variables(MAX_FLEET_PERCENT="10"),
        *("FuseBlownAlarm", AT_ONCE, "FuseBlownAlarm", "more than 10 %"),
        "marked_instances",
        ("the fuse MAX_FLEET_PERCENT", "ask whoever runs the backend"),
    ),
    "one agent of two unknown": Fault(
        variables(AGENT_ID=f"{AGENT},nobody"),
        *("NeedsSomebodyAlarm", BY_SYMPTOM, "AgentsFailedAlarm", "agent_id=nobody"),
        "agent_known",
        ("no such agent of this client", "set AGENT_ID"),
    ),
    "settings bad": Fault(
        variables(SERVER_URL="http://backend.example.com"),
        *("NeedsSomebodyAlarm", BY_SYMPTOM, "RunsFailingAlarm", "SERVER_URL"),
        "settings",
        ("stops at every event", "correct the stack's parameters"),
    ),
    "client inactive": Fault(
        lambda night: night.operator.deactivate_client(night.secret[0]),
        *("NeedsSomebodyAlarm", BY_SYMPTOM, "RunsFailingAlarm", "HTTP 403"),
        "client_active",
        ("the client is inactive", "activate the client"),
    ),
}


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("night", "fault"),
    [pytest.param(one.within + 1, one, id=name) for name, one in FAULTS.items()],
    indirect=["night"],
)
def test_from_the_alarm_to_cause_and_cure(night: Night, fault: Fault) -> None:
    night.zombie()
    fault.plant(night)
    night.pass_minutes(fault.within + 1, runs=fault.runs, fresh=fault.fresh)

    assert night.notified().keys() == {fault.alarm}
    sections, shown = night.follow(fault.alarm)
    assert fault.sections in sections.split(", ")
    assert fault.shows in shown
    assert machine_ids(shown) <= night.aws.fleet.instances.keys()

    checks = night.doctor()
    one = checks[fault.check]
    assert one["status"] == fault.status
    for words in fault.says:
        assert words in one["cause"] + one["cure"]
    failed = [name for name, of in checks.items() if of["status"] == "failed"]
    assert failed[:1] == ([fault.check] if fault.status == "failed" else [])
    assert {*failed} <= {fault.check, "last_run"}, "what follows from it, and nothing else"
    assert f"](#{fault.check})" in runbook.section("Why is nothing terminated?")
    for section in sections.split(", "):
        if section in fault.sections:
            assert f"](#{fault.check})" in runbook.section(section)
