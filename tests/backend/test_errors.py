"""How trouble is answered (contract section 1, quirk 7): a status, and JSON with ``error``."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import requests

from backend.client import OperatorClient
from backend.context import Settings
from backend.server import run_backend
from tests.support.backend import AgentApi, on_sqlite, table_missing
from tests.support.mariadb import MariaDbServer

Call = Callable[[AgentApi], requests.Response]
REPORT = {"instance_id": "i-0000000000000000a", "success": True}
CALLS: list[Call] = [
    AgentApi.get,
    lambda agent: agent.report(REPORT),
    lambda agent: agent.clean_up({"timestamp": "2025-11-25T12:30:00"}),
]
each_call = pytest.mark.parametrize("call", CALLS, ids=["list", "report", "cleanup"])


@each_call
def test_a_call_without_a_valid_token_is_401(agent: AgentApi, call: Call) -> None:
    for token in (None, "", "wrong", "ünïcode".encode().decode("latin-1")):
        answer = call(replace(agent, token=token))

        assert answer.status_code == 401
        assert answer.json() == {"error": "Invalid client token"}


@on_sqlite
def test_another_scheme_than_bearer_is_401(agent: AgentApi) -> None:
    url = f"{agent.base_url}/api/agents/{agent.agent_id}/instances-to-terminate"

    answer = requests.get(url, headers={"Authorization": f"Basic {agent.token}"}, timeout=10)

    assert (answer.status_code, answer.json()) == (401, {"error": "Invalid client token"})


def test_a_rotated_token_is_valid_at_once_and_the_old_one_no_more(
    backend: OperatorClient,
) -> None:
    client = backend.create_client()
    old = AgentApi(backend.base_url, backend.create_agent(client.client_id), client.token)

    new = replace(old, token=backend.rotate_token(client.client_id))

    assert old.get().status_code == 401
    assert new.get().status_code == 200


@each_call
def test_an_inactive_client_is_403_until_it_is_active_again(
    backend: OperatorClient, call: Call
) -> None:
    client = backend.create_client()
    agent = AgentApi(backend.base_url, backend.create_agent(client.client_id), client.token)

    backend.deactivate_client(client.client_id)
    inactive = call(agent)
    backend.activate_client(client.client_id)

    assert inactive.status_code == 403
    assert set(inactive.json()) == {"error"}
    assert call(agent).status_code == 200


@each_call
def test_an_agent_that_is_not_the_clients_is_404(
    backend: OperatorClient, agent: AgentApi, call: Call
) -> None:
    another_clients = backend.create_agent(backend.create_client().client_id)
    for agent_id in ("nobody's", another_clients):
        answer = call(replace(agent, agent_id=agent_id))

        assert (answer.status_code, answer.json()) == (404, {"error": "Agent not found"})


def test_ids_that_differ_in_case_are_different(backend: OperatorClient) -> None:
    client = backend.create_client()
    backend.create_agent(client.client_id, agent_id="agent-a")

    assert AgentApi(backend.base_url, "AGENT-A", client.token).get().status_code == 404
    assert AgentApi(backend.base_url, "agent-a", client.token).get().status_code == 200


BAD: tuple[tuple[dict[str, object], str], ...] = (
    ({"instance_id": None}, "instance_id"),
    ({"instance_id": "i-" + "0" * 63}, "instance_id"),
    ({"success": "yes"}, "success"),
    ({"success": 1}, "success"),
    ({"terminated_at": "yesterday"}, "terminated_at"),
    ({"terminated_at": 1764073800}, "terminated_at"),
    ({"terminated_at": "0001-01-01T00:00:00+02:00"}, "terminated_at"),
    ({"error": ["no", "text"]}, "error"),
)


@on_sqlite
def test_a_bad_report_is_422_and_names_the_field(backend: OperatorClient, agent: AgentApi) -> None:
    for change, field in BAD:
        answer = agent.report(REPORT | change)

        assert answer.status_code == 422
        assert answer.json()["error"].startswith(f"{field}: ")
    for body in (b"", b"{", b"[]", b"\xff", b"null"):
        answer = agent.raw("termination-report", body)

        assert answer.status_code == 422
        assert set(answer.json()) == {"error"}
    assert backend.events(agent.agent_id) == []


@on_sqlite
def test_a_bad_cleanup_report_is_422_and_names_each_field(
    backend: OperatorClient, agent: AgentApi
) -> None:
    answer = agent.clean_up({"snapshots": {"deleted": "snap-1"}, "amis": {"failed": ["ami-1"]}})

    assert answer.status_code == 422
    for field in ("timestamp", "snapshots.deleted", "amis.failed.0"):
        assert f"{field}: " in answer.json()["error"]
    assert backend.cleanup_logs(agent.agent_id) == []


@on_sqlite
def test_a_stranger_is_told_401_whatever_the_body(agent: AgentApi) -> None:
    assert replace(agent, token="x").raw("termination-report", b"{").status_code == 401


@on_sqlite
def test_a_report_without_a_json_content_type_is_read_all_the_same(agent: AgentApi) -> None:
    body = b'{"instance_id": "i-0000000000000000a", "success": false, "another": 1}'

    assert agent.raw("termination-report", body).status_code == 200


@on_sqlite
def test_an_unknown_path_or_method_is_an_error_in_json_too(agent: AgentApi) -> None:
    nowhere = requests.get(f"{agent.base_url}/nowhere", timeout=10)
    wrong = agent.raw("instances-to-terminate", b"")

    assert (nowhere.status_code, set(nowhere.json())) == (404, {"error"})
    assert (wrong.status_code, set(wrong.json())) == (405, {"error"})


def test_database_trouble_is_500(agent: AgentApi, database_url: str) -> None:
    with table_missing(database_url, "agents"):
        answer = agent.get()

    assert answer.status_code == 500
    assert set(answer.json()) == {"error"}


@pytest.mark.mariadb
def test_connections_that_the_database_dropped_are_replaced(
    mariadb_server: MariaDbServer, mariadb_url: str
) -> None:
    with run_backend(mariadb_url) as url, OperatorClient(url) as operator:
        before = operator.health()
        listing = (
            "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND info IS NULL"
        )
        for connection in mariadb_server.run_client(mariadb_url, listing).split()[1:]:
            mariadb_server.run_client(mariadb_url, f"KILL {connection}")

        assert operator.health() == before == {"status": "ok", "database": "mysql"}


def test_the_operators_side_asks_for_its_token_if_one_is_set() -> None:
    with run_backend(settings=Settings(operator_token="secret")) as url:
        answers = [
            requests.get(f"{url}/operator/agents", headers=headers, timeout=10)
            for headers in ({}, {"Authorization": "Bearer wrong"})
        ]
        with OperatorClient(url, operator_token="secret") as operator:
            client = operator.create_client()
            agent = AgentApi(url, operator.create_agent(client.client_id), client.token)

        assert [answer.status_code for answer in answers] == [401, 401]
        assert agent.get().status_code == 200


def test_the_operator_is_told_what_exists_already_and_what_does_not(
    backend: OperatorClient, agent: AgentApi
) -> None:
    backend.register_primary(agent.agent_id, "i-0000000000000000a")
    backend.enable_manual_replica(agent.agent_id, "i-0000000000000000b")

    with pytest.raises(requests.HTTPError, match="409"):
        backend.register_primary(agent.agent_id, "i-0000000000000000a")
    with pytest.raises(requests.HTTPError, match="409"):
        backend.enable_manual_replica(agent.agent_id, "i-0000000000000000b")
    with pytest.raises(requests.HTTPError, match="409"):
        backend.add_zombies(agent.agent_id, ["i-0000000000000000a"])
    for missing in (
        lambda: backend.agent("none"),
        lambda: backend.create_agent("none"),
        lambda: backend.rotate_token("none"),
        lambda: backend.deactivate_client("none"),
        lambda: backend.set_terminate_wait("none", 1),
        lambda: backend.replica_ready(agent.agent_id, "none"),
    ):
        with pytest.raises(requests.HTTPError, match="404"):
            missing()
