"""What others' programs did wrong in public, and what happens here; docs/reliability.md lists whose."""

import logging

import pytest

from tests.integration.world import MANAGED, TABLE, World
from tools.ec2_emulator import faults


def reported(world: World, instance_id: str) -> list[str]:
    """The events that the backend holds of an instance, the oldest first."""
    return [event for event, _ in world.events(instance_id)]


def test_one_protected_instance_spares_none_of_the_others(world: World) -> None:
    others = world.zombies(7)
    [guarded] = world.zombies(protected=True)
    assert world.counts() == {"listed": 8, "terminated": 7, "failed": 1}
    assert world.aws.fleet.live == [guarded]
    assert reported(world, guarded) == ["instance_termination_failed"]
    assert {tuple(reported(world, one)) for one in others} == {("instance_terminated",)}


def test_one_that_vanishes_meanwhile_spares_none_of_the_others(world: World) -> None:
    gone, *others = world.zombies(5)
    vanish = faults.meanwhile(lambda: world.aws.fleet.forget(gone))
    world.aws.faults.add("TerminateInstances", vanish)
    world.run()
    assert world.aws.fleet.live == []
    assert {tuple(reported(world, one)) for one in others} == {("instance_terminated",)}


def test_what_has_ended_already_is_reported_and_not_asked_for(world: World) -> None:
    [ended] = world.zombies()
    world.aws.fleet.terminate(ended)
    world.run()
    assert world.aws.calls.count("TerminateInstances") == 0
    assert reported(world, ended) == ["instance_terminated"]


def test_a_spot_instance_costs_the_others_of_its_batch_nothing(world: World) -> None:
    world.zombies(3)
    world.zombies(spot="one-time")
    world.zombies(spot="persistent")
    assert world.counts() == {"listed": 5, "terminated": 5}
    assert world.aws.fleet.live == []


def test_each_of_many_is_asked_for_once_and_none_is_left(world: World) -> None:
    ids = world.zombies(400)
    assert world.counts(MAX_TERMINATIONS_PER_RUN="400") == {"listed": 400, "terminated": 400}
    asked = [
        one
        for call in world.aws.calls.of("TerminateInstances", "ok")
        for one in call.parameters["InstanceIds"]
    ]
    assert sorted(asked) == sorted(ids)
    assert world.aws.fleet.live == []


def test_a_throttle_is_waited_for_and_fails_nothing(world: World) -> None:
    world.zombies(20)
    world.aws.faults.add("TerminateInstances", faults.throttled(), times=2)
    assert world.counts() == {"listed": 20, "terminated": 20}
    assert world.aws.fleet.live == []


def test_a_persistent_spot_request_brings_nothing_back(world: World) -> None:
    world.zombies(spot="persistent")
    world.run()
    assert world.aws.fleet.live == []
    assert [each.state for each in world.aws.fleet.requests.values()] == ["cancelled"]


def test_a_spot_request_that_is_not_shown_yet_holds_its_instance_back(world: World) -> None:
    replica = world.aws.fleet.launch(tags=MANAGED, spot="persistent")
    world.operator.enable_manual_replica(world.agent_id, replica)
    world.operator.disable_manual_replica(world.agent_id)
    request = world.aws.fleet.requests[world.aws.fleet.instances[replica].spot_request_id or ""]
    request.unseen_until = world.clock() + 60
    assert world.counts() == {"listed": 1, "deferred": 1}
    world.clock.advance(61)
    assert world.counts() == {"listed": 1, "terminated": 1}
    assert (world.aws.fleet.live, request.state) == ([], "cancelled")


def test_a_spot_request_that_ec2_has_forgotten_does_not_hold_its_instance_back(
    world: World,
) -> None:
    world.zombies(spot="persistent")
    world.aws.fleet.requests.clear()
    assert world.counts() == {"listed": 1, "terminated": 1}
    assert world.aws.fleet.live == []


def test_more_spot_requests_than_one_call_takes_are_all_cancelled(world: World) -> None:
    world.zombies(201, spot="persistent")
    assert world.counts() == {"listed": 201, "terminated": 201}
    assert world.aws.fleet.live == []
    world.run()  # looks whether one of them came back
    assert world.aws.calls.count("DescribeInstances", "FilterLimitExceeded") == 0


def test_an_odd_tag_of_one_replica_costs_the_others_nothing(world: World) -> None:
    (parent,) = world.launch()
    parents = [parent, parent, "*", "x" * 256]
    replicas = [
        world.aws.fleet.launch(tags={**MANAGED, "ParentInstance": one, "LogicalAgentId": "y" * 256})
        for one in parents
    ]
    for one in replicas:
        world.operator.enable_manual_replica(world.agent_id, one)
        world.operator.disable_manual_replica(world.agent_id)
    assert world.counts() == {"listed": 4, "terminated": 2, "refused": 2}
    assert world.aws.fleet.live == [parent, *replicas[2:]]


def test_a_groups_member_is_left_to_its_group(world: World) -> None:
    [member] = world.zombies(asg="web")
    assert world.counts() == {"listed": 1, "refused": 1}
    assert world.aws.fleet.live == [member]


@pytest.mark.parametrize(
    ("kind", "spot", "refused"),
    [("maintain", False, True), ("maintain", True, True), ("instant", False, False)],
)
def test_a_fleets_member_ends_only_if_it_is_not_replaced(
    world: World, kind: str, spot: bool, refused: bool
) -> None:
    fleet = world.aws.fleet.create_fleet(kind, spot=spot)
    [member] = world.zombies(fleet=fleet)
    outcome = "refused" if refused else "terminated"
    assert world.counts() == {"listed": 1, outcome: 1}
    assert world.aws.fleet.live == ([member] if refused else [])


