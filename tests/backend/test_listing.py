"""What is listed, and what is not (contract section 1, "What the backend decides")."""

import pytest

from backend.client import OperatorClient
from tests.support.backend import AgentApi, Clock, change_rows

OLD, NEW, THIRD = "i-0000000000000000a", "i-0000000000000000b", "i-0000000000000000c"


def _ready_replica(backend: OperatorClient, agent: AgentApi, instance_id: str) -> None:
    backend.enable_manual_replica(agent.agent_id, instance_id)
    backend.replica_ready(agent.agent_id, instance_id)


def test_a_zombie_is_listed_with_all_that_the_contract_names(
    backend: OperatorClient, agent: AgentApi
) -> None:
    backend.add_zombies(agent.agent_id, [OLD], age_seconds=320)

    answer = agent.get()

    assert answer.status_code == 200
    assert answer.json() == {
        "instances": [
            {
                "instance_id": OLD,
                "instance_type": "c5.large",
                "az": "us-east-1a",
                "reason": "zombie_timeout",
                "seconds_waiting": 320,
            }
        ],
        "auto_terminate_enabled": True,
        "terminate_wait_seconds": 300,
    }


def test_a_terminated_replica_is_listed_at_once(
    backend: OperatorClient, agent: AgentApi, clock: Clock
) -> None:
    backend.enable_manual_replica(agent.agent_id, OLD)
    assert backend.disable_manual_replica(agent.agent_id) == 1
    clock.advance(5)

    assert agent.listed() == [
        {
            "instance_id": OLD,
            "instance_type": "c5.large",
            "az": "us-east-1b",
            "reason": "replica_terminated",
            "seconds_since_marked": 5,
        }
    ]


@pytest.mark.parametrize(("waited", "listed"), [(299, []), (300, [OLD])])
def test_a_zombie_is_listed_once_it_waited_long_enough(
    backend: OperatorClient, agent: AgentApi, waited: int, listed: list[str]
) -> None:
    backend.add_zombies(agent.agent_id, [OLD], age_seconds=waited)

    assert agent.ids() == listed


@pytest.mark.parametrize(
    ("change", "listed"),
    [
        ("UPDATE instances SET instance_status = 'zombie'", [OLD]),
        ("UPDATE instances SET instance_status = 'stopping'", []),
        ("UPDATE instances SET is_active = 1", []),
        ("UPDATE instances SET termination_confirmed = 1", []),
    ],
)
def test_a_zombie_is_an_inactive_unconfirmed_instance_of_that_status(
    backend: OperatorClient, agent: AgentApi, database_url: str, change: str, listed: list[str]
) -> None:
    backend.add_zombies(agent.agent_id, [OLD], age_seconds=900)

    change_rows(database_url, change)

    assert agent.ids() == listed


def test_a_zombie_marked_by_hand_waits_from_when_its_row_was_touched(
    backend: OperatorClient, agent: AgentApi, database_url: str, clock: Clock
) -> None:
    backend.register_primary(agent.agent_id, OLD)
    change_rows(
        database_url,
        "UPDATE instances SET instance_status = 'zombie', is_active = 0, updated_at = :now",
        now=clock.moment.replace(tzinfo=None),
    )

    assert agent.ids() == []
    clock.advance(300)
    assert [entry["seconds_waiting"] for entry in agent.listed()] == [300]


def test_each_agent_has_its_own_wait(backend: OperatorClient, agent: AgentApi) -> None:
    backend.add_zombies(agent.agent_id, [OLD], age_seconds=60)
    backend.set_terminate_wait(agent.agent_id, 60)

    answer = agent.get().json()

    assert [entry["instance_id"] for entry in answer["instances"]] == [OLD]
    assert answer["terminate_wait_seconds"] == 60


def test_nothing_is_listed_while_auto_terminate_is_off(
    backend: OperatorClient, agent: AgentApi
) -> None:
    backend.add_zombies(agent.agent_id, [OLD], age_seconds=900)
    backend.enable_manual_replica(agent.agent_id, NEW)
    backend.disable_manual_replica(agent.agent_id)

    backend.set_auto_terminate(agent.agent_id, enabled=False)
    off = agent.get().json()
    backend.set_auto_terminate(agent.agent_id, enabled=True)

    assert off["instances"] == []
    assert off["auto_terminate_enabled"] is False
    assert agent.ids() == [OLD, NEW]


def test_primaries_and_active_replicas_are_not_listed(
    backend: OperatorClient, agent: AgentApi, clock: Clock
) -> None:
    backend.register_primary(agent.agent_id, OLD)
    backend.enable_manual_replica(agent.agent_id, NEW)
    _ready_replica(backend, agent, THIRD)
    clock.advance(10_000)

    assert agent.ids() == []


