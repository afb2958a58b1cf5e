"""The original backend's ways with agents, rows and time (contract section 1, quirks 3 to 12)."""

import pytest

from backend.client import OperatorClient
from backend.quirks import ALL_QUIRKS, Quirks
from backend.service import ODD_IDS, PLACEHOLDERS
from tests.support.backend import AgentApi, Clock

ZOMBIE, REPLICA, PRIMARY = "i-0000000000000000a", "i-0000000000000000b", "i-0000000000000000c"


@pytest.fixture
def neighbour(backend: OperatorClient, agent: AgentApi) -> AgentApi:
    """Another agent of the same client and region."""
    client_id = backend.agent(agent.agent_id)["client_id"]
    return AgentApi(agent.base_url, backend.create_agent(client_id), agent.token)


def promoted(backend: OperatorClient, agent: AgentApi) -> str:
    """A manual replica that became the primary; the new primary's agent."""
    backend.enable_manual_replica(agent.agent_id, REPLICA)
    backend.replica_ready(agent.agent_id, REPLICA)
    return backend.switch(agent.agent_id, REPLICA)


def test_3_a_neighbours_switch_and_wait_do_not_keep_its_zombie_from_being_listed_to_others(
    backend: OperatorClient, agent: AgentApi, neighbour: AgentApi
) -> None:
    backend.add_zombies(neighbour.agent_id, [ZOMBIE], age_seconds=400)
    backend.set_auto_terminate(neighbour.agent_id, enabled=False)
    assert agent.ids() == []

    backend.set_quirks(Quirks(foreign_zombies=True))

    assert agent.ids() == [ZOMBIE]
    assert neighbour.ids() == []


def test_4_a_confirmed_replicas_seconds_count_from_what_was_reported_last(
    backend: OperatorClient, agent: AgentApi, clock: Clock
) -> None:
    backend.enable_manual_replica(agent.agent_id, REPLICA)
    backend.disable_manual_replica(agent.agent_id)
    backend.set_quirks(Quirks(confirmed_replicas_return=True))
    seen = []
    for terminated_at in (clock.wire(-1000), clock.wire(-10)):
        agent.report_success(REPLICA, terminated_at)
        clock.advance(300)
        seen += [entry["seconds_since_marked"] for entry in agent.listed()]

    assert seen == [1300, 610]


def test_5_two_waits_can_keep_a_zombie_from_its_owner_for_ever(
    backend: OperatorClient, agent: AgentApi, neighbour: AgentApi, clock: Clock
) -> None:
    backend.set_terminate_wait(agent.agent_id, 600)
    backend.add_zombies(agent.agent_id, [ZOMBIE], age_seconds=300)
    backend.set_quirks(Quirks(foreign_zombies=True, report_moves_clock=True))
    listed_to_owner = 0
    for _ in range(12):
        if neighbour.ids():
            neighbour.report_failure(ZOMBIE, "refused: another agent's")
        clock.advance(300)
        listed_to_owner += len(agent.ids())

    assert listed_to_owner == 0
    [row] = backend.instances(agent.agent_id)
    assert row["instance_status"] == "zombie"


def test_6_replicas_that_were_never_launched_are_listed_for_ever(
    backend: OperatorClient, agent: AgentApi, clock: Clock
) -> None:
    backend.set_quirks(Quirks(placeholders=True))
    for placeholder in PLACEHOLDERS:
        agent.report_success(placeholder)

    assert agent.ids() == list(PLACEHOLDERS)
    assert {entry["reason"] for entry in agent.listed()} == {"replica_terminated"}
    backend.set_auto_terminate(agent.agent_id, enabled=False)
    assert agent.ids() == []


def test_6_an_instance_can_be_listed_as_zombie_and_as_replica(
    backend: OperatorClient, agent: AgentApi
) -> None:
    backend.add_zombies(agent.agent_id, [ZOMBIE], age_seconds=400)
    backend.enable_manual_replica(agent.agent_id, ZOMBIE)
    backend.disable_manual_replica(agent.agent_id)
    backend.set_quirks(Quirks(listed_twice=True))

    assert [(entry["instance_id"], entry["reason"]) for entry in agent.listed()] == [
        (ZOMBIE, "zombie_timeout"),
        (ZOMBIE, "replica_terminated"),
    ]


def test_6_seconds_can_be_negative(backend: OperatorClient, agent: AgentApi) -> None:
    backend.add_zombies(agent.agent_id, [ZOMBIE], age_seconds=400)
    backend.set_quirks(Quirks(seconds_off=-18_000.0))

    assert [entry["seconds_waiting"] for entry in agent.listed()] == [-17_600]


def test_6_a_switch_that_is_off_can_be_null(backend: OperatorClient, agent: AgentApi) -> None:
    backend.set_quirks(Quirks(null_switch=True, integer_booleans=True))
    on = agent.get().json()["auto_terminate_enabled"]
    backend.set_auto_terminate(agent.agent_id, enabled=False)

    assert (on, agent.get().json()["auto_terminate_enabled"]) == (1, None)


def test_8_a_report_answered_with_500_can_have_confirmed_the_row(
    backend: OperatorClient, agent: AgentApi, clock: Clock
) -> None:
    backend.add_zombies(agent.agent_id, [ZOMBIE], age_seconds=400)
    backend.set_quirks(Quirks(event_lost_every=1))

    answer = agent.report_success(ZOMBIE)

    assert answer.status_code == 500
    assert "2013 (HY000)" in answer.json()["error"]
    [row] = backend.instances(agent.agent_id)
    assert row["instance_status"] == "terminated"
    assert backend.events(agent.agent_id) == []
    clock.advance(3_600)
    assert agent.ids() == []


