"""AWS in every kind of trouble: the token, the ledger, EC2 and the account's history."""

from __future__ import annotations

import time
from typing import Any

import boto3
import pytest

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
SSM_FAULTS = [
    pytest.param(DENIED, "AccessDeniedException", id="refused"),
    pytest.param(throttled("ThrottlingException"), "ThrottlingException", id="throttled"),
    pytest.param(server_error(), "InternalError|500", id="500"),
    pytest.param(error("ExpiredTokenException"), "ExpiredTokenException", id="expired"),
    pytest.param(error("ParameterNotFound"), "ParameterNotFound", id="no such parameter"),
    pytest.param(dropped(after_effect=False), "closed|Connection", id="dropped"),
]


pytestmark = pytest.mark.usefixtures("lists_have_time")


# SSM.


@pytest.mark.parametrize(("fault", "says"), SSM_FAULTS)
def test_without_a_token_a_cold_run_fails_and_says_what_to_check(
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


@pytest.mark.parametrize(("fault", "says"), SSM_FAULTS)
def test_with_a_token_in_the_cache_a_warm_run_needs_no_ssm(
    world: World, fault: Fault, says: str
) -> None:
    world.run()
    (one,) = world.zombies()
    rule = world.aws.faults.add("GetParameter", fault, times=None)
    assert world.counts() == {"listed": 1, "terminated": 1}
    assert world.reported_once(one)
    assert rule.fired == 0, says


def test_a_throttle_of_ssm_that_passes_costs_nothing(world: World) -> None:
    world.zombies()
    world.aws.faults.add("GetParameter", throttled("ThrottlingException"))
    assert world.counts() == {"listed": 1, "terminated": 1}


# DynamoDB.


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(DENIED, id="refused"),
        pytest.param(throttled("ProvisionedThroughputExceededException"), id="throttled"),
        pytest.param(error("ResourceNotFoundException"), id="table missing"),
        pytest.param(error("ExpiredTokenException"), id="expired"),
        pytest.param(server_error(), id="500"),
        pytest.param(dropped(after_effect=False), id="dropped"),
    ],
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


def test_without_the_ledger_a_lost_report_is_still_a_lost_report(world: World) -> None:
    (one,) = world.zombies()
    world.aws.faults.add("dynamodb:*", DENIED, times=None)
    world.wiretap.intercept = lambda request: (
        (404, {"error": "Agent not found"}) if request.call == "termination-report" else None
    )
    assert world.counts() == {"listed": 1, "unreported": 1}
    world.wiretap.reset()
    assert world.counts() == {"listed": 1, "terminated": 1}
    assert world.reported_once(one)


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
    [
        pytest.param(throttled(), id="throttled"),
        pytest.param(error("UnauthorizedOperation"), id="denied"),
        pytest.param(error("ExpiredToken", "The security token has expired"), id="expired"),
        pytest.param(server_error(), id="500"),
        pytest.param(server_error(503), id="503"),
        pytest.param(dropped(after_effect=False), id="dropped"),
        pytest.param(cut(), id="half a body"),
        pytest.param(truncated(), id="a shortened body"),
        pytest.param(raw(200, "<html>sign in</html>"), id="another's page"),
        pytest.param(raw(200, "It works!"), id="another's text"),
    ],
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
    ids = world.launch(201)
    world.mark(ids, age_seconds=400)
    world.aws.faults.add(
        "DescribeInstances",
        error("InternalError", status=500),
        times=None,
        when=lambda call: len(call.parameters["Filters"][0]["Values"]) == 1,
    )

    assert world.counts(DRY_RUN="true") == {"listed": 201, "planned": 200, "deferred": 1}
    world.aws.faults.clear()
    assert world.counts(DRY_RUN="true") == {"listed": 201, "planned": 201}


# EC2: terminating.


def test_a_denied_instance_is_reported_in_the_original_daemons_words(world: World) -> None:
    ids = world.zombies(5)
    denied = ids[2]
    world.aws.policy.denied_ids.add(denied)

    done = world.run()

    assert checks.counts(done.returned) == {"listed": 5, "terminated": 4, "failed": 1}
    words = f"UnauthorizedOperation: IAM permissions insufficient to terminate instance {denied}"
    assert world.events(denied) == [failure(words)]
    assert done.outcome(denied)["error_code"] == "UnauthorizedOperation"
    assert world.state(denied) == "running"
    world.aws.policy.denied_ids.clear()
    world.operator.age(world.agent_id, PAUSE)
    assert world.counts() == {"listed": 1, "terminated": 1}
    assert world.reported_once(denied)


def test_a_role_that_may_not_terminate_at_all_fails_each_in_those_words(world: World) -> None:
    ids = world.zombies(3)
    world.aws.policy.denied_actions.add("ec2:TerminateInstances")
    assert world.counts() == {"listed": 3, "failed": 3}
    for one in ids:
        words = f"UnauthorizedOperation: IAM permissions insufficient to terminate instance {one}"
        assert world.events(one) == [failure(words)]


