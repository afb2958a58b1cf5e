"""Housekeeping of a function of several agents: one account's images, an outbox for each agent."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handler.housekeeping import lambda_handler
from handler.images import outbox
from local.invoke import invoke
from tests.integration.house import TIMEOUT, House
from tests.integration.world import TABLE
from tools.ec2_emulator import faults


@pytest.fixture
def other(house: House) -> str:
    """A second agent of the same client."""
    return house.world.operator.create_agent(house.world.client.client_id)


def told_deleted(house: House, agent_id: str) -> list[str]:
    logs = house.world.operator.cleanup_logs(agent_id)
    return [one for log in logs for one in log["details"]["snapshots"]["deleted"]]


def test_what_waits_for_another_agent_is_sent_as_that_agents(house: House, other: str) -> None:
    snapshot = house.snapshot()
    house.lose("cleanup-report")
    house.run()
    assert house.returned(AGENT_ID=f"{other},{house.world.agent_id}")["reports_waiting"] == 1
    house.lose()
    returned = house.returned(AGENT_ID=f"{other},{house.world.agent_id}")
    assert (returned["reports_waiting"], returned["reported"]) == (0, True)
    assert told_deleted(house, house.world.agent_id) == [snapshot]
    assert told_deleted(house, other) == []
    assert house.world.aws.tables[TABLE].items == {}


def test_a_dead_run_of_another_agent_is_accounted_for(
    house: House, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = house.snapshot()
    with monkeypatch.context() as patch:
        patch.setattr(outbox.Outbox, "keep_and_deliver", _die)
        patch.setattr(outbox, "SLACK", timedelta(days=-1))
        with pytest.raises(KeyboardInterrupt):
            house.run()
    house.run(AGENT_ID=f"{other},{house.world.agent_id}")
    assert told_deleted(house, house.world.agent_id) == [snapshot]


@pytest.mark.parametrize("whose", ["another's", "its own"])
def test_a_run_that_begins_while_a_report_is_under_way_does_not_send_it_too(
    house: House, other: str, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    snapshot, first = house.snapshot(), house.world.agent_id
    agents = f"{other},{first}" if whose == "another's" else f"{first},{other}"
    real = outbox.Outbox._sent

    def sent(*arguments: Any, **more: Any) -> bool:
        monkeypatch.setattr(outbox.Outbox, "_sent", real)
        house.run(AGENT_ID=agents)
        return real(*arguments, **more)

    monkeypatch.setattr(outbox.Outbox, "_sent", sent)
    house.run(AGENT_ID=f"{first},{other}")
    assert told_deleted(house, first) == [snapshot]
    house.run(AGENT_ID=agents)
    assert told_deleted(house, first) == [snapshot]
    assert house.world.aws.tables[TABLE].items == {}


def _die(*_: object, **_more: object) -> bool:
    raise KeyboardInterrupt


def _at_work(agent_id: str) -> dict[str, Any]:
    """The item of an agent whose run is at work."""
    at = "2025-11-25T12:30:00"
    intended: dict[str, Any] = {"at": at, "images_cutoff": at, "snapshots_cutoff": at}
    intended |= {"images": [], "image_snapshots": [], "snapshots": ["snap-00000001"]}
    until = (datetime.now(UTC) + timedelta(minutes=5)).timestamp()
    body = {"waiting": [], "busy_until": until, "refusals": {}, "intention": intended}
    return {
        "id": {"S": f"cleanup-reports#{agent_id}"},
        "revision": {"N": "1"},
        "outbox": {"S": json.dumps(body)},
    }


@pytest.mark.parametrize("begins", ["before", "at the same time"])
def test_while_a_run_of_another_agent_is_at_work_nothing_is_deleted(
    house: House, other: str, begins: str
) -> None:
    house.snapshot()
    items = house.world.aws.tables[TABLE].items
    theirs = _at_work(house.world.agent_id)

    def begin() -> None:
        items[theirs["id"]["S"],] = theirs

    if begins == "before":
        begin()
    else:
        house.world.aws.faults.add("PutItem", faults.meanwhile(begin))
    variables = house.world.environment(AGENT_ID=f"{house.world.agent_id},{other}")
    done = invoke(lambda_handler, variables, {"agent_id": other}, timeout=TIMEOUT)
    assert done.returned["kept"]["deferred"] == 1
    assert house.attempted() == set()
    assert list(items.values()) == [theirs]


def test_another_agents_item_that_cannot_be_had_deletes_nothing(house: House, other: str) -> None:
    house.snapshot()
    house.world.aws.faults.add("GetItem", faults.error("AccessDeniedException"), nth=2, times=None)
    returned = house.returned(AGENT_ID=f"{house.world.agent_id},{other}")
    assert returned["kept"]["deferred"] == 1
    assert house.attempted() == set()
