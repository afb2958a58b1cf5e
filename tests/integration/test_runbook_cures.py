"""The runbook's cures do what they say, and its other queries find what the function wrote."""

from __future__ import annotations

from tests.integration.night import AGENT, SCHEDULE, Night
from tests.integration.test_nights import AT_ONCE, schedule_disabled
from tests.integration.world import MANAGED
from tests.support import runbook


def test_nothing_is_listed_and_no_alarm_rings_while_the_backend_s_switch_is_off(
    night: Night,
) -> None:
    """It is somebody's wish, so the question leads there, and no alarm."""
    machine = night.zombie()
    night.operator.set_auto_terminate(AGENT, enabled=False)
    night.pass_minutes(AT_ONCE)
    assert night.notified() == {}
    one = night.doctor()["auto_terminate_backend"]
    assert (one["status"], one["cure"][:12]) == ("failed", "switch it on")
    assert "](#auto_terminate_backend)" in runbook.section("Why is nothing terminated?")

    (cure,) = runbook.blocks(runbook.section("auto_terminate_backend"))
    night.do(f"SERVER_URL={night.server_url} AGENT_ID={AGENT}\n{cure}")
    night.pass_minutes(1)
    assert not night.aws.fleet.instances[machine].live


def test_the_runbook_s_command_enables_the_schedule_and_changes_nothing_else(night: Night) -> None:
    group, _, name = SCHEDULE.partition("/")
    before = night.moto("scheduler").get_schedule(GroupName=group, Name=name)
    schedule_disabled(night)
    (cure,) = runbook.blocks(runbook.section("schedule"))
    night.do(cure)
    after = night.moto("scheduler").get_schedule(GroupName=group, Name=name)
    assert after["State"] == "ENABLED"
    for key in ("Description", "ScheduleExpression", "FlexibleTimeWindow", "Target"):
        assert after[key] == before[key]


def test_a_machine_that_is_tagged_as_the_runbook_says_is_ended_by_the_next_run(
    night: Night,
) -> None:
    night.variables["AGENT_ID"] = f"{AGENT}=web-1"
    machine = night.zombie(tags={})
    night.pass_minutes(1)
    assert night.aws.fleet.instances[machine].live
    cure = runbook.blocks(runbook.section("InstancesUntaggedAlarm"))[1]
    night.do(cure, machine=machine)
    night.pass_minutes(1)
    assert not night.aws.fleet.instances[machine].live


def test_what_happened_to_one_machine(night: Night) -> None:
    """Its lines, the first one first, and nobody else's."""
    protected_one = night.zombie(tags={**MANAGED, "DoNotTerminate": ""})
    night.zombie()
    night.pass_minutes(2)
    history = runbook.blocks(runbook.section("What you need"))[1]
    shown = night.do(history, machine=protected_one)
    assert "outcome=refused" in shown
    assert "terminated" not in shown.replace("zombie_timeout", "")


def test_a_machine_that_does_not_end_is_an_alarm_and_the_log_names_it(night: Night) -> None:
    night.variables["CONFIRM_TERMINATION"] = "true"  # else it is listed once
    machine = night.zombie(stuck=True)
    night.pass_minutes(1)
    night.clock.advance(16 * 60)
    night.pass_minutes(AT_ONCE)
    assert "InstancesStuckAlarm" in night.notified()
    shown = night.do(runbook.blocks(runbook.section("InstancesStuckAlarm"))[0].partition("\n")[0])
    assert machine in shown
    assert "longest=" in shown


def test_the_slowest_runs_and_the_last_hour_s_outcomes(night: Night) -> None:
    night.zombie()
    night.pass_minutes(3)
    slowest, hour = (
        night.do(runbook.blocks(runbook.section(one))[-1]) for one in ("DurationAlarm", "last_hour")
    )
    assert slowest.count("record.metrics.durationMs=") == 3
    assert "outcome=terminated" in hour
    assert "machines=1" in hour
