"""The whole handler: the outcomes of contract section 2 reached for real; their rules stand in unit/test_rules.py."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import pytest

from backend.quirks import Quirks
from backend.service import ODD_IDS
from tests.integration import checks
from tests.integration.wiretap import Refusal, Request
from tests.integration.world import (
    MANAGED,
    PAUSE,
    TERMINATED,
    WIRE_TIME,
    World,
    failure,
    on_the_wire,
    only,
)


@pytest.fixture
def unknown() -> str:
    """An id that EC2 never heard of."""
    return f"i-{secrets.token_hex(8)}0"


# Outcomes.


def test_a_zombie_is_terminated_reported_and_audited(world: World) -> None:
    (one,) = world.zombies(age_seconds=400)

    done = world.run()

    assert world.state(one) == "terminated"
    assert checks.counts(done.returned) == {"listed": 1, "terminated": 1}
    assert done.returned["auto_terminate_enabled"] is True
    assert done.returned["dry_run"] is False
    line = done.outcome(one)
    (call,) = world.aws.calls.of("TerminateInstances")
    assert line["ec2_request_id"] == call.request_id
    assert (line["previous_state"], line["current_state"]) == ("running", "shutting-down")
    assert line["reason"] == "zombie_timeout"
    assert 400 <= only(done.metrics, "TimeToTerminate") < 460
    row = world.row(one)
    assert (row["instance_status"], row["termination_confirmed"]) == ("terminated", True)
    assert world.events(one) == [TERMINATED]


def test_times_go_over_the_wire_without_a_zone_in_utc_and_whole_seconds(world: World) -> None:
    (ended,) = world.zombies()
    (protected,) = world.zombies(protected=True)
    before = datetime.now(UTC).replace(microsecond=0)

    world.run()

    sent = {r.json()["instance_id"]: r.json() for r in world.wiretap.reports}
    assert set(sent) == {ended, protected}
    assert set(sent[ended]) == {"instance_id", "success", "error", "terminated_at"}
    assert (sent[ended]["success"], sent[ended]["error"]) == (True, None)
    told = sent[ended]["terminated_at"]
    assert WIRE_TIME.fullmatch(told)
    assert before <= datetime.fromisoformat(told).replace(tzinfo=UTC) <= datetime.now(UTC)
    assert (sent[protected]["success"], sent[protected]["terminated_at"]) == (False, None)


def test_what_ended_by_itself_and_what_ec2_does_not_know_is_already_gone(
    world: World, unknown: str
) -> None:
    interrupted, shut_down = world.zombies(2)
    world.aws.fleet.interrupt(interrupted)
    world.aws.fleet.shut_down_inside(shut_down)
    world.mark([unknown])

    assert world.counts() == {"listed": 3, "already_gone": 3}
    for one in (interrupted, shut_down, unknown):
        assert world.events(one) == [TERMINATED]
    assert world.aws.calls.count("TerminateInstances") == 0


def test_a_dry_run_plans_and_asks_ec2_but_ends_and_reports_nothing(world: World) -> None:
    planned = world.zombies(3)
    (refused,) = world.zombies(tags={**MANAGED, "DoNotTerminate": ""})
    (denied,) = world.zombies()
    world.aws.policy.denied_ids.add(denied)

    done = world.run(DRY_RUN="true")

    assert checks.counts(done.returned) == {"listed": 5, "planned": 3, "refused": 1, "failed": 1}
    assert done.returned["dry_run"] is True
    assert all(done.outcome(one)["outcome"] == "planned" for one in planned)
    assert done.outcome(denied)["error_code"] == "UnauthorizedOperation"
    assert len(world.aws.fleet.live) == 5
    assert all(call.parameters["DryRun"] for call in world.aws.calls.of("TerminateInstances"))
    assert world.wiretap.reports == []
    assert world.counts() == {"listed": 5, "terminated": 3, "refused": 1, "failed": 1}, (
        "the dry run left nothing behind"
    )
    assert world.state(refused) == world.state(denied) == "running"


def test_with_confirmation_success_is_reported_only_once_ec2_shows_terminated(
    world: World,
) -> None:
    world.aws.fleet.shutdown_seconds = 60
    (one,) = world.zombies()
    ended_at = on_the_wire(world.clock.now)

    done = world.run(CONFIRM_TERMINATION="true")
    assert checks.counts(done.returned) == {"listed": 1, "pending": 1}
    assert done.outcome(one)["current_state"] == "shutting-down"
    assert world.counts(CONFIRM_TERMINATION="true") == {"listed": 1, "pending": 1}
    assert world.wiretap.reports == []

    world.clock.advance(61)
    assert world.counts(CONFIRM_TERMINATION="true") == {"listed": 1, "terminated": 1}
    assert world.events(one) == [TERMINATED]
    (report,) = world.wiretap.reports
    assert report.json()["terminated_at"] == ended_at, "EC2's own time, not the report's"
    assert world.aws.calls.count("TerminateInstances") == 1


def test_a_confirmed_replica_that_is_listed_again_is_replayed_not_reported(world: World) -> None:
    world.operator.set_quirks(Quirks(confirmed_replicas_return=True))
    (replica,) = world.launch(zone="us-east-1b")
    world.operator.enable_manual_replica(world.agent_id, replica)
    world.operator.disable_manual_replica(world.agent_id)
    assert world.counts() == {"listed": 1, "terminated": 1}

    for _ in range(2):
        world.operator.age(world.agent_id, PAUSE)
        done = world.run()
        assert checks.counts(done.returned) == {"listed": 1, "replayed": 1}
        assert "OldestWait" not in done.metrics, "nobody waits for it any more"
    assert world.events(replica) == [TERMINATED]

    world.aws.fleet.forget(replica)
    assert world.counts() == {"listed": 1, "replayed": 1}, "nor when EC2 has forgotten it"
    assert world.reported_once(replica)


def test_a_guard_refuses_and_the_backend_is_told_why(world: World) -> None:
    (protected,) = world.zombies(tags={**MANAGED, "DoNotTerminate": "false"})
    (member,) = world.zombies(asg="web")
    (other,) = world.zombies()

    done = world.run()

    assert checks.counts(done.returned) == {"listed": 3, "terminated": 1, "refused": 2}
    assert world.state(other) == "terminated"
    reasons = {
        protected: "protected by its tag DoNotTerminate",
        member: "member of the Auto Scaling group web, which would replace it",
    }
    for one, why in reasons.items():
        assert world.state(one) == "running"
        assert done.outcome(one)["why"] == why
        assert world.events(one) == [failure(why)]
        assert world.row(one)["instance_status"] == "zombie"
    asked = [c.parameters["InstanceIds"] for c in world.aws.calls.of("TerminateInstances")]
    assert asked == [[other]]
    assert world.counts() == {}, "the backend pauses it for five minutes"


def test_a_failure_is_reported_with_ec2s_words_and_healed_when_its_cause_is_gone(
    world: World,
) -> None:
    (one,) = world.zombies(protected=True)

    done = world.run()

    assert checks.counts(done.returned) == {"listed": 1, "failed": 1}
    assert done.outcome(one)["error_code"] == "OperationNotPermitted"
    ((event, said),) = world.events(one)
    assert event == "instance_termination_failed"
    assert said is not None
    assert said.startswith(f"OperationNotPermitted: The instance '{one}' may not be terminated.")
    assert world.counts() == {}, "the backend pauses it for five minutes"

    world.aws.fleet.instances[one].protected = False
    world.operator.age(world.agent_id, PAUSE)
    assert world.counts() == {"listed": 1, "terminated": 1}
    assert world.reported_once(one)


def test_a_lost_report_is_made_by_the_next_run_with_the_true_time(world: World) -> None:
    (one,) = world.zombies()
    ended_at = on_the_wire(world.clock.now)
    world.wiretap.intercept = _refuse_reports
    done = world.run()
    assert checks.counts(done.returned) == {"listed": 1, "unreported": 1}
    assert "InstancesTerminated" not in done.metrics, "not counted before it is acknowledged"
    assert world.state(one) == "terminated"
    assert world.events(one) == []

    world.wiretap.intercept = lambda _: None
    world.wiretap.clear()
    world.clock.advance(1_200)
    assert world.counts() == {"listed": 1, "terminated": 1}
    assert world.events(one) == [TERMINATED]
    (report,) = world.wiretap.reports
    assert report.json()["terminated_at"] == ended_at
    assert world.aws.calls.count("TerminateInstances") == 1


def test_under_verify_only_what_lived_in_this_account_counts_as_gone(
    world: World, unknown: str
) -> None:
    (ours,) = world.zombies()
    world.aws.fleet.forget(ours)
    world.mark([unknown])

    done = world.run(MISSING_INSTANCE_POLICY="verify")

    assert checks.counts(done.returned) == {"listed": 2, "already_gone": 1, "ignored": 1}
    assert done.outcome(unknown)["outcome"] == "ignored"
    assert world.events(ours) == [TERMINATED]
    assert world.events(unknown) == []


def test_the_longest_waiting_come_first_and_the_rest_is_deferred(world: World) -> None:
    by_age = {age: world.zombies(age_seconds=age)[0] for age in (310, 900, 500, 700, 400)}

    done = world.run(MAX_TERMINATIONS_PER_RUN="2")

    assert checks.counts(done.returned) == {"listed": 5, "terminated": 2, "deferred": 3}
    assert {age for age, one in by_age.items() if world.state(one) == "terminated"} == {900, 700}
    assert only(done.metrics, "OldestWait") == pytest.approx(900, abs=30)
    assert world.counts(MAX_TERMINATIONS_PER_RUN="2") == {
        "listed": 3,
        "terminated": 2,
        "deferred": 1,
    }
    assert world.counts(MAX_TERMINATIONS_PER_RUN="2") == {"listed": 1, "terminated": 1}
    assert all(world.reported_once(one) for one in by_age.values())


def test_every_outcome_in_one_run_adds_up(world: World, unknown: str) -> None:
    """`run` checks that listed is the sum, and that metrics and log lines agree with it."""
    world.aws.fleet.shutdown_seconds = 60
    world.operator.set_quirks(Quirks(odd_entries=False))
    world.zombies(2, age_seconds=900)
    world.zombies(tags={})
    world.zombies(protected=True, zone="us-east-1b", age_seconds=900)
    world.zombies(age_seconds=310)
    world.mark([unknown])
    world.mark([f"{unknown[:-1]}1", f"not-an-id-{unknown}"], az="eu-west-1b")
    assert world.counts(CONFIRM_TERMINATION="true", MAX_TERMINATIONS_PER_RUN="3") == {
        "listed": 8,
        "pending": 2,
        "failed": 1,
        "deferred": 1,
        "already_gone": 1,
        "ignored": 2,
        "invalid": 1,
    }


# The backend as it really is.


def test_all_eight_quirks_at_once_are_lived_with(lonely_world: World) -> None:
    world = lonely_world
    quirks = Quirks(
        naive_timestamps_only=True,
        integer_booleans=True,
        foreign_zombies=True,
        confirmed_replicas_return=True,
        report_moves_clock=True,
        odd_entries=True,
        pool_limit=8,
    )
    tenant = world.operator.create_client("somebody else")
    their_agent = world.operator.create_agent(tenant.client_id)
    theirs = "i-0feedfacefeedface"
    world.operator.add_zombies(their_agent, [theirs], age_seconds=4_000)
    ours = world.zombies(20)
    (protected,) = world.zombies(protected=True, zone="us-east-1c")
    (replica,) = world.launch(zone="us-east-1b")
    world.operator.enable_manual_replica(world.agent_id, replica)
    world.operator.disable_manual_replica(world.agent_id)
    verify = "verify"
    odd = len(ODD_IDS)

    world.operator.set_quirks(Quirks(database_down=True))
    world.fails(r"HTTP 500 .*Can't connect to MySQL server", MISSING_INSTANCE_POLICY=verify)

    world.operator.set_quirks(quirks)
    assert world.counts(MISSING_INSTANCE_POLICY=verify) == {
        "listed": 23 + odd,
        "terminated": 21,
        "failed": 1,
        "ignored": 1,
        "invalid": odd,
    }
    world.aws.fleet.instances[protected].protected = False
    world.operator.age(world.agent_id, PAUSE)
    assert world.counts(MISSING_INSTANCE_POLICY=verify) == {
        "listed": 3 + odd,
        "terminated": 1,
        "replayed": 1,
        "ignored": 1,
        "invalid": odd,
    }
    world.operator.age(world.agent_id, PAUSE)
    assert world.counts(MISSING_INSTANCE_POLICY=verify) == {
        "listed": 2 + odd,
        "replayed": 1,
        "ignored": 1,
        "invalid": odd,
    }
    assert all(world.reported_once(one) for one in [*ours, protected, replica])
    (their_row,) = world.operator.instances(their_agent)
    assert their_row["instance_status"] == "zombie", "it runs on, and its own agent will see it"
    assert their_row["termination_attempted_at"] is None


def _refuse_reports(request: Request) -> Refusal | None:
    if request.call != "termination-report":
        return None
    return 404, {"error": "Agent not found"}
