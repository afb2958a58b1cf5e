"""What wakes somebody, and what it tells them."""

from __future__ import annotations

import itertools
import re

import pytest

from tests.template.stack import ROOT, Stack, source

CAUSES = ["NoRunsAlarm", "BackendUnavailableAlarm", "IamFailuresAlarm", "FuseBlownAlarm"]
SYMPTOMS = [
    "RunsFailingAlarm",
    "AgentsMissingAlarm",
    "OldestWaitAlarm",
    "DeadLettersAlarm",
    "DurationAlarm",
]
ALARMS = [*CAUSES, "InstancesStuckAlarm", *SYMPTOMS]
COMPOSITES = ["CauseKnownAlarm", "NeedsSomebodyAlarm"]
LOUD = [*CAUSES, "InstancesStuckAlarm", "NeedsSomebodyAlarm"]
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
    assert set(filter(None, itertools.chain(*outputs))) <= Stack.of().outputs.keys()
    camel = set(re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", description))
    assert camel <= {*Stack.of().outputs, *source()["Parameters"], *source()["Resources"]}


# ---------------------------------------------------------------- who is told


@pytest.mark.parametrize("alarm", ALARMS + COMPOSITES)
def test_only_a_cause_and_what_no_cause_explains_notify(alarm: str) -> None:
    ours, theirs = Stack.of(), Stack.of(AlarmTopicArn=TOPIC)
    for stack, topic in ((ours, "spot-cleanup/AlarmTopic"), (theirs, TOPIC)):
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
        "TopicArn": "spot-cleanup/AlarmTopic",
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
        found = re.findall(r'ALARM\("mine/(\w+)"\)', rule)
        assert " OR ".join(f'ALARM("mine/{name}")' for name in found) == rule
        return found

    assert children("CauseKnownAlarm") == CAUSES
    assert children("NeedsSomebodyAlarm") == SYMPTOMS
    muted = stack.properties("NeedsSomebodyAlarm")
    assert muted["ActionsSuppressor"] == "arn:of:mine/CauseKnownAlarm"


def test_a_page_waits_until_a_cause_can_have_shown_and_its_work_is_done() -> None:
    """A cause counts two minutes at most before it shows, and a symptom's window outlasts it."""
    muted = Stack.of().properties("NeedsSomebodyAlarm")
    cause = Stack.of().properties("BackendUnavailableAlarm")
    assert muted["ActionsSuppressorWaitPeriod"] > cause["DatapointsToAlarm"] * cause["Period"]
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
    for name in {*ALARMS} - {"AgentsMissingAlarm", "DeadLettersAlarm"}:
        alarm = stack.properties(name)
        assert alarm["Period"] * alarm["EvaluationPeriods"] == max(300, 3 * int(interval))


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("agents", [1, 2, 3, 40])
def test_an_agent_without_a_schedule_is_missed_and_a_late_run_is_not(
    interval: str, agents: int
) -> None:
    further = ",".join(f"agent-{n + 2}" for n in range(agents - 1))
    alarm = Stack.of(FurtherAgentIds=further, TerminationCheckInterval=interval).properties(
        "AgentsMissingAlarm"
    )
    average, runs = alarm["Metrics"]
    period = int(runs["MetricStat"]["Period"])
    assert period % 60 == 0
    assert period * alarm["EvaluationPeriods"] <= 7 * 86400  # CloudWatch's own limit
    each = period / int(interval)

    def alarms(count: float) -> bool:
        value = eval(average["Expression"], {"runs": count})  # noqa: S307 - metric math is a term
        assert alarm["ComparisonOperator"] == "LessThanOrEqualToThreshold"
        return bool(value <= alarm["Threshold"])

    assert not alarms(agents * each)
    assert not alarms(agents * each - each / 3)
    assert alarms((agents - 1) * each)
    assert alarms((agents - 1) * each + each / 3)
    assert alarm["DatapointsToAlarm"] == alarm["EvaluationPeriods"] == 2


def test_one_failed_run_raises_no_alarm_and_two_do() -> None:
    alarm = Stack.of().properties("RunsFailingAlarm")
    assert (alarm["MetricName"], alarm["DatapointsToAlarm"]) == ("Errors", 2)


@pytest.mark.parametrize(
    ("alarm", "datapoints"),
    [
        ("BackendUnavailableAlarm", 2),  # the next run makes one good
        ("OldestWaitAlarm", 2),  # so does it here
        ("IamFailuresAlarm", 1),  # no run makes these good
        ("FuseBlownAlarm", 1),
        ("InstancesStuckAlarm", 1),
    ],
)
def test_what_the_log_tells_is_an_alarm_as_soon_as_no_run_makes_it_good(
    alarm: str, datapoints: int
) -> None:
    found = Stack.of("mine", PowertoolsMetricsNamespace="Space").properties(alarm)
    assert found["Namespace"] == "Space/mine"
    assert "Dimensions" not in found
    assert (found["Statistic"], found["Threshold"]) == ("Sum", 1)
    assert found["DatapointsToAlarm"] == datapoints


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
        "spot-cleanup/FailedRunsQueue/QueueName",
        "spot-cleanup/UndeliveredQueue/QueueName",
    ]
    assert {(stat["Period"], stat["Stat"]) for stat in stats} == {(3600, "Sum")}
    assert alarm["DatapointsToAlarm"] == alarm["EvaluationPeriods"] == 3
    assert [m["Id"] for m in alarm["Metrics"] if m["ReturnData"]] == ["both"]


def test_the_runbook_s_sections_are_named_after_the_alarms() -> None:
    """Its anchors; the alarms' descriptions lead there."""
    headings = re.findall(
        r"^#+ `?(\w+Alarm)`?$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE
    )
    assert sorted(headings) == sorted(ALARMS + COMPOSITES)
