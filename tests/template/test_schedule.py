"""When and how the function is started, and what becomes of a start that fails."""

import json

from tests.template.stack import ROOT, Stack, source

INTERVALS = {
    "60": "rate(1 minute)",
    "120": "rate(2 minutes)",
    "180": "rate(3 minutes)",
    "240": "rate(4 minutes)",
    "300": "rate(5 minutes)",
    "600": "rate(10 minutes)",
    "900": "rate(15 minutes)",
}


def test_each_interval_that_may_be_chosen_becomes_a_rate_and_a_minute_is_the_default() -> None:
    allowed = source()["Parameters"]["TerminationCheckInterval"]["AllowedValues"]
    assert allowed == list(INTERVALS) == list(source()["Mappings"]["Intervals"])
    for seconds, rate in INTERVALS.items():
        schedule = Stack.of(TerminationCheckInterval=seconds).one("AWS::Scheduler::Schedule")
        assert schedule["ScheduleExpression"] == rate
    assert Stack.of().one("AWS::Scheduler::Schedule")["ScheduleExpression"] == "rate(1 minute)"


def test_a_run_ends_before_the_next_one_is_due() -> None:
    function = Stack.of().properties("TerminationFunction")
    assert function["Timeout"] < min(map(int, INTERVALS))


def test_the_schedule_is_exact() -> None:
    schedule = Stack.of().one("AWS::Scheduler::Schedule")
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}


def test_the_sample_events_are_what_the_schedules_send() -> None:
    schedules = Stack.of(HousekeepingEnabled="true").of_type("AWS::Scheduler::Schedule")
    for name, sample in (("Termination", "schedule"), ("Housekeeping", "housekeeping")):
        sent = schedules[f"{name}FunctionSchedule"]["Target"]["Input"]
        assert json.loads((ROOT / "events" / f"{sample}.json").read_text()) == json.loads(sent)


def test_nothing_repeats_a_run() -> None:
    """The next run decides afresh, and comes sooner than any repetition would."""
    stack = Stack.of()
    retry = stack.one("AWS::Scheduler::Schedule")["Target"]["RetryPolicy"]
    invoke = stack.one("AWS::Lambda::EventInvokeConfig")
    for policy in (retry, invoke):
        assert policy["MaximumRetryAttempts"] == 0
        assert policy["MaximumEventAgeInSeconds"] == 60


def test_what_fails_is_kept_apart_by_where_it_failed() -> None:
    stack = Stack.of()
    invoke = stack.one("AWS::Lambda::EventInvokeConfig")
    target = stack.one("AWS::Scheduler::Schedule")["Target"]
    assert invoke["DestinationConfig"]["OnFailure"]["Destination"] == stack.arn("FailedRunsQueue")
    assert target["DeadLetterConfig"]["Arn"] == stack.arn("UndeliveredQueue")
    for queue in stack.of_type("AWS::SQS::Queue").values():
        assert queue["SqsManagedSseEnabled"] is True


def test_the_queues_refuse_what_is_not_encrypted_on_the_way() -> None:
    policy = Stack.of().one("AWS::SQS::QueuePolicy")
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert set(policy["Queues"]) == {
        "spot-cleanup-FailedRunsQueue",
        "spot-cleanup-UndeliveredQueue",
    }
    assert (statement["Effect"], statement["Action"]) == ("Deny", "sqs:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(statement["Resource"]) == 2
