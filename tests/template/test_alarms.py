"""What wakes somebody, and what it tells them."""

from __future__ import annotations

import itertools
import re

import pytest

from tests.template.stack import ROOT, Stack, known, source

CAUSES = ["NoRunsAlarm", "BackendUnavailableAlarm", "IamFailuresAlarm", "FuseBlownAlarm"]
SYMPTOMS = [
    "RunsFailingAlarm",
    "AgentsFailedAlarm",
    "LookUpFailuresAlarm",
    "OldestWaitAlarm",
    "InstancesOverdueAlarm",
    "DeadLettersAlarm",
    "DurationAlarm",
]
FACTS = ["InstancesStuckAlarm", "InstancesUntaggedAlarm"]
"""They can last for days, and neither explain anything nor are explained."""
ALARMS = [*CAUSES, *FACTS, *SYMPTOMS]
COMPOSITES = ["CauseKnownAlarm", "NeedsSomebodyAlarm"]
LOUD = [*CAUSES, *FACTS, "NeedsSomebodyAlarm"]
OWN_METRICS = {
    "FuseBlownAlarm": ("FuseBlown", "Sum", "1", 1),
    "InstancesStuckAlarm": ("InstancesStuck", "Sum", "1", 1),
    "AgentsFailedAlarm": ("AgentsFailed", "Sum", "1", 2),  # the next run makes one good
    "LookUpFailuresAlarm": ("LookUpFailures", "Sum", "1", 1),  # it was tried again within the run
    "OldestWaitAlarm": ("OldestWait", "Maximum", "3600", 2),
    "InstancesOverdueAlarm": ("InstancesOverdue", "Maximum", "1", 1),
    "InstancesUntaggedAlarm": ("InstancesUntagged", "Maximum", "1", 12),
}
"""Metrics that the functions send themselves: name, statistic, threshold, datapoints that it takes."""
INTERVALS = source()["Parameters"]["TerminationCheckInterval"]["AllowedValues"]
TOPIC = "arn:aws:sns:eu-west-1:123456789012:ops"


def test_these_alarms_and_no_others() -> None:
    assert sorted(Stack.of().of_type("AWS::CloudWatch::Alarm")) == sorted(ALARMS)
    assert sorted(Stack.of().of_type("AWS::CloudWatch::CompositeAlarm")) == COMPOSITES


@pytest.mark.parametrize("alarm", ALARMS + COMPOSITES)
def test_an_alarm_says_what_to_do_first_and_where_there_is_more(alarm: str) -> None:
    description = Stack.of().properties(alarm)["AlarmDescription"]
    assert "First " in description
    assert description.endswith(f"More: docs/runbook.md, section {alarm}.")
    assert len(description) <= 1024