def test_another_error_is_reported_with_ec2s_code_and_message(world: World) -> None:
    (one,) = world.zombies()
    world.aws.faults.add(
        "TerminateInstances", error("UnsupportedOperation", "Not today."), times=None
    )
    assert world.counts() == {"listed": 1, "failed": 1}
    assert world.events(one) == [failure("UnsupportedOperation: Not today.")]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(throttled(), id="throttled"),
        pytest.param(throttled("EC2ThrottledException"), id="throttled, the other code"),
        pytest.param(server_error(), id="500"),
        pytest.param(dropped(after_effect=False), id="dropped before its effect"),
        pytest.param(dropped(after_effect=True), id="dropped after its effect"),
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


def test_a_throttle_that_stays_is_deferred_and_never_reported_as_failed(world: World) -> None:
    ids = world.zombies(3)
    world.aws.faults.add("TerminateInstances", throttled(), times=None)

    done = world.run(timeout=5)

    assert checks.counts(done.returned) == {"listed": 3, "deferred": 3}
    assert world.wiretap.reports == []
    asked = world.aws.calls.of("TerminateInstances")
    assert all(len(call.parameters["InstanceIds"]) == 3 for call in asked), "never halved for it"
    assert len(asked) <= 20
    world.aws.faults.clear()
    assert world.counts() == {"listed": 3, "terminated": 3}
    assert all(world.reported_once(one) for one in ids)


@pytest.mark.parametrize("code", ["ExpiredToken", "RequestExpired", "AuthFailure"])
def test_credentials_that_are_not_taken_fail_each_without_halving(world: World, code: str) -> None:
    ids = world.zombies(4)
    world.aws.faults.add("TerminateInstances", error(code, "Get new ones."), times=None)
    assert world.counts() == {"listed": 4, "failed": 4}
    assert world.aws.calls.count("TerminateInstances") <= 2
    assert all(world.events(one) == [failure(f"{code}: Get new ones.")] for one in ids)
    world.aws.faults.clear()
    world.operator.age(world.agent_id, PAUSE)
    assert world.counts() == {"listed": 4, "terminated": 4}


def test_a_server_error_that_stays_is_failed_and_nothing_is_said_to_have_ended(
    world: World,
) -> None:
    (one,) = world.zombies()
    rule = world.aws.faults.add("TerminateInstances", server_error(), times=None)
    assert world.counts() == {"listed": 1, "failed": 1}
    assert rule.fired <= 6
    ((event, said),) = world.events(one)
    assert event == "instance_termination_failed"
    assert (said or "").startswith("InternalError")
    assert world.state(one) == "running"


def test_a_connection_that_always_drops_after_the_effect_still_ends_in_success(
    world: World,
) -> None:
    """EC2 never answers, yet did its part: the truth is in DescribeInstances."""
    ids = world.zombies(2)
    world.aws.faults.add("TerminateInstances", dropped(after_effect=True), times=None)
    assert world.counts() == {"listed": 2, "terminated": 2}
    assert all(world.reported_once(one) for one in ids)


def test_a_connection_that_always_drops_before_the_effect_is_deferred(world: World) -> None:
    (one,) = world.zombies()
    world.aws.faults.add("TerminateInstances", dropped(after_effect=False), times=None)
    assert world.counts() == {"listed": 1, "deferred": 1}
    assert world.wiretap.reports == []
    world.aws.faults.clear()
    assert world.counts() == {"listed": 1, "terminated": 1}
    assert world.reported_once(one)


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


def test_one_zones_trouble_is_its_own(world: World) -> None:
    world.zombies(3, zone="us-east-1a")
    spared = world.zombies(3, zone="us-east-1b")
    world.aws.faults.add(
        "TerminateInstances",
        error("InsufficientInstanceCapacity", status=400),
        times=None,
        when=lambda call: set(call.parameters["InstanceIds"]) <= set(spared),
    )
    assert world.counts() == {"listed": 6, "terminated": 3, "failed": 3}


# CloudTrail.


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(DENIED, id="refused"),
        pytest.param(throttled("ThrottlingException"), id="throttled"),
        pytest.param(dropped(after_effect=False), id="dropped"),
    ],
)
def test_without_proof_an_unknown_id_is_neither_gone_nor_ignored(
    world: World, fault: Fault
) -> None:
    (one,) = world.zombies()
    world.aws.fleet.forget(one)
    world.aws.faults.add("LookupEvents", fault, times=None)
    assert world.counts(MISSING_INSTANCE_POLICY="verify", timeout=5) == {
        "listed": 1,
        "deferred": 1,
    }
    assert world.events(one) == []
    world.aws.faults.clear()
    assert world.counts(MISSING_INSTANCE_POLICY="verify") == {"listed": 1, "already_gone": 1}
    assert world.events(one) == [TERMINATED]
