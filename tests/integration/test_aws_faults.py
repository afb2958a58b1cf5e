"""AWS in every kind of trouble: the token, the ledger, EC2 and the account's history.

What each error's code means stands in tests/unit/test_aws_errors.py, and what a run does about it in test_terminate.py and test_judged_again.py;
here is what takes the SDK and a socket.
"""

from __future__ import annotations

import time
from typing import Any

import boto3
import pytest

from handler.backend.api import LONGEST_ERROR
from tests.integration import checks
from tests.integration.world import PAUSE, TABLE, TERMINATED, World, failure
from tools.ec2_emulator.faults import (
    Fault,
    cut,
    dropped,
    error,
    raw,
    server_error,
    throttled,
    truncated,
)

DENIED = error("AccessDeniedException", "User: run is not authorized to perform it")

pytestmark = pytest.mark.usefixtures("lists_have_time")


# SSM.


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        pytest.param(DENIED, "AccessDeniedException", id="refused"),
        pytest.param(throttled("ThrottlingException"), "ThrottlingException", id="throttled"),
        pytest.param(dropped(after_effect=False), "closed|Connection", id="dropped"),
    ],
)
def test_without_a_token_a_cold_run_fails_and_a_warm_one_needs_no_ssm(
    world: World, fault: Fault, says: str
) -> None:
    (one,) = world.zombies()
    rule = world.aws.faults.add("GetParameter", fault, times=None)

    world.fails(rf"could not be read from the SSM parameter /spot-opt.*({says}).*ssm:GetParameter")

    assert rule.fired <= 2, "tried again once at most: the next run is a minute away"
    assert world.wiretap.requests == [], "the backend is not asked without a token"
    assert world.state(one) == "running"
    world.aws.faults.clear()
    assert world.counts() == {"listed": 1, "terminated": 1}

    world.zombies()
    rule = world.aws.faults.add("GetParameter", fault, times=None)
    assert world.counts() == {"listed": 1, "terminated": 1}
    assert rule.fired == 0


# DynamoDB.


@pytest.mark.parametrize(
    "fault", [DENIED, server_error(), dropped(after_effect=False)], ids=["denied", "500", "dropped"]
)
def test_reports_go_on_without_the_ledger(world: World, fault: Fault) -> None:
    ids = world.zombies(10)
    rule = world.aws.faults.add("dynamodb:*", fault, times=None)

    done = world.run(BACKEND_CONCURRENCY="1")

    assert checks.counts(done.returned) == {"listed": 10, "terminated": 10}
    assert all(world.events(one) == [TERMINATED] for one in ids)
    warnings = [line for line in done.lines if "idempotency table" in line["message"]]
    assert [line["level"] for line in warnings] == ["WARNING"], "said once a run"
    assert warnings[0]["error_code"]
    assert done.metrics["LookUpFailures"]
    assert rule.fired <= 4, "a table that does not work is not asked for every report"
    world.aws.faults.clear()
    assert world.counts() == {}


def test_a_table_that_is_really_missing_stops_no_report(world: World) -> None:
    (one,) = world.zombies()
    assert world.counts(IDEMPOTENCY_TABLE="no-such-table") == {"listed": 1, "terminated": 1}
    assert world.reported_once(one)


def test_a_ledger_that_fails_after_the_report_does_not_make_it_twice(world: World) -> None:
    """The record says in progress, the report is made; only the last write fails."""
    (one,) = world.zombies()
    world.aws.faults.add("UpdateItem", DENIED, times=None)
    assert world.counts() == {"listed": 1, "terminated": 1}
    assert world.events(one) == [TERMINATED]


def test_a_ledger_that_cannot_forget_a_failed_report_does_not_hide_it_for_ever(
    world: World,
) -> None:
    """The report failed and its record could not be taken back: held up, then made."""
    (one,) = world.zombies()
    world.aws.faults.add("DeleteItem", DENIED, times=None)
    world.wiretap.intercept = lambda request: (
        (404, {"error": "Agent not found"}) if request.call == "termination-report" else None
    )
    assert world.counts() == {"listed": 1, "unreported": 1}
    world.wiretap.reset()
    world.aws.faults.clear()
    assert world.counts() == {"listed": 1, "deferred": 1}, "the record looks like another run's"
    for item in world.aws.tables[TABLE].items.values():
        item["in_progress_expiration"] = {"N": "1"}
    assert world.counts() == {"listed": 1, "terminated": 1}
    assert world.reported_once(one)


