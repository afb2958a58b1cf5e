"""What others' programs did wrong in public, and what happens here; docs/reliability.md lists whose."""

import logging
from collections.abc import Callable, Iterator

import pytest

from tests.reported.stage import TABLE, Stage, stages
from tools.ec2_emulator import Emulator, faults

OTHER_ZONE = "us-east-1b"


@pytest.fixture(scope="module")
def make_stage() -> Iterator[Callable[[], Stage]]:
    with Emulator() as aws, stages(aws) as make:
        yield make


@pytest.fixture
def stage(make_stage: Callable[[], Stage]) -> Stage:
    return make_stage()


def test_one_protected_instance_spares_none_of_the_others(stage: Stage) -> None:
    others = stage.zombies(7)
    [guarded] = stage.zombies(protected=True)
    assert stage.returned() == {"listed": 8, "terminated": 7, "failed": 1}
    assert stage.live == [guarded]
    assert stage.reported(guarded) == ["instance_termination_failed"]
    assert {tuple(stage.reported(one)) for one in others} == {("instance_terminated",)}


def test_one_that_vanishes_meanwhile_spares_none_of_the_others(stage: Stage) -> None:
    gone, *others = stage.zombies(5)
    vanish = faults.meanwhile(lambda: stage.aws.fleet.forget(gone))
    stage.aws.faults.add("TerminateInstances", vanish)
    stage.run()
    assert stage.live == []
    assert {tuple(stage.reported(one)) for one in others} == {("instance_terminated",)}


def test_what_has_ended_already_is_reported_and_not_asked_for(stage: Stage) -> None:
    [ended] = stage.zombies()
    stage.aws.fleet.terminate(ended)
    stage.run()
    assert stage.aws.calls.count("TerminateInstances") == 0
    assert stage.reported(ended) == ["instance_terminated"]


def test_a_spot_instance_costs_the_others_of_its_batch_nothing(stage: Stage) -> None:
    stage.zombies(3)
    stage.zombies(spot="one-time")
    stage.zombies(spot="persistent")
    assert stage.returned() == {"listed": 5, "terminated": 5}
    assert stage.live == []


def test_each_of_many_is_asked_for_once_and_none_is_left(stage: Stage) -> None:
    ids = stage.zombies(400)
    assert stage.returned(MAX_TERMINATIONS_PER_RUN="400") == {"listed": 400, "terminated": 400}
    asked = [
        one
        for call in stage.aws.calls.of("TerminateInstances", "ok")
        for one in call.parameters["InstanceIds"]
    ]
    assert sorted(asked) == sorted(ids)
    assert stage.live == []


def test_a_throttle_is_waited_for_and_fails_nothing(stage: Stage) -> None:
    stage.zombies(20)
    stage.aws.faults.add("TerminateInstances", faults.throttled(), times=2)
    assert stage.returned() == {"listed": 20, "terminated": 20}
    assert stage.live == []


def test_a_persistent_spot_request_brings_nothing_back(stage: Stage) -> None:
    stage.zombies(spot="persistent")
    stage.run()
    assert stage.live == []
    assert [each.state for each in stage.aws.fleet.requests.values()] == ["cancelled"]


def test_a_groups_member_is_left_to_its_group(stage: Stage) -> None:
    [member] = stage.zombies(asg="web")
    assert stage.returned() == {"listed": 1, "refused": 1}
    assert stage.live == [member]


@pytest.mark.parametrize(
    ("kind", "spot", "refused"),
    [("maintain", False, True), ("maintain", True, True), ("instant", False, False)],
)
def test_a_fleets_member_ends_only_if_it_is_not_replaced(
    stage: Stage, kind: str, spot: bool, refused: bool
) -> None:
    fleet = stage.aws.fleet.create_fleet(kind, spot=spot)
    [member] = stage.zombies(fleet=fleet)
    outcome = "refused" if refused else "terminated"
    assert stage.returned() == {"listed": 1, outcome: 1}
    assert stage.live == ([member] if refused else [])


def test_what_ec2_does_not_show_yet_is_not_reported_as_gone(stage: Stage) -> None:
    replica = stage.aws.fleet.launch(tags={"ManagedBy": "SpotOptimizer"})
    stage.operator.enable_manual_replica(stage.agent_id, replica)
    stage.operator.disable_manual_replica(stage.agent_id)
    stage.aws.fleet.unsee(replica, 2)
    assert "already_gone" not in stage.returned()
    assert stage.live == []
    assert stage.reported(replica) == ["instance_terminated"]


def test_a_role_bound_to_tags_is_not_asked_to_end_what_has_lost_them(stage: Stage) -> None:
    stage.aws.policy.required_tags = {"ManagedBy": "SpotOptimizer"}
    stage.aws.fleet.tags_kept_seconds = 0
    [ended] = stage.zombies()
    stage.aws.fleet.terminate(ended)
    stage.run()
    assert stage.reported(ended) == ["instance_terminated"]
    assert stage.aws.calls.count("TerminateInstances") == 0