@pytest.mark.parametrize("alarm", ALARMS + COMPOSITES)
def test_outputs_and_parameters_that_a_description_names_exist(alarm: str) -> None:
    description = Stack.of().properties(alarm)["AlarmDescription"]
    outputs = re.findall(r"stack outputs? (\w+)(?: and (\w+))?", description)
    assert set(filter(None, itertools.chain(*outputs))) <= source()["Outputs"].keys()
    camel = set(re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", description))
    assert camel <= {*known("Outputs"), *known("Parameters"), *known("Resources")}


# ---------------------------------------------------------------- who is told


@pytest.mark.parametrize("alarm", ALARMS + COMPOSITES)
def test_only_a_cause_and_what_no_cause_explains_notify(alarm: str) -> None:
    ours, theirs = Stack.of(), Stack.of(AlarmTopicArn=TOPIC)
    for stack, topic in ((ours, ours.arn("AlarmTopic")), (theirs, TOPIC)):
        found = stack.properties(alarm)
        told = [topic] if alarm in LOUD else None
        assert found.get("AlarmActions") == found.get("OKActions") == told


def test_the_stack_has_a_topic_of_its_own_unless_it_is_given_one() -> None:
    assert list(Stack.of().of_type("AWS::SNS::Topic")) == ["AlarmTopic"]
    assert not [k for k, r in Stack.of(AlarmTopicArn=TOPIC).resources.items() if "SNS" in r["Type"]]
    assert Stack.of(AlarmTopicArn=TOPIC).outputs["AlarmTopic"]["Value"] == TOPIC


def test_an_address_is_subscribed_to_it() -> None:
    assert not Stack.of().of_type("AWS::SNS::Subscription")
    subscription = Stack.of(AlarmEmail="ops@example.com").one("AWS::SNS::Subscription")
    assert subscription == {
        "TopicArn": Stack.of().arn("AlarmTopic"),
        "Protocol": "email",
        "Endpoint": "ops@example.com",
    }


@pytest.mark.parametrize(
    ("email", "topic", "holds"),
    [("", "", True), ("a@b.example", "", True), ("", TOPIC, True), ("a@b.example", TOPIC, False)],
)
def test_an_address_beside_a_topic_that_would_not_reach_it_is_refused(
    email: str, topic: str, holds: bool
) -> None:
    stack = Stack.of(AlarmEmail=email, AlarmTopicArn=topic)
    assert stack.rule_holds("OneWayToNotify") is holds


def test_only_this_stack_s_alarms_publish_and_only_over_tls() -> None:
    allow, deny = Stack.of("mine").one("AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    assert allow["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    pattern = allow["Condition"]["ArnLike"]["aws:SourceArn"]
    assert pattern == "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:mine-*"
    for name in LOUD:
        assert Stack.of("mine").properties(name)["AlarmName"].startswith("mine-")
    assert (deny["Effect"], deny["Condition"]) == (
        "Deny",
        {"Bool": {"aws:SecureTransport": "false"}},
    )


# ---------------------------------------------------------------- one page per cause


def test_each_alarm_is_a_cause_or_waits_for_one() -> None:
    stack = Stack.of("mine")

    def children(composite: str) -> list[str]:
        rule = stack.properties(composite)["AlarmRule"]
        found = re.findall(r'ALARM\("mine-(\w+)"\)', rule)
        assert " OR ".join(f'ALARM("mine-{name}")' for name in found) == rule
        return found

    assert children("CauseKnownAlarm") == CAUSES
    assert children("NeedsSomebodyAlarm") == SYMPTOMS
    muted = stack.properties("NeedsSomebodyAlarm")
    assert muted["ActionsSuppressor"] == stack.arn("CauseKnownAlarm")


def test_a_page_waits_until_a_cause_can_have_shown_and_its_work_is_done() -> None:
    """A cause counts two minutes at most before it shows, and a symptom's window outlasts it."""
    muted = Stack.of().properties("NeedsSomebodyAlarm")
    cause = Stack.of().properties("BackendUnavailableAlarm")
    assert muted["ActionsSuppressorWaitPeriod"] > cause["DatapointsToAlarm"] * 60
    symptom = Stack.of().properties("OldestWaitAlarm")
    window = symptom["EvaluationPeriods"] * symptom["Period"]
    assert muted["ActionsSuppressorExtensionPeriod"] > window


# ---------------------------------------------------------------- when each is on


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


@pytest.mark.parametrize("interval", INTERVALS)
def test_the_other_windows_are_as_long(interval: str) -> None:
    stack = Stack.of(TerminationCheckInterval=interval)
    for name in {*ALARMS} - {"DeadLettersAlarm", "InstancesUntaggedAlarm", "InstancesOverdueAlarm"}:
        alarm = stack.properties(name)
        period = alarm.get("Period", 60)
        assert period * alarm["EvaluationPeriods"] == max(300, 3 * int(interval))


@pytest.mark.parametrize("interval", INTERVALS)
def test_untagged_machines_are_told_after_an_hour_in_which_each_window_has_a_run(
    interval: str,
) -> None:
    alarm = Stack.of(TerminationCheckInterval=interval).properties("InstancesUntaggedAlarm")
    assert alarm["Period"] >= 3 * int(interval)
    assert alarm["DatapointsToAlarm"] == alarm["EvaluationPeriods"]
    assert 3600 <= alarm["Period"] * alarm["EvaluationPeriods"] <= 5400
    assert alarm["Period"] * alarm["EvaluationPeriods"] <= 86400  # CloudWatch's own limit


@pytest.mark.parametrize("interval", INTERVALS)
def test_an_overdue_machine_that_is_listed_every_five_minutes_keeps_its_alarm_on(
    interval: str,
) -> None:
    """Quirk 5: the backend hides it for so long after each report."""
    alarm = Stack.of(TerminationCheckInterval=interval).properties("InstancesOverdueAlarm")
    window = alarm["Period"] * alarm["EvaluationPeriods"]
    assert alarm["DatapointsToAlarm"] == 1
    assert window >= 2 * (300 + 2 * int(interval))


@pytest.mark.parametrize("alarm", OWN_METRICS)
def test_what_the_functions_count_themselves_is_watched_without_a_filter(alarm: str) -> None:
    name, statistic, threshold, datapoints = OWN_METRICS[alarm]
    found = Stack.of("mine", PowertoolsMetricsNamespace="Space").properties(alarm)
    assert (found["Namespace"], found["MetricName"]) == ("Space", name)
    assert found["Dimensions"] == [{"Name": "service", "Value": "mine"}]
    assert (found["Statistic"], str(found["Threshold"])) == (statistic, threshold)
    assert found["DatapointsToAlarm"] == datapoints


def test_the_threshold_of_a_long_wait_is_the_parameter_s() -> None:
    alarm = Stack.of(OverdueAfterSeconds="600").properties("OldestWaitAlarm")
    assert alarm["Threshold"] == "600"
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"


def test_a_backend_that_takes_no_reports_is_as_unavailable_as_one_that_gives_no_list() -> None:
    alarm = Stack.of("mine", PowertoolsMetricsNamespace="Space").properties(
        "BackendUnavailableAlarm"
    )
    watched = {
        m["Id"]: (m["MetricStat"]["Metric"]["Namespace"], m["MetricStat"]["Metric"]["MetricName"])
        for m in alarm["Metrics"]
        if "MetricStat" in m
    }
    assert watched == {
        "lists": ("Space/mine", "BackendUnavailable"),
        "reports": ("Space", "ReportFailures"),
    }
    (shown,) = [m for m in alarm["Metrics"] if m["ReturnData"]]
    assert shown["Expression"] == "SUM([lists, reports])"
    assert alarm["DatapointsToAlarm"] == 2  # the next run makes one good


def test_without_monitoring_there_is_none_of_it_and_the_rest_is_the_same() -> None:
    off = Stack.of(MonitoringEnabled="false")
    assert off.resources == {k: r for k, r in Stack.of().own.items() if k != "Monitoring"}
    assert set(Stack.of().outputs) - set(off.outputs) == {"DashboardUrl", "AlarmTopic", "AlarmsUrl"}
    assert off.rule_holds("SomebodyToNotify")
    told = Stack.of(MonitoringEnabled="false", AlarmEmail="a@b.example")
    assert not told.rule_holds("SomebodyToNotify")


def test_the_nested_stack_is_handed_what_it_needs_and_knows_no_stack_but_its_parent() -> None:
    nested = source("monitoring.yaml")
    handed = source()["Resources"]["Monitoring"]["Properties"]["Parameters"]
    assert handed.keys() == nested["Parameters"].keys()
    assert "AWS::StackName" not in (ROOT / "monitoring.yaml").read_text()
    assert not source()["Resources"].keys() & nested["Resources"].keys()


def test_one_failed_run_raises_no_alarm_and_two_do() -> None:
    alarm = Stack.of().properties("RunsFailingAlarm")
    assert (alarm["MetricName"], alarm["DatapointsToAlarm"]) == ("Errors", 2)


def test_a_permission_that_is_missing_is_an_alarm_at_once() -> None:
    found = Stack.of("mine", PowertoolsMetricsNamespace="Space").properties("IamFailuresAlarm")
    assert (found["Namespace"], found["MetricName"]) == ("Space/mine", "IamFailures")
    assert "Dimensions" not in found
    assert (found["Statistic"], found["Threshold"], found["DatapointsToAlarm"]) == ("Sum", 1, 1)


def test_silence_is_good_news_but_from_the_schedule() -> None:
    for name in {*ALARMS} - {"NoRunsAlarm"}:
        assert Stack.of().properties(name)["TreatMissingData"] == "notBreaching"


def test_a_run_is_long_when_little_of_its_time_is_left() -> None:
    stack = Stack.of()
    alarm = stack.properties("DurationAlarm")
    limit = stack.properties("TerminationFunction")["Timeout"] * 1000
    assert (alarm["MetricName"], alarm["Statistic"]) == ("Duration", "Maximum")
    assert limit * 0.9 <= alarm["Threshold"] < limit
    assert (
        f"more than {alarm['Threshold'] // 1000} of the {limit // 1000} seconds"
        in (alarm["AlarmDescription"])
    )


def test_a_message_in_either_queue_in_each_of_three_hours_is_an_alarm() -> None:
    alarm = Stack.of().properties("DeadLettersAlarm")
    stats = [m["MetricStat"] for m in alarm["Metrics"] if "MetricStat" in m]
    assert [stat["Metric"]["Dimensions"][0]["Value"] for stat in stats] == [
        "spot-cleanup-FailedRunsQueue",
        "spot-cleanup-UndeliveredQueue",
    ]
    assert {(stat["Period"], stat["Stat"]) for stat in stats} == {(3600, "Sum")}
    assert alarm["DatapointsToAlarm"] == alarm["EvaluationPeriods"] == 3
    assert [m["Id"] for m in alarm["Metrics"] if m["ReturnData"]] == ["both"]
