"""What a run costs in calls and connections, and what it goes by."""

from __future__ import annotations

from backend.quirks import Quirks
from tests.integration import checks
from tests.integration.world import (
    World,
)


def test_an_idle_run_makes_one_call_to_the_backend_and_none_to_aws(world: World) -> None:
    world.run()
    assert [call.operation for call in world.aws.calls] == ["GetParameter"], "the cold one"
    world.aws.calls.clear()
    world.wiretap.clear()

    done = world.run()

    assert [(r.method, r.call) for r in world.wiretap.requests] == [
        ("GET", "instances-to-terminate")
    ]
    assert len(world.aws.calls) == 0
    assert done.emf == [], "custom metrics are billed by the hour in which they are sent"


def test_an_event_may_ask_for_one_of_the_agents_alone(world: World) -> None:
    world.zombies()
    other = world.operator.create_agent(world.client.client_id)
    (theirs,) = world.launch()
    world.operator.enable_manual_replica(other, theirs)
    world.operator.disable_manual_replica(other)
    world.operator.set_auto_terminate(world.agent_id, enabled=False)

    both = f"{world.agent_id},{other}"
    done = world.run({"agent_id": other}, AGENT_ID=both)

    assert world.state(theirs) == "terminated"
    assert done.outcome(theirs)["agent_id"] == other
    assert {r.path.split("/")[3] for r in world.wiretap.requests} == {other}
    assert done.returned["auto_terminate_enabled"] is True, "the event's agent is on"
    assert world.operator.events(world.agent_id) == []


def test_what_only_the_event_makes_different_makes_no_new_clients(world: World) -> None:
    world.run()
    world.aws.calls.clear()
    world.wiretap.clear()

    for event in ({}, {"dry_run": True}, {"agent_id": world.agent_id}):
        world.run(event)

    assert len({r.connection for r in world.wiretap.requests}) == 1, "one session"
    assert len(world.aws.calls) == 0, "and one token"


def test_reports_share_a_few_connections_and_no_more_are_under_way_than_told(
    world: World,
) -> None:
    world.operator.set_quirks(Quirks(latency_seconds=0.03))
    world.zombies(40)

    assert world.counts(BACKEND_CONCURRENCY="4") == {"listed": 40, "terminated": 40}

    assert len(world.wiretap.reports) == 40
    assert 2 <= world.wiretap.most_at_once <= 4
    assert len({r.connection for r in world.wiretap.requests}) <= 4


def test_a_backend_that_bears_as_many_requests_as_told_loses_no_report(world: World) -> None:
    world.operator.set_quirks(Quirks(latency_seconds=0.02, pool_limit=8))
    world.zombies(120)
    done = world.run()
    assert checks.counts(done.returned) == {"listed": 120, "terminated": 120}
    assert len(world.wiretap.reports) == 120, "none had to be repeated"
    assert len(done.metrics["TimeToTerminate"]) == 120, "none is lost in CloudWatch's limits"


def test_a_long_list_is_looked_up_200_a_call_and_terminated_350_a_call(world: World) -> None:
    world.zombies(401)
    assert world.counts(DRY_RUN="true") == {"listed": 401, "planned": 401}
    sizes = [
        len(call.parameters["Filters"][0]["Values"])
        for call in world.aws.calls.of("DescribeInstances")
    ]
    assert sorted(sizes) == [1, 200, 200]
    batches = world.aws.calls.of("TerminateInstances")
    assert sorted(len(call.parameters["InstanceIds"]) for call in batches) == [51, 350]