def test_the_longest_waiting_comes_first_whatever_the_reason(
    backend: OperatorClient, agent: AgentApi, clock: Clock
) -> None:
    backend.add_zombies(agent.agent_id, [NEW], age_seconds=400)
    backend.add_zombies(agent.agent_id, [OLD], age_seconds=2000)
    backend.enable_manual_replica(agent.agent_id, THIRD)
    backend.disable_manual_replica(agent.agent_id)
    backend.age(agent.agent_id, 1000, instance_id=THIRD)

    assert agent.ids() == [OLD, THIRD, NEW]


def test_an_agent_sees_its_own_zombies_alone(backend: OperatorClient, agent: AgentApi) -> None:
    owner, stranger = backend.create_client("owner"), backend.create_client("stranger")
    east = backend.create_agent(owner.client_id, "us-east-1")
    east_too = backend.create_agent(owner.client_id, "us-east-1")
    west = backend.create_agent(owner.client_id, "us-west-2")
    other = backend.create_agent(stranger.client_id, "us-east-1")
    for agent_id, instance_id in ((east, OLD), (west, NEW), (other, THIRD)):
        backend.add_zombies(agent_id, [instance_id], age_seconds=900)

    seen = {
        agent_id: AgentApi(backend.base_url, agent_id, token).ids()
        for agent_id, token in (
            (east, owner.token),
            (east_too, owner.token),
            (west, owner.token),
            (other, stranger.token),
        )
    }

    assert seen == {east: [OLD], east_too: [], west: [NEW], other: [THIRD]}


def test_an_agent_does_not_see_another_agents_replicas(
    backend: OperatorClient, agent: AgentApi
) -> None:
    client = backend.create_client()
    first, second = (backend.create_agent(client.client_id) for _ in range(2))
    backend.enable_manual_replica(first, OLD)
    backend.disable_manual_replica(first)

    assert AgentApi(backend.base_url, first, client.token).ids() == [OLD]
    assert AgentApi(backend.base_url, second, client.token).ids() == []


def test_a_promotion_makes_the_old_primary_a_zombie_and_the_replica_the_primary(
    backend: OperatorClient, agent: AgentApi, clock: Clock
) -> None:
    backend.register_primary(agent.agent_id, OLD)
    _ready_replica(backend, agent, NEW)

    assert backend.promote_replica(agent.agent_id, NEW) == [OLD]

    status = {
        row["id"]: (row["instance_status"], row["is_active"])
        for row in backend.instances(agent.agent_id)
    }
    assert status == {OLD: ("zombie", False), NEW: ("primary", True)}
    assert {row["id"]: row["marked_at"] for row in backend.instances(agent.agent_id)} == {
        OLD: clock.wire(),
        NEW: None,
    }
    assert [row["status"] for row in backend.replicas(agent.agent_id)] == ["promoted"]
    assert agent.ids() == []
    clock.advance(300)
    assert agent.ids() == [OLD]


def test_only_a_ready_replica_can_be_promoted(backend: OperatorClient, agent: AgentApi) -> None:
    backend.enable_manual_replica(agent.agent_id, NEW)

    with pytest.raises(OSError, match=r"409 .* is launching, not ready"):
        backend.promote_replica(agent.agent_id, NEW)


def test_switching_replicas_off_leaves_a_promoted_one_alone(
    backend: OperatorClient, agent: AgentApi
) -> None:
    _ready_replica(backend, agent, OLD)
    backend.promote_replica(agent.agent_id, OLD)
    backend.enable_manual_replica(agent.agent_id, NEW)

    assert backend.disable_manual_replica(agent.agent_id) == 1
    assert agent.ids() == [NEW]


def test_an_instance_marked_in_both_tables_is_listed_once(
    backend: OperatorClient, agent: AgentApi
) -> None:
    backend.add_zombies(agent.agent_id, [OLD], age_seconds=400)
    backend.enable_manual_replica(agent.agent_id, OLD)
    backend.disable_manual_replica(agent.agent_id)

    assert [(entry["instance_id"], entry["reason"]) for entry in agent.listed()] == [
        (OLD, "zombie_timeout")
    ]


def test_ageing_moves_marks_and_attempts_back(backend: OperatorClient, agent: AgentApi) -> None:
    backend.add_zombies(agent.agent_id, [OLD, NEW])
    assert backend.age(agent.agent_id, 300) == 2
    agent.report_failure(OLD)
    assert agent.ids() == [NEW]

    assert backend.age(agent.agent_id, 300, instance_id=OLD) == 1

    assert agent.ids() == [OLD, NEW]
    assert agent.listed()[0]["seconds_waiting"] == 600


def test_ten_thousand_entries_are_one_answer(backend: OperatorClient, agent: AgentApi) -> None:
    ids = [f"i-{number:017x}" for number in range(10_000)]
    assert backend.add_zombies(agent.agent_id, ids, age_seconds=600) == 10_000

    answer = agent.get()

    assert answer.elapsed.total_seconds() < 10
    assert {entry["instance_id"] for entry in answer.json()["instances"]} == set(ids)