def test_reports_side_by_side_share_one_ledger(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    real: Any = boto3.session.Session.client

    def client(session: boto3.session.Session, service: str, **more: Any) -> Any:
        made.append(f"{service} {more['config'].retries} {more['config'].read_timeout}")
        time.sleep(0.1)  # as long as it takes in a small function
        return real(session, service, **more)

    monkeypatch.setattr(boto3.session.Session, "client", client)
    world.zombies(4)
    assert world.counts() == {"listed": 4, "terminated": 4}
    assert len(made) == len(set(made)), "each once, however many threads want it"


# EC2: looking.


@pytest.mark.parametrize(
    "fault",
    [throttled(), dropped(after_effect=False), truncated(), raw(200, "It works!")],
    ids=["throttled", "dropped", "a shortened body", "another's text"],
)
def test_what_ec2_does_not_show_is_deferred_and_never_taken_for_gone(
    world: World, fault: Fault
) -> None:
    (one,) = world.zombies()
    world.aws.faults.add("DescribeInstances", fault, times=None)

    done = world.run(timeout=5)

    assert checks.counts(done.returned) == {"listed": 1, "deferred": 1}
    assert "EC2 could not be asked" in done.outcome(one)["why"]
    assert world.state(one) == "running"
    assert world.wiretap.reports == [], "a report would hide it for five minutes"
    world.aws.faults.clear()
    assert world.counts() == {"listed": 1, "terminated": 1}


def test_one_chunk_that_cannot_be_looked_up_is_deferred_and_the_others_are_done(
    world: World,
) -> None:
    world.zombies(201)
    world.aws.faults.add(
        "DescribeInstances",
        error("UnauthorizedOperation"),
        times=None,
        when=lambda call: len(call.parameters["Filters"][0]["Values"]) == 1,
    )
    assert world.counts(DRY_RUN="true") == {"listed": 201, "planned": 200, "deferred": 1}


# EC2: terminating.


def test_a_denied_instance_is_reported_in_the_original_daemons_words_and_ec2s(world: World) -> None:
    ids = world.zombies(5)
    denied = ids[2]
    world.aws.policy.denied_ids.add(denied)

    done = world.run()

    assert checks.counts(done.returned) == {"listed": 5, "terminated": 4, "failed": 1}
    ((event, said),) = world.events(denied)
    assert event == failure("")[0]
    assert said is not None
    words = f"IAM permissions insufficient to terminate instance {denied}"
    ec2s = "You are not authorized to perform this operation. "
    assert said.startswith(f"UnauthorizedOperation: {words}: {ec2s}")
    assert len(said) <= LONGEST_ERROR
    assert done.outcome(denied)["error_code"] == "UnauthorizedOperation"
    assert world.state(denied) == "running"
    world.aws.policy.denied_ids.clear()
    world.operator.age(world.agent_id, PAUSE)
    assert world.counts() == {"listed": 1, "terminated": 1}
    assert world.reported_once(denied)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(throttled("EC2ThrottledException"), id="throttled, the other code"),
        pytest.param(server_error(after_effect=True), id="500 after its effect"),
        pytest.param(cut(), id="half a body, after its effect"),
        pytest.param(raw(200, "<html>sign in</html>"), id="another's page"),
    ],
)
def test_trouble_that_passes_costs_a_call_and_no_instance(world: World, fault: Fault) -> None:
    ids = world.zombies(2)
    world.aws.faults.add("TerminateInstances", fault)
    assert world.counts() == {"listed": 2, "terminated": 2}
    assert all(world.reported_once(one) for one in ids)
    assert world.aws.calls.count("TerminateInstances") <= 2


def test_credentials_that_are_not_taken_fail_each_without_halving(world: World) -> None:
    ids = world.zombies(4)
    world.aws.faults.add("TerminateInstances", error("AuthFailure", "Get new ones."), times=None)
    assert world.counts() == {"listed": 4, "failed": 4}
    assert world.aws.calls.count("TerminateInstances") <= 2
    assert all(world.events(one) == [failure("AuthFailure: Get new ones.")] for one in ids)