def test_what_ec2_has_forgotten_is_reported_and_not_tried_for_ever(stage: Stage) -> None:
    [gone] = stage.zombies()
    stage.aws.fleet.forget(gone)
    assert stage.returned() == {"listed": 1, "already_gone": 1}
    assert stage.reported(gone) == ["instance_terminated"]


def test_a_missing_permission_is_told_in_ec2s_words(stage: Stage) -> None:
    [denied] = stage.zombies()
    stage.aws.policy.denied_ids.add(denied)
    line = stage.run().outcome(denied)
    assert (line["outcome"], line["error_code"]) == ("failed", "UnauthorizedOperation")
    assert stage.reported(denied) == ["instance_termination_failed"]


def test_an_instance_that_a_service_manages_is_refused_and_not_gone(stage: Stage) -> None:
    [managed] = stage.zombies(operator="eks.amazonaws.com")
    done = stage.run()
    assert done.outcome(managed)["outcome"] == "refused"
    assert "eks.amazonaws.com" in str(done.outcome(managed))
    assert stage.live == [managed]


def test_a_look_that_breaks_off_is_made_again(stage: Stage) -> None:
    stage.zombies(3)
    stage.aws.faults.add("DescribeInstances", faults.cut())
    stage.aws.faults.add("DescribeInstances", faults.truncated())
    assert stage.returned() == {"listed": 3, "terminated": 3}


def test_a_page_in_the_place_of_ec2s_answer_proves_nothing(stage: Stage) -> None:
    ids = stage.zombies(3)
    page = faults.raw(200, "<html><body>Sign in</body></html>")
    stage.aws.faults.add("DescribeInstances", page, times=None)
    assert stage.returned()["deferred"] == 3
    assert stage.live == ids
    assert [stage.reported(one) for one in ids] == [[], [], []]


def test_a_call_whose_answer_was_lost_is_looked_at_and_not_made_again(stage: Stage) -> None:
    stage.zombies(3)
    stage.aws.faults.add("TerminateInstances", faults.dropped(after_effect=True))
    assert stage.returned() == {"listed": 3, "terminated": 3}
    assert stage.aws.calls.count("TerminateInstances") == 1


def test_writes_in_each_others_way_cost_no_report(stage: Stage) -> None:
    ids = stage.zombies(20)
    stage.aws.tables[TABLE].conflict_anywhere(times=5)
    assert stage.returned() == {"listed": 20, "terminated": 20}
    assert {tuple(stage.reported(one)) for one in ids} == {("instance_terminated",)}
    assert len(stage.aws.tables[TABLE].items) >= 20


def test_an_odd_retry_after_costs_no_report(stage: Stage) -> None:
    odd = ("1m0s", "0.493", "-1", "9999999999", "Tue, 01 Jan 99999 00:00:00 GMT", "soon")
    stage.busy.headers = [{"Retry-After": after} for after in odd]
    ids = stage.zombies(len(odd))
    stage.run()
    assert stage.busy.headers == []
    assert stage.live == []
    stage.operator.age(stage.agent_id, 400)
    stage.run()
    assert {tuple(stage.reported(one)) for one in ids} == {("instance_terminated",)}


def test_no_secret_is_logged_at_debug(
    stage: Stage, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    stage.zombies(2)
    with caplog.at_level(logging.DEBUG):
        done = stage.run(POWERTOOLS_LOG_LEVEL="DEBUG", AWS_LAMBDA_LOG_LEVEL="DEBUG")
    written = caplog.text + str(done.lines) + "".join(capfd.readouterr())
    assert stage.token not in written
    assert "AWS4-HMAC-SHA256 Credential=" not in written


def test_what_an_accepted_call_has_not_ended_is_tried_again(stage: Stage) -> None:
    [stays] = stage.zombies()
    stage.aws.faults.add(
        "TerminateInstances",
        faults.raw(
            200,
            "<TerminateInstancesResponse><instancesSet><item>"
            f"<instanceId>{stays}</instanceId><currentState><name>running</name></currentState>"
            "<previousState><name>running</name></previousState></item></instancesSet>"
            "</TerminateInstancesResponse>",
        ),
    )
    assert "terminated" not in stage.returned()
    assert stage.reported(stays) == ["instance_termination_failed"]
    stage.operator.age(stage.agent_id, 400)
    stage.run()
    assert stage.live == []
    assert stage.reported(stays)[-1] == "instance_terminated"


def test_what_nobody_has_tagged_runs_on_and_is_counted(stage: Stage) -> None:
    [orphan] = stage.zombies(tags={})
    assert stage.returned() == {"listed": 1, "ignored": 1, "untagged": 1}
    assert stage.live == [orphan]
    assert stage.reported(orphan) == []