def test_what_ec2_does_not_show_yet_is_not_reported_as_gone(world: World) -> None:
    replica = world.aws.fleet.launch(tags=MANAGED)
    world.operator.enable_manual_replica(world.agent_id, replica)
    world.operator.disable_manual_replica(world.agent_id)
    world.aws.fleet.unsee(replica, 2)
    later = faults.meanwhile(lambda: world.clock.advance(3))
    world.aws.faults.add("DescribeInstances", later, nth=2)
    assert "already_gone" not in world.counts()
    assert world.aws.fleet.live == []
    assert reported(world, replica) == ["instance_terminated"]


def test_a_role_bound_to_tags_is_not_asked_to_end_what_has_lost_them(world: World) -> None:
    world.aws.policy.required_tags = MANAGED
    world.aws.fleet.tags_kept_seconds = 0
    [ended] = world.zombies()
    world.aws.fleet.terminate(ended)
    world.run()
    assert reported(world, ended) == ["instance_terminated"]
    assert world.aws.calls.count("TerminateInstances") == 0


def test_what_ec2_has_forgotten_is_reported_and_not_tried_for_ever(world: World) -> None:
    [gone] = world.zombies()
    world.aws.fleet.forget(gone)
    assert world.counts() == {"listed": 1, "already_gone": 1}
    assert reported(world, gone) == ["instance_terminated"]


def test_a_missing_permission_is_told_in_ec2s_words(world: World) -> None:
    [denied] = world.zombies()
    world.aws.policy.denied_ids.add(denied)
    line = world.run().outcome(denied)
    assert (line["outcome"], line["error_code"]) == ("failed", "UnauthorizedOperation")
    assert reported(world, denied) == ["instance_termination_failed"]


def test_an_instance_that_a_service_manages_is_refused_and_not_gone(world: World) -> None:
    [managed] = world.zombies(operator="eks.amazonaws.com")
    done = world.run()
    assert done.outcome(managed)["outcome"] == "refused"
    assert "eks.amazonaws.com" in str(done.outcome(managed))
    assert world.aws.fleet.live == [managed]


def test_a_look_that_breaks_off_is_made_again(world: World) -> None:
    world.zombies(3)
    world.aws.faults.add("DescribeInstances", faults.cut())
    world.aws.faults.add("DescribeInstances", faults.truncated())
    assert world.counts() == {"listed": 3, "terminated": 3}


def test_a_page_in_the_place_of_ec2s_answer_proves_nothing(world: World) -> None:
    ids = world.zombies(3)
    page = faults.raw(200, "<html><body>Sign in</body></html>")
    world.aws.faults.add("DescribeInstances", page, times=None)
    assert world.counts()["deferred"] == 3
    assert world.aws.fleet.live == ids
    assert [reported(world, one) for one in ids] == [[], [], []]


def test_a_call_whose_answer_was_lost_is_looked_at_and_not_made_again(world: World) -> None:
    world.zombies(3)
    world.aws.faults.add("TerminateInstances", faults.dropped(after_effect=True))
    assert world.counts() == {"listed": 3, "terminated": 3}
    assert world.aws.calls.count("TerminateInstances") == 1


def test_writes_in_each_others_way_cost_no_report(world: World) -> None:
    ids = world.zombies(20)
    world.aws.tables[TABLE].conflict_anywhere(times=5)
    assert world.counts() == {"listed": 20, "terminated": 20}
    assert {tuple(reported(world, one)) for one in ids} == {("instance_terminated",)}
    assert len(world.aws.tables[TABLE].items) >= 20


def test_an_odd_retry_after_costs_no_report(world: World) -> None:
    odd = ("1m0s", "0.493", "-1", "9999999999", "Tue, 01 Jan 99999 00:00:00 GMT", "soon")
    left = list(odd)
    world.wiretap.intercept = lambda request: (
        (503, {"error": "busy"}, {"Retry-After": left.pop()})
        if left and request.call == "termination-report"
        else None
    )
    ids = world.zombies(len(odd))
    world.run()
    assert left == []
    assert world.aws.fleet.live == []
    world.operator.age(world.agent_id, 400)
    world.run()
    assert {tuple(reported(world, one)) for one in ids} == {("instance_terminated",)}


def test_no_secret_is_logged_at_debug(
    world: World, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    world.zombies(2)
    with caplog.at_level(logging.DEBUG):
        done = world.run(POWERTOOLS_LOG_LEVEL="DEBUG", AWS_LAMBDA_LOG_LEVEL="DEBUG")
    written = caplog.text + str(done.lines) + "".join(capfd.readouterr())
    assert world.client.token not in written
    assert "AWS4-HMAC-SHA256 Credential=" not in written


def test_what_an_accepted_call_has_not_ended_is_tried_again(world: World) -> None:
    [stays] = world.zombies()
    world.aws.faults.add(
        "TerminateInstances",
        faults.raw(
            200,
            "<TerminateInstancesResponse><instancesSet><item>"
            f"<instanceId>{stays}</instanceId><currentState><name>running</name></currentState>"
            "<previousState><name>running</name></previousState></item></instancesSet>"
            "</TerminateInstancesResponse>",
        ),
    )
    assert "terminated" not in world.counts()
    assert reported(world, stays) == ["instance_termination_failed"]
    world.operator.age(world.agent_id, 400)
    world.run()
    assert world.aws.fleet.live == []
    assert reported(world, stays)[-1] == "instance_terminated"


def test_what_nobody_has_tagged_runs_on_and_is_counted(world: World) -> None:
    [orphan] = world.zombies(tags={})
    assert world.run().returned["untagged"] == 1
    assert world.aws.fleet.live == [orphan]
    assert reported(world, orphan) == []
