"""What wakes somebody, and what it tells them."""

import pytest

from tests.template.stack import Stack, source

ALARMS = [
    "NoRunsAlarm",
    "RunsFailingAlarm",
    "FuseBlownAlarm",
    "InstancesStuckAlarm",
    "OldestWaitAlarm",
    "DeadLettersAlarm",
]
INTERVALS = source()["Parameters"]["TerminationCheckInterval"]["AllowedValues"]
TOPIC = "arn:aws:sns:eu-west-1:123456789012:ops"


def test_these_alarms_and_no_others() -> None:
    assert sorted(Stack.of().of_type("AWS::CloudWatch::Alarm")) == sorted(ALARMS)


@pytest.mark.parametrize("alarm", ALARMS)
def test_an_alarm_says_what_to_do_first_and_tells_whoever_is_to_know(alarm: str) -> None:
    silent = Stack.of().properties(alarm)
    assert "First " in silent["AlarmDescription"]
    assert "AlarmActions" not in silent
    loud = Stack.of(AlarmTopicArn=TOPIC).properties(alarm)
    assert loud["AlarmActions"] == loud["OKActions"] == [TOPIC]


@pytest.mark.parametrize("interval", INTERVALS)
def test_missing_runs_raise_an_alarm_after_three_intervals_five_minutes_at_the_least(
    interval: str,
) -> None:
    alarm = Stack.of(TerminationCheckInterval=interval).properties("NoRunsAlarm")
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Lambda", "Invocations")
    assert alarm["TreatMissingData"] == "breaching"
    window = alarm["Period"] * alarm["EvaluationPeriods"]
    assert window == max(300, 3 * int(interval))
    assert alarm["DatapointsToAlarm"] == alarm["EvaluationPeriods"]


def test_one_failed_run_raises_no_alarm_and_two_do() -> None:
    alarm = Stack.of().properties("RunsFailingAlarm")
    assert (alarm["MetricName"], alarm["DatapointsToAlarm"]) == ("Errors", 2)
    assert alarm["TreatMissingData"] == "notBreaching"


@pytest.mark.parametrize(
    ("name", "metric", "statistic"),
    [
        ("FuseBlownAlarm", "FuseBlown", "Sum"),
        ("InstancesStuckAlarm", "InstancesStuck", "Sum"),
        ("OldestWaitAlarm", "OldestWait", "Maximum"),
    ],
)
def test_an_alarm_watches_the_metric_that_the_function_sends(
    name: str, metric: str, statistic: str
) -> None:
    stack = Stack.of(
        AgentId="agent-9", PowertoolsServiceName="svc", PowertoolsMetricsNamespace="Space"
    )
    alarm = stack.properties(name)
    assert (alarm["Namespace"], alarm["MetricName"]) == ("Space", metric)
    assert alarm["Statistic"] == statistic
    assert alarm["TreatMissingData"] == "notBreaching"
    dimensions = {d["Name"]: d["Value"] for d in alarm["Dimensions"]}
    assert dimensions == {"service": "svc", "agent_id": "agent-9"}


def test_a_long_wait_raises_an_alarm_in_the_second_run_that_sees_it() -> None:
    alarm = Stack.of().properties("OldestWaitAlarm")
    assert alarm["Threshold"] == "3600"
    assert alarm["DatapointsToAlarm"] == 2
    changed = Stack.of(OldestWaitAlarmSeconds="600").properties("OldestWaitAlarm")
    assert changed["Threshold"] == "600"


def test_a_message_in_either_queue_is_a_dead_letter() -> None:
    metrics = Stack.of().properties("DeadLettersAlarm")["Metrics"]
    watched = [
        m["MetricStat"]["Metric"]["Dimensions"][0]["Value"] for m in metrics if "MetricStat" in m
    ]
    assert watched == [
        "spot-cleanup/FailedRunsQueue/QueueName",
        "spot-cleanup/UndeliveredQueue/QueueName",
    ]
    assert [m["Id"] for m in metrics if m["ReturnData"]] == ["both"]
