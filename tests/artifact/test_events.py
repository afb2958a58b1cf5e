"""The built function, under AWS's runtime, with every file of events/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.artifact.conftest import AGENTS, House
from tests.support.lambda_runtime import LambdaRuntime

EVENTS = Path(__file__).resolve().parents[2] / "events"
# doctor.json starts no run, dry-run.json changes nothing, and housekeeping.json is the other function's.
FILES = sorted(
    path.name
    for path in EVENTS.glob("*.json")
    if path.name not in {"doctor.json", "dry-run.json", "housekeeping.json"}
)

pytestmark = pytest.mark.artifact


def read(name: str) -> Any:
    return json.loads((EVENTS / name).read_text())


def test_each_event_terminates_what_the_backend_lists_in_one_warm_environment(house: House) -> None:
    spared = house.replica(AGENTS[1])
    with house.function() as function:
        for name in FILES:
            act_and_check(house, function, name)
            assert function.invoke({}).payload["listed"] == 0
        assert function.cold_starts == 1
        assert function.init_ms is not None
    assert house.states([spared]) == {"running"}


def test_the_schedule_s_event_does_so_on_either_database(house_on_each_database: House) -> None:
    with house_on_each_database.function() as function:
        act_and_check(house_on_each_database, function, "schedule.json")


def act_and_check(house: House, function: LambdaRuntime, name: str) -> None:
    before = house.reported()
    event = read(name)
    assert event.get("agent_id", AGENTS[0]) == AGENTS[0]
    meant = [*house.zombies(), house.replica(AGENTS[0])]
    result = function.invoke(event)
    assert result.ok, result.error_message
    assert (result.payload["listed"], result.payload["terminated"]) == (3, 3)
    assert house.states(meant) == {"terminated"}
    assert house.reported() == sorted([*before, *meant])


def test_every_line_is_json_and_none_tells_the_token(house: House) -> None:
    ids = house.zombies()
    with house.function({"POWERTOOLS_LOG_LEVEL": "DEBUG"}) as function:
        result = function.invoke({})
        logs = function.logs
    assert house.stack.client.token not in logs
    own = [line for line in result.logs.splitlines() if line.startswith("{")]
    assert len(own) == len(result.log_records)
    outcomes = [r for r in result.log_records if r.get("outcome") == "terminated"]
    assert sorted(r["instance_id"] for r in outcomes) == sorted(ids)
    metrics = [r for r in result.log_records if "_aws" in r and "InstancesTerminated" in r]
    assert [m["InstancesTerminated"] for m in metrics] == [[2.0]]
    assert metrics[0]["service"] == "spot-cleanup"
    assert "agent_id" not in metrics[0], "a dimension would be billed for each agent"


def test_a_bad_environment_is_one_error_that_names_every_bad_variable(house: House) -> None:
    house.zombies()
    bad = {
        "SERVER_URL": "http://backend.example.com",
        "CLIENT_TOKEN_PARAMETER": "",
        "IDEMPOTENCY_TABLE": "",
        "DRY_RUN": "perhaps",
        "MAX_FLEET_PERCENT": "101",
        "REQUIRED_TAGS": "ManagedBy",
        "MISSING_INSTANCE_POLICY": "guess",
    }
    with house.function(bad) as function:
        result = function.invoke({})
    assert result.error_type == "SettingsError"
    assert result.error_message is not None
    assert [name for name in bad if name not in result.error_message] == []
    assert "AGENT_ID" not in result.error_message
    assert house.reported() == []


def test_the_doctor_and_a_dry_run_change_nothing(house: House) -> None:
    ids = house.zombies()
    with house.function() as function:
        examined = function.invoke(read("doctor.json"))
        assert examined.ok, examined.error_message
        assert examined.payload["healthy"] is True, examined.payload["text"]
        planned = function.invoke(read("dry-run.json")).payload
        assert (planned["planned"], planned["terminated"]) == (2, 0)
    assert house.states(ids) == {"running"}
    assert house.reported() == []
