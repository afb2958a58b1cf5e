"""Each quirk of real backends, switched on (contract section 1); 3 to 12 of the original in `test_original`."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import pytest
import requests

from backend.client import OperatorClient
from backend.context import Settings
from backend.quirks import ALL_QUIRKS, Quirks
from backend.server import run_backend
from backend.service import ODD_IDS
from tests.support.backend import AgentApi, Clock, on_sqlite

ZOMBIE, REPLICA = "i-0000000000000000a", "i-0000000000000000b"


def test_1_a_time_with_a_zone_can_be_refused_as_mysql_does(
    backend: OperatorClient, agent: AgentApi
) -> None:
    backend.add_zombies(agent.agent_id, [ZOMBIE], age_seconds=900)
    backend.set_quirks(Quirks(naive_timestamps_only=True))

    for sent in ("2025-11-25T12:30:00Z", "2025-11-25T12:30:00+00:00"):
        for answer in (agent.report_success(ZOMBIE, sent), agent.clean_up({"timestamp": sent})):
            assert answer.status_code == 500
            assert "1292 (22007): Incorrect datetime value" in answer.json()["error"]
    assert agent.ids() == [ZOMBIE]
    assert backend.events(agent.agent_id) == []
    assert agent.report_success(ZOMBIE, "2025-11-25T12:30:00.5").status_code == 200


def test_2_booleans_can_be_numbers(backend: OperatorClient, agent: AgentApi) -> None:
    backend.set_quirks(Quirks(integer_booleans=True))
    for enabled, number in ((True, 1), (False, 0)):
        backend.set_auto_terminate(agent.agent_id, enabled=enabled)

        value = agent.get().json()["auto_terminate_enabled"]

        assert (type(value), value) == (int, number)


def test_3_zombies_of_other_clients_in_the_region_can_be_listed_and_reported(
    backend: OperatorClient, agent: AgentApi
) -> None:
    stranger = backend.create_client("stranger").client_id
    east, west = backend.create_agent(stranger), backend.create_agent(stranger, "us-west-2")
    backend.add_zombies(east, [ZOMBIE], age_seconds=900)
    backend.add_zombies(west, [REPLICA], age_seconds=900)
    backend.set_quirks(Quirks(foreign_zombies=True))

    assert agent.ids() == [ZOMBIE]
    agent.report_success(ZOMBIE)
    assert backend.instances(east)[0]["instance_status"] == "terminated"


def test_4_confirmed_replicas_can_come_back_after_every_report(
    backend: OperatorClient, agent: AgentApi, clock: Clock
) -> None:
    backend.enable_manual_replica(agent.agent_id, REPLICA)
    backend.disable_manual_replica(agent.agent_id)
    backend.set_quirks(Quirks(confirmed_replicas_return=True))

    seen = []
    for _ in range(3):
        agent.report_success(REPLICA)
        assert agent.ids() == []
        clock.advance(300)
        seen += [entry["seconds_since_marked"] for entry in agent.listed()]

    assert seen == [300, 600, 900]


def test_6_entries_can_be_odd(backend: OperatorClient, agent: AgentApi) -> None:
    backend.add_zombies(agent.agent_id, [ZOMBIE], age_seconds=900)
    backend.set_quirks(Quirks(odd_entries=True))

    real, *others = agent.listed()

    assert real["instance_id"] == ZOMBIE
    assert real["reason"] == "zombie_timeout"
    assert [real[name] for name in ("instance_type", "az", "seconds_waiting")] == [None] * 3
    assert real["launch_template"] == {"version": 3}
    assert [entry["instance_id"] for entry in others] == list(ODD_IDS)


@on_sqlite
def test_7_the_database_can_be_down_for_agents_only(
    backend: OperatorClient, agent: AgentApi
) -> None:
    backend.set_quirks(Quirks(database_down=True))

    down = [agent.get(), agent.report_failure(ZOMBIE), agent.clean_up({})]
    backend.set_quirks(Quirks())

    assert [answer.status_code for answer in down] == [500, 500, 500]
    assert all(set(answer.json()) == {"error"} for answer in down)
    assert agent.get().status_code == 200


def test_8_more_requests_at_once_than_the_pool_holds_can_fail(
    backend: OperatorClient, agent: AgentApi
) -> None:
    backend.set_quirks(Quirks(pool_limit=4, latency_seconds=0.5))

    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda _: agent.get().status_code, range(10)))

    assert sorted(answers) == [200] * 4 + [500] * 6
    assert agent.get().status_code == 200


def test_without_the_quirk_requests_at_once_wait_for_their_turn(agent: AgentApi) -> None:
    with ThreadPoolExecutor(60) as threads:
        answers = list(threads.map(lambda _: agent.get().status_code, range(120)))

    assert set(answers) == {200}


@on_sqlite
def test_no_quirk_is_on_at_first_and_all_can_be_read_back(backend: OperatorClient) -> None:
    assert backend.quirks() == Quirks()
    wanted = Quirks(odd_entries=True, pool_limit=3, latency_seconds=0.25)

    backend.set_quirks(wanted)

    assert backend.quirks() == wanted


@on_sqlite
def test_a_misspelt_quirk_is_an_error(backend: OperatorClient) -> None:
    answer = requests.put(f"{backend.base_url}/operator/quirks", json={"odd": True}, timeout=10)

    assert answer.status_code == 422
    assert "odd: " in answer.json()["error"]
    with pytest.raises(ValueError, match="no quirk is called 'odd'"):
        Quirks.parse(["odd"])


def test_all_quirks_are_one_word_and_leave_the_backend_up() -> None:
    switches = {name for name, value in asdict(ALL_QUIRKS).items() if value is True}

    assert Quirks.parse(["all-quirks"]) == ALL_QUIRKS
    assert {name for name, value in asdict(Quirks()).items() if value is False} - switches == {
        "database_down"
    }
    assert Quirks.parse(["all_quirks", "pool_limit=3"]) == replace(ALL_QUIRKS, pool_limit=3)


def test_quirks_are_read_from_words() -> None:
    words = ["odd-entries", "database_down", "pool_limit=3", "latency_seconds=0.5"]

    assert Quirks.parse(words) == Quirks(
        odd_entries=True, database_down=True, pool_limit=3, latency_seconds=0.5
    )
    for wrong in ("odd_entries=1", "pool_limit"):
        with pytest.raises(ValueError, match="is written"):
            Quirks.parse([wrong])


def test_quirks_and_the_pause_can_be_set_at_the_start(clock: Clock) -> None:
    settings = Settings(quirks=Quirks(integer_booleans=True), retry_pause_seconds=2, now=clock)
    with run_backend(settings=settings) as url, OperatorClient(url) as operator:
        client = operator.create_client()
        agent = AgentApi(url, operator.create_agent(client.client_id), client.token)
        operator.add_zombies(agent.agent_id, [ZOMBIE], age_seconds=900)
        agent.report_failure(ZOMBIE)
        clock.advance(1)
        hidden = agent.ids()
        clock.advance(1)

        assert hidden == []
        assert agent.ids() == [ZOMBIE]
        assert agent.get().json()["auto_terminate_enabled"] == 1