def test_8_a_report_made_again_leaves_its_event(backend: OperatorClient, agent: AgentApi) -> None:
    backend.add_zombies(agent.agent_id, [ZOMBIE], age_seconds=400)
    backend.set_quirks(Quirks(event_lost_every=2))

    answers = [agent.report_success(ZOMBIE).status_code for _ in range(4)]

    assert sorted(answers) == [200, 200, 500, 500]
    assert len(backend.events(agent.agent_id)) == 2


def test_9_a_report_of_an_unknown_or_foreign_agent_is_recorded(
    backend: OperatorClient, agent: AgentApi
) -> None:
    foreign = backend.create_agent(backend.create_client("stranger").client_id)
    strangers = [AgentApi(agent.base_url, each, agent.token) for each in ("nobody", foreign)]
    assert [each.report_success(ZOMBIE).status_code for each in strangers] == [404, 404]

    backend.set_quirks(Quirks(strangers_report=True))

    for stranger in strangers:
        assert stranger.report_success(ZOMBIE).status_code == 200
        assert stranger.clean_up({"timestamp": "2025-11-25T12:30:00"}).status_code == 200
        assert stranger.get().status_code == 404
        assert len(backend.events(stranger.agent_id)) == 2
    wrong = AgentApi(agent.base_url, agent.agent_id, "wrong")
    assert wrong.report_success(ZOMBIE).status_code == 401


@pytest.mark.parametrize(("without", "instance_id"), [(False, ZOMBIE), (True, None)])
def test_9_an_events_instance_can_stand_in_its_metadata_alone(
    backend: OperatorClient, agent: AgentApi, without: bool, instance_id: str | None
) -> None:
    backend.set_quirks(Quirks(events_without_id=without))
    agent.report_failure(ZOMBIE)

    [event] = backend.events(agent.agent_id)

    assert event["instance_id"] == instance_id
    assert event["metadata"] == {"instance_id": ZOMBIE}


@pytest.mark.parametrize("ending", ["auto_switch_on", "delete_agent"])
@pytest.mark.parametrize("marked", [False, True])
def test_10_the_live_primary_can_be_listed_as_a_terminated_replica(
    backend: OperatorClient, agent: AgentApi, ending: str, marked: bool
) -> None:
    backend.register_primary(agent.agent_id, PRIMARY)
    promoted(backend, agent)
    backend.enable_manual_replica(agent.agent_id, ZOMBIE)
    backend.set_quirks(Quirks(promoted_replicas_marked=marked))

    number = getattr(backend, ending)(agent.agent_id)

    assert number == (2 if marked else 1)
    assert sorted(agent.ids()) == ([ZOMBIE, REPLICA] if marked else [ZOMBIE])
    live = {row["id"]: row["is_active"] for row in backend.instances(agent.agent_id)}
    assert live == {PRIMARY: False, REPLICA: True}


@pytest.mark.parametrize(("moves", "listed"), [(False, [ZOMBIE]), (True, [])])
def test_11_pricing_reports_can_keep_a_zombie_from_being_listed(
    backend: OperatorClient, agent: AgentApi, clock: Clock, moves: bool, listed: list[str]
) -> None:
    backend.add_zombies(agent.agent_id, [ZOMBIE])
    backend.set_quirks(Quirks(pricing_moves_clock=moves))
    seen: set[str] = set()
    for _ in range(12):
        clock.advance(299)
        seen |= set(agent.ids())
        backend.report_pricing(agent.agent_id, ZOMBIE)

    assert sorted(seen) == listed


def test_12_each_switch_can_make_a_new_agent(
    backend: OperatorClient, agent: AgentApi, clock: Clock
) -> None:
    backend.register_primary(agent.agent_id, PRIMARY)
    backend.set_terminate_wait(agent.agent_id, 60)
    backend.set_quirks(Quirks(new_agent_each_switch=True, foreign_zombies=True))

    new = promoted(backend, agent)

    assert new == REPLICA
    assert backend.agent(new)["terminate_wait_seconds"] == 60
    assert [row["id"] for row in backend.instances(new)] == [REPLICA]
    assert [row["instance_id"] for row in backend.replicas(agent.agent_id)] == [REPLICA]
    clock.advance(60)
    after = AgentApi(agent.base_url, new, agent.token)
    assert agent.ids() == after.ids() == [PRIMARY]


def test_without_the_quirk_a_switch_keeps_its_agent(
    backend: OperatorClient, agent: AgentApi
) -> None:
    backend.register_primary(agent.agent_id, PRIMARY)

    assert promoted(backend, agent) == agent.agent_id


def test_all_quirks_at_once_still_list_and_record(
    backend: OperatorClient, agent: AgentApi, neighbour: AgentApi, clock: Clock
) -> None:
    backend.add_zombies(neighbour.agent_id, [ZOMBIE], age_seconds=400)
    backend.enable_manual_replica(agent.agent_id, REPLICA)
    backend.set_quirks(ALL_QUIRKS)
    backend.auto_switch_on(agent.agent_id)

    assert agent.ids() == [ZOMBIE, REPLICA, *ODD_IDS, *PLACEHOLDERS]
    answers = [agent.report_success(ZOMBIE, clock.wire()).status_code for _ in range(7)]
    assert sorted(answers) == [200] * 6 + [500]
    assert agent.report_success(REPLICA, f"{clock.wire()}Z").status_code == 500
    agent.report_success(REPLICA, clock.wire(-60))
    clock.advance(300)
    assert agent.ids() == [REPLICA, *ODD_IDS, *PLACEHOLDERS]