def test_a_connection_that_always_drops_after_the_effect_still_ends_in_success(
    world: World,
) -> None:
    """EC2 never answers, yet did its part: the truth is in DescribeInstances."""
    ids = world.zombies(2)
    world.aws.faults.add("TerminateInstances", dropped(after_effect=True), times=None)
    assert world.counts() == {"listed": 2, "terminated": 2}
    assert all(world.reported_once(one) for one in ids)


def test_an_answer_that_is_not_ec2s_costs_the_other_zones_nothing(world: World) -> None:
    fine = world.zombies(2, zone="us-east-1a")
    spoilt = world.zombies(1, zone="us-east-1b")
    world.aws.faults.add(
        "TerminateInstances",
        raw(200, "<html>sign in</html>"),
        times=None,
        when=lambda call: call.parameters["InstanceIds"] == spoilt,
    )
    assert world.counts() == {"listed": 3, "terminated": 2, "deferred": 1}
    assert all(world.reported_once(one) for one in fine)


# CloudTrail.


def test_without_proof_an_unknown_id_is_neither_gone_nor_ignored(world: World) -> None:
    (one,) = world.zombies()
    world.aws.fleet.forget(one)
    world.aws.faults.add("LookupEvents", throttled("ThrottlingException"), times=None)
    done = world.run(timeout=5, MISSING_INSTANCE_POLICY="verify")
    assert checks.counts(done.returned) == {"listed": 1, "deferred": 1}
    assert world.events(one) == []
    world.aws.faults.clear()
    assert world.counts(MISSING_INSTANCE_POLICY="verify") == {"listed": 1, "already_gone": 1}
    assert world.events(one) == [TERMINATED]


# Answers of another shape: what they make botocore's parsers raise is no error of the SDK's.

ODD_XML = "<R><reservationSet><item><instancesSet><item>{}</item></instancesSet></item></reservationSet></R>"
RUNNING = "<instanceState><name>running</name></instanceState>"
ODD_INSTANCES = {
    "no id": RUNNING,
    "no date": "<instanceId>{id}</instanceId><launchTime>soon</launchTime>",
    "no number": "<instanceId>{id}</instanceId><instanceState><code>x</code></instanceState>",
    "a tag without its key": f"<instanceId>{{id}}</instanceId>{RUNNING}"
    "<tagSet><item><value>1</value></item></tagSet>",
}


def test_an_instance_that_cannot_be_read_is_deferred_and_the_run_goes_on(world: World) -> None:
    (one,) = world.zombies()
    for name, odd in ODD_INSTANCES.items():
        body = ODD_XML.format(odd.replace("{id}", one))
        world.aws.faults.clear()
        world.aws.faults.add("DescribeInstances", raw(200, body), times=None)
        assert world.counts() == {"listed": 1, "deferred": 1}, name
    assert world.wiretap.reports == []


ODD_TABLES = {
    "an item that is a number": raw(200, '{"Item": 5}'),
    "an attribute that is a number": raw(200, '{"Item": {"seen": 5}}'),
    "null": raw(200, "null"),
    "a list": raw(200, "[]"),
    "reasons that are texts": error(
        "TransactionCanceledException", extra={"CancellationReasons": ["x", "y"]}
    ),
    "an item that is a text": error("ConditionalCheckFailedException", extra={"Item": "x"}),
}


def test_a_table_that_answers_in_another_shape_stops_no_report(world: World) -> None:
    for name, fault in ODD_TABLES.items():
        ids = world.zombies(2)
        world.aws.faults.clear()
        world.aws.faults.add("dynamodb:*", fault, times=None)
        assert world.counts() == {"listed": 2, "terminated": 2}, name
        assert all(world.reported_once(one) for one in ids), name


def test_a_history_that_cannot_be_read_proves_nothing(world: World) -> None:
    for body in ('{"Events": 5}', '{"Events": ["x"]}', '{"Events": [{"EventTime": "soon"}]}'):
        one, forgotten = world.zombies(2)
        world.aws.fleet.forget(forgotten)
        world.aws.faults.clear()
        world.aws.faults.add("LookupEvents", raw(200, body), times=None)
        done = world.run(MISSING_INSTANCE_POLICY="verify")
        assert done.outcome(one)["outcome"] == "terminated", body
        assert done.outcome(forgotten)["outcome"] == "deferred", body
