"""What a report does (contract section 1)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from backend.client import OperatorClient
from tests.support.backend import AgentApi, Clock, table_missing

ZOMBIE, REPLICA = "i-0000000000000000a", "i-0000000000000000b"
CLEANUP = {
    "timestamp": "2025-11-25T12:30:00",
    "snapshots": {
        "type": "snapshots",
        "deleted": ["snap-1", "snap-4"],
        "failed": [{"id": "snap-2", "error": "InvalidSnapshot.InUse: in use by ami-9"}],
        "cutoff_date": "2025-11-18T12:30:00",
    },
    "amis": {
        "type": "amis",
        "deleted_amis": ["ami-1"],
        "deleted_snapshots": ["snap-3"],
        "failed": [],
        "cutoff_date": "2025-10-26T12:30:00",
    },
}


@pytest.fixture
def zombie(backend: OperatorClient, agent: AgentApi) -> str:
    """A zombie that waited long enough."""
    backend.add_zombies(agent.agent_id, [ZOMBIE], age_seconds=900)
    return ZOMBIE


@pytest.fixture
def replica(backend: OperatorClient, agent: AgentApi) -> str:
    """A replica that is to be terminated."""
    backend.enable_manual_replica(agent.agent_id, REPLICA)
    backend.disable_manual_replica(agent.agent_id)
    return REPLICA


def test_a_success_confirms_a_zombie_for_good(
    backend: OperatorClient, agent: AgentApi, zombie: str, clock: Clock
) -> None:
    answer = agent.report_success(zombie, "2025-11-25T12:30:00")

    assert answer.status_code == 200
    assert answer.json() == {"success": True, "message": "Termination report recorded"}
    [row] = backend.instances(agent.agent_id)
    assert row["instance_status"] == "terminated"
    assert row["is_active"] is False
    assert row["termination_confirmed"] is True
    assert row["termination_attempted_at"] == row["updated_at"] == clock.wire()
    assert row["terminated_at"] == "2025-11-25T12:30:00"
    [event] = backend.events(agent.agent_id)
    assert (event["event_type"], event["instance_id"]) == ("instance_terminated", zombie)
    assert event["created_at"] == clock.wire()
    clock.advance(1_000_000)
    assert agent.ids() == []


def test_a_success_confirms_a_replica_for_good(
    backend: OperatorClient, agent: AgentApi, replica: str, clock: Clock
) -> None:
    agent.report_success(replica, "2025-11-25T12:30:00")

    [row] = backend.replicas(agent.agent_id)
    assert row["status"] == row["instance_status"] == "terminated"
    assert row["termination_confirmed"] is True
    assert row["termination_attempted_at"] == clock.wire()
    assert row["terminated_at"] == "2025-11-25T12:30:00"
    clock.advance(1_000_000)
    assert agent.ids() == []


def test_a_failure_hides_the_instance_for_five_minutes_and_no_longer(
    backend: OperatorClient, agent: AgentApi, zombie: str, replica: str, clock: Clock
) -> None:
    answers = [agent.report_failure(each).status_code for each in (zombie, replica)]

    assert answers == [200, 200]
    [row] = backend.instances(agent.agent_id)
    assert (row["instance_status"], row["termination_confirmed"]) == ("zombie", False)
    assert (row["terminated_at"], row["termination_attempted_at"]) == (None, clock.wire())
    assert agent.ids() == []
    clock.advance(299)
    assert agent.ids() == []
    clock.advance(1)
    assert agent.ids() == [zombie, replica]
    assert agent.listed()[0]["seconds_waiting"] == 1200, "its mark stays"


def test_a_failure_is_written_to_the_system_events_with_its_reason(
    backend: OperatorClient, agent: AgentApi, zombie: str
) -> None:
    reason = "UnauthorizedOperation: Sie dürfen das nicht 🚫 " + "x" * 70_000

    assert agent.report_failure(zombie, reason).status_code == 200

    [event] = backend.events(agent.agent_id)
    assert event["event_type"] == "instance_termination_failed"
    assert "UnauthorizedOperation: Sie dürfen das nicht 🚫" in event["message"]
    assert event["details"]["error"] == reason


def test_a_promoted_replica_is_reported_in_both_tables(
    backend: OperatorClient, agent: AgentApi
) -> None:
    for instance_id in (REPLICA, ZOMBIE):
        backend.enable_manual_replica(agent.agent_id, instance_id)
        backend.replica_ready(agent.agent_id, instance_id)
        backend.promote_replica(agent.agent_id, instance_id)

    agent.report_success(REPLICA)

    instances = {row["id"]: row["instance_status"] for row in backend.instances(agent.agent_id)}
    replicas = {row["instance_id"]: row["status"] for row in backend.replicas(agent.agent_id)}
    assert instances == {REPLICA: "terminated", ZOMBIE: "primary"}
    assert replicas == {REPLICA: "terminated", ZOMBIE: "promoted"}


def test_a_primary_that_is_reported_gone_is_active_no_more(
    backend: OperatorClient, agent: AgentApi
) -> None:
    backend.register_primary(agent.agent_id, ZOMBIE)

    agent.report_success(ZOMBIE)

    [row] = backend.instances(agent.agent_id)
    assert (row["instance_status"], row["is_active"]) == ("terminated", False)


def test_an_unknown_instance_is_accepted_and_noted(
    backend: OperatorClient, agent: AgentApi
) -> None:
    answer = agent.report_success("i-00000000000000dead")

    assert answer.status_code == 200
    assert answer.json()["success"] is True
    assert "i-00000000000000dead is not known" in answer.json()["message"]
    [event] = backend.events(agent.agent_id)
    assert (event["event_type"], event["details"]["known"]) == ("instance_terminated", False)


@pytest.mark.parametrize("same_client", [True, False])
def test_a_report_does_not_touch_another_agents_rows(
    backend: OperatorClient, agent: AgentApi, same_client: bool
) -> None:
    owner = str(backend.agent(agent.agent_id)["client_id"])
    client_id = owner if same_client else backend.create_client("stranger").client_id
    stranger = backend.create_agent(client_id)
    backend.add_zombies(stranger, [ZOMBIE], age_seconds=900)
    backend.enable_manual_replica(stranger, REPLICA)
    before = backend.instances(stranger) + backend.replicas(stranger)

    answers = [agent.report_success(each).json()["message"] for each in (ZOMBIE, REPLICA)]

    assert all("not known" in message for message in answers)
    assert backend.instances(stranger) + backend.replicas(stranger) == before


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2025-11-25T12:30:00", "2025-11-25T12:30:00"),
        ("2025-11-25T12:30:00.123456", "2025-11-25T12:30:00.123456"),
        ("2025-11-25T12:30:00Z", "2025-11-25T12:30:00"),
        ("2025-11-25T12:30:00+00:00", "2025-11-25T12:30:00"),
        ("2025-11-25T14:30:00+02:00", "2025-11-25T12:30:00"),
    ],
)
def test_every_way_to_write_a_time_is_kept_as_naive_utc(
    backend: OperatorClient, agent: AgentApi, zombie: str, sent: str, kept: str
) -> None:
    assert agent.report_success(zombie, sent).status_code == 200

    assert backend.instances(agent.agent_id)[0]["terminated_at"] == kept


def test_a_success_without_a_time_ended_now_and_a_repetition_does_not_change_that(
    backend: OperatorClient, agent: AgentApi, zombie: str, replica: str, clock: Clock
) -> None:
    ended = clock.wire()
    for each in (zombie, replica):
        agent.report_success(each)
    clock.advance(60)
    for each in (zombie, replica):
        agent.report_success(each)

    rows = backend.instances(agent.agent_id) + backend.replicas(agent.agent_id)
    assert [row["terminated_at"] for row in rows] == [ended, ended]


def test_a_failure_after_a_success_does_not_bring_the_instance_back(
    backend: OperatorClient, agent: AgentApi, zombie: str, replica: str, clock: Clock
) -> None:
    for each in (zombie, replica):
        agent.report_success(each)
        agent.report_failure(each)
    clock.advance(3600)

    assert agent.ids() == []


def test_a_report_is_recorded_whole_or_not_at_all(
    backend: OperatorClient, agent: AgentApi, zombie: str, database_url: str
) -> None:
    with table_missing(database_url, "system_events"):
        answer = agent.report_success(zombie)

    assert answer.status_code == 500
    assert set(answer.json()) == {"error"}
    assert backend.instances(agent.agent_id)[0]["termination_confirmed"] is False
    assert agent.ids() == [zombie]


def test_many_reports_at_once_are_all_recorded(backend: OperatorClient, agent: AgentApi) -> None:
    ids = [f"i-{number:017x}" for number in range(40)]
    backend.add_zombies(agent.agent_id, ids, age_seconds=900)

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(agent.report_success, [*ids, *ids[:20]]))

    assert {answer.status_code for answer in answers} == {200}
    assert all(row["termination_confirmed"] for row in backend.instances(agent.agent_id))
    assert len(backend.events(agent.agent_id)) == 60


def test_a_cleanup_report_is_kept_with_counts_details_and_cut_offs(
    backend: OperatorClient, agent: AgentApi, clock: Clock
) -> None:
    answer = agent.clean_up(CLEANUP)

    assert answer.status_code == 200
    assert answer.json()["success"] is True
    assert answer.json()["message"] == "Cleanup report recorded"
    [log] = backend.cleanup_logs(agent.agent_id)
    assert log.pop("id") > 0
    assert log.pop("client_id")
    assert log == {
        "agent_id": agent.agent_id,
        "reported_at": "2025-11-25T12:30:00",
        "snapshots_deleted": 2,
        "snapshots_failed": 1,
        "snapshots_cutoff_date": "2025-11-18T12:30:00",
        "amis_deleted": 1,
        "ami_snapshots_deleted": 1,
        "amis_failed": 0,
        "amis_cutoff_date": "2025-10-26T12:30:00",
        "details": CLEANUP,
        "created_at": clock.wire(),
    }
    assert backend.agent(agent.agent_id)["last_cleanup_at"] == "2025-11-25T12:30:00"
    assert [event["event_type"] for event in backend.events(agent.agent_id)] == [
        "cleanup_completed"
    ]


def test_a_cleanup_report_with_zones_is_kept_as_naive_utc(
    backend: OperatorClient, agent: AgentApi
) -> None:
    body = {"timestamp": "2025-11-25T13:30:00+01:00", "snapshots": {"cutoff_date": None}}

    assert agent.clean_up(body).status_code == 200

    [log] = backend.cleanup_logs(agent.agent_id)
    assert log["reported_at"] == "2025-11-25T12:30:00"
    assert log["snapshots_cutoff_date"] is None


def test_the_newest_rows_are_read_out_first(
    backend: OperatorClient, agent: AgentApi, clock: Clock
) -> None:
    for instance_id in (ZOMBIE, REPLICA):
        backend.register_primary(agent.agent_id, instance_id)
        agent.report_failure(instance_id)
        agent.clean_up({"timestamp": clock.wire()})
        clock.advance(1)

    assert [row["id"] for row in backend.instances(agent.agent_id)] == [REPLICA, ZOMBIE]
    failures = [
        event["instance_id"]
        for event in backend.events(agent.agent_id)
        if event["event_type"] == "instance_termination_failed"
    ]
    assert failures == [REPLICA, ZOMBIE]
    times = [log["reported_at"] for log in backend.cleanup_logs(agent.agent_id)]
    assert times == sorted(times, reverse=True)
    assert datetime.fromisoformat(times[0]).replace(tzinfo=UTC) <= clock()
