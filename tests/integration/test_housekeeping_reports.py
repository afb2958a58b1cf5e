"""The totals in the database are right, whatever gets lost on the way to them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from backend.client import OperatorClient
from backend.quirks import Quirks
from backend.server import run_backend
from handler.images import outbox
from tests.integration.conftest import TappedBackend, new_world
from tests.integration.house import House
from tests.integration.wiretap import Wiretap
from tests.integration.world import TABLE
from tests.support.backend import DATABASES
from tools.ec2_emulator import Emulator, ManualClock, faults

_CUTOFFS = {f"{kind}_cutoff": "2025-11-25T12:30:00" for kind in ("images", "snapshots")}
_INTENDED = {
    "at": "2025-11-25T12:30:00",
    **_CUTOFFS,
    "images": [],
    "image_snapshots": [],
    "snapshots": [],
}
_EMPTY: dict[str, Any] = {"waiting": [], "busy_until": None, "refusals": {}, "intention": None}
ODD_CONTENTS = [
    json.dumps({**_EMPTY, **odd})
    for odd in (
        {"intention": {**_INTENDED, "snapshots": [None, "snap-1"]}},
        {"intention": {**_INTENDED, "images": "ami"}},
        {"intention": {**_INTENDED, "snapshots": ["\ud800"]}, "busy_until": 1},
        {"refusals": {"snap-1": ["x", 1]}},
        {"busy_until": 1e300},
    )
]


@pytest.fixture(params=DATABASES)
def house_on_each_database(
    request: pytest.FixtureRequest, aws: Emulator, ec2_clock: ManualClock
) -> Iterator[House]:
    url = "sqlite:///:memory:"
    if request.param == "mariadb":
        url = str(request.getfixturevalue("mariadb_url"))
    with run_backend(url) as backend_url, OperatorClient(backend_url) as operator:
        backend = TappedBackend(backend_url, operator, Wiretap())
        yield House(new_world(aws, ec2_clock, backend))


def test_the_report_is_recorded_with_its_event_and_the_agents_time(
    house_on_each_database: House,
) -> None:
    house = house_on_each_database
    image, snapshot = house.image(), house.snapshot()
    own = house.library.images[image].snapshots
    refused = house.snapshot()
    house.world.aws.policy.denied_ids.add(refused)
    assert house.returned()["reported"] is True
    operator, agent_id = house.world.operator, house.world.agent_id
    (log,) = operator.cleanup_logs(agent_id)
    assert (log["snapshots_deleted"], log["snapshots_failed"]) == (1, 1)
    assert (log["amis_deleted"], log["ami_snapshots_deleted"], log["amis_failed"]) == (1, 1, 0)
    details = log["details"]
    assert details["snapshots"]["deleted"] == [snapshot]
    assert details["amis"]["deleted_amis"] == [image]
    assert details["amis"]["deleted_snapshots"] == list(own)
    at = datetime.fromisoformat(details["timestamp"])
    cutoffs = [datetime.fromisoformat(details[k]["cutoff_date"]) for k in ("snapshots", "amis")]
    assert [at - one for one in cutoffs] == [timedelta(days=7), timedelta(days=30)]
    (event,) = operator.events(agent_id)
    assert (event["event_type"], event["severity"]) == ("cleanup_completed", "warning")
    last = operator.agent(agent_id)["last_cleanup_at"]
    assert datetime.fromisoformat(str(last)).replace(tzinfo=None) == at


def test_times_go_without_a_zone_since_backends_choke_on_one(house: House) -> None:
    house.world.operator.set_quirks(Quirks(naive_timestamps_only=True))
    house.snapshot()
    assert house.returned()["reported"] is True


def test_a_lost_report_is_sent_with_the_next_runs(house: House) -> None:
    first = house.snapshot()
    house.lose("cleanup-report")
    done = house.run()
    assert done.returned["reported"] is False
    assert done.returned["reports_waiting"] == 1
    assert done.metrics["CleanupReportsWaiting"] == [1]
    house.lose()
    second = house.snapshot()
    assert house.returned()["reports_waiting"] == 0
    assert [one["snapshots"]["deleted"] for one in house.reports()] == [[first], [second]]
    assert house.world.aws.tables[TABLE].items == {}


def test_a_run_that_dies_after_deleting_is_accounted_for_by_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, snapshot = house.image(), house.snapshot()
    own = house.library.images[image].snapshots
    left = house.snapshot()
    house.world.aws.policy.denied_ids.add(left)
    _run_and_die(house, monkeypatch, long_ago=True)
    assert snapshot in house.library.deleted
    assert house.reports() == []
    house.run()
    died, alive = house.reports()
    assert died["amis"]["deleted_amis"] == [image]
    assert died["amis"]["deleted_snapshots"] == list(own)
    assert died["snapshots"]["deleted"] == [snapshot]
    assert alive["snapshots"]["deleted"] == []


def _run_and_die(house: House, monkeypatch: pytest.MonkeyPatch, *, long_ago: bool) -> None:
    """A run that is killed after its deletions; its time to be at work is over, or is not."""
    with monkeypatch.context() as patch:
        patch.setattr(outbox.Outbox, "keep_and_deliver", _die)
        if long_ago:
            patch.setattr(outbox, "SLACK", timedelta(days=-1))
        with pytest.raises(KeyboardInterrupt):
            house.run()


def _die(*_: object, **_more: object) -> bool:
    raise KeyboardInterrupt


def test_a_run_that_dies_between_two_reports_leaves_the_acknowledged_one_to_nobody(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.lose("cleanup-report")
    snapshots = []
    for _ in range(2):
        snapshots.append(house.snapshot())
        house.run()
    house.lose()
    turns = iter([outbox.Outbox._sent, _die])

    def sent(*arguments: Any, **more: Any) -> bool:
        return next(turns)(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(outbox.Outbox, "_sent", sent)
        with pytest.raises(KeyboardInterrupt):
            house.run()
    house.run()
    told = [one["snapshots"]["deleted"] for one in house.reports()]
    assert told == [[one] for one in snapshots] + [[]]


def test_while_a_run_is_at_work_another_deletes_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.snapshot()
    _run_and_die(house, monkeypatch, long_ago=False)
    other = house.snapshot()
    returned = house.returned()
    assert (returned["kept"]["deferred"], returned["reported"]) == (1, False)
    assert other in house.library.snapshots
    assert house.world.aws.tables[TABLE].items  # the first one's intention is untouched


def test_an_intention_that_cannot_be_settled_stops_deleting_and_is_kept(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = house.snapshot()
    _run_and_die(house, monkeypatch, long_ago=True)
    other = house.snapshot()
    refusal = house.world.aws.faults.add(
        "DescribeSnapshots", faults.error("UnauthorizedOperation"), times=1
    )
    assert house.returned()["kept"]["deferred"] == 1
    assert refusal.fired == 1
    house.run()
    deleted = [one["snapshots"]["deleted"] for one in house.reports()]
    assert [ids for ids in deleted if ids] == [[first], [other]]


def test_without_the_table_nothing_is_deleted(house: House) -> None:
    snapshot = house.snapshot()
    house.world.aws.faults.add("dynamodb:*", faults.error("AccessDeniedException"), times=None)
    returned = house.returned()
    assert snapshot in house.library.snapshots
    assert returned["kept"]["deferred"] == 1


def test_an_intention_that_cannot_be_written_deletes_nothing(house: House) -> None:
    snapshot = house.snapshot()
    house.world.aws.faults.add("PutItem", faults.error("AccessDeniedException"), times=None)
    assert house.returned()["kept"]["deferred"] == 1
    assert snapshot in house.library.snapshots


def test_a_run_that_begins_while_another_writes_its_intention_deletes_nothing(house: House) -> None:
    snapshot = house.snapshot()
    item = {"id": {"S": f"cleanup-reports#{house.world.agent_id}"}, "revision": {"N": "7"}}
    items = house.world.aws.tables[TABLE].items
    house.world.aws.faults.add(
        "PutItem", faults.meanwhile(lambda: items.update({(item["id"]["S"],): item}))
    )
    done = house.run()
    assert done.returned["kept"]["deferred"] == 1
    assert snapshot in house.library.snapshots
    told = [one for line in done.lines for one in line.get("resources", [])]
    assert told == [f"{snapshot}: another run is at work"], "and not that the table is down"


def test_a_report_that_the_table_does_not_take_is_logged_in_full_and_sent(house: House) -> None:
    snapshot = house.snapshot()
    fault = faults.error("AccessDeniedException")
    house.world.aws.faults.add("PutItem", fault, nth=2, times=None)
    house.world.aws.faults.add("DeleteItem", fault, times=None)
    done = house.run()
    (line,) = [one for one in done.lines if "report" in one]
    assert json.loads(line["report"])["snapshots"]["deleted"] == [snapshot]
    assert "AccessDeniedException" in line["why"]
    assert [one["snapshots"]["deleted"] for one in house.reports()] == [[snapshot]]


def test_an_item_that_cannot_be_read_is_told_and_replaced(house: House) -> None:
    key = f"cleanup-reports#{house.world.agent_id}"
    for lost in ("", "no JSON", "[]", '{"waiting": 1}', "[" * 90_000, *ODD_CONTENTS):
        snapshot = house.snapshot()
        item = {"id": {"S": key}, "revision": {"N": "3"}, "outbox": {"S": lost}}
        house.world.aws.tables[TABLE].items[key,] = item
        done = house.run()
        assert snapshot in house.library.deleted, lost
        told = "".join(line["item"] for line in done.lines if "item" in line)
        assert told == str(item)


@pytest.mark.parametrize("revision", [{}, {"revision": {"S": "x"}}, {"revision": {"N": "1.5"}}])
def test_an_item_without_a_revision_that_counts_is_replaced(
    house: House, revision: dict[str, dict[str, str]]
) -> None:
    key = f"cleanup-reports#{house.world.agent_id}"
    whole = json.dumps({"waiting": [], "busy_until": None, "refusals": {}, "intention": None})
    for outbox_text in ("x", whole):
        snapshot = house.snapshot()
        item = {"id": {"S": key}, "outbox": {"S": outbox_text}, **revision}
        house.world.aws.tables[TABLE].items[key,] = item
        house.run()
        assert snapshot in house.library.deleted


@pytest.mark.parametrize(
    "answer",
    [(404, {"error": "Agent not found"}), (200, {"instances": "none"}), (200, {})],
    ids=["unknown agent", "odd list", "foreign"],
)
def test_unless_the_backend_answers_with_the_agents_list_nothing_is_deleted(
    house: House, answer: tuple[int, dict[str, object]]
) -> None:
    first = house.snapshot()
    house.lose("cleanup-report")
    house.run()
    second = house.snapshot()
    house.world.wiretap.intercept = lambda asked: (
        answer if asked.call == "instances-to-terminate" else None
    )
    returned = house.returned()
    assert second in house.library.snapshots
    assert returned["kept"]["deferred"] == 1
    assert next(one["snapshots"]["deleted"] for one in house.reports()) == [first]  # it waited


def test_a_lost_answer_of_the_table_is_no_other_run(house: House) -> None:
    snapshot = house.snapshot()
    house.world.aws.faults.add("PutItem", faults.dropped(after_effect=True), times=1)
    assert house.returned()["reported"] is True
    assert house.library.deleted == [snapshot]


def test_what_could_not_be_looked_at_is_noted_and_where_it_cannot_be_that_is_told(
    house: House,
) -> None:
    def told() -> list[str]:
        return [line["message"] for line in house.run().lines if "noted" in line["message"]]

    house.image()
    house.world.aws.faults.add("DescribeFleets", faults.error("UnauthorizedOperation"), times=None)
    assert told() == []
    house.world.aws.faults.add("PutItem", faults.error("AccessDeniedException"), times=None)
    assert told() == ["what could not be looked at could not be noted"]


def test_an_idle_run_reports_that_it_ran(house: House) -> None:
    assert house.returned()["reported"] is True
    (report,) = house.reports()
    assert report["snapshots"]["deleted"] == report["amis"]["deleted_amis"] == []
    assert house.world.aws.calls.count("PutItem") == 0


def test_what_an_earlier_version_left_is_reported(house: House) -> None:
    waited = {
        "timestamp": "2025-11-25T12:30:00",
        "snapshots": {
            "type": "snapshots",
            "deleted": ["snap-00000001"],
            "failed": [{"id": "snap-00000002", "error": "no"}],
            "cutoff_date": "2025-11-18T12:30:00",
        },
        "amis": {
            "type": "amis",
            "deleted_amis": ["ami-00000001"],
            "deleted_snapshots": [],
            "failed": [],
            "cutoff_date": "2025-10-26T12:30:00",
        },
    }
    left = house.snapshot(age_days=1)
    intended = json.loads(json.dumps(waited))
    intended["snapshots"] |= {"deleted": ["snap-00000003", left], "failed": []}
    intended["amis"]["deleted_amis"] = []
    key = f"cleanup-reports#{house.world.agent_id}"
    body = {"waiting": [waited], "intended": intended, "busy_until": 1.5}
    item = {"id": {"S": key}, "revision": {"N": "3"}, "backlog": {"S": json.dumps(body)}}
    house.world.aws.tables[TABLE].items[key,] = item
    done = house.run()
    assert [line for line in done.lines if "item" in line] == []
    first, second, _ = house.reports()
    assert first == waited
    assert second["snapshots"]["deleted"] == ["snap-00000003"]
    assert house.world.aws.tables[TABLE].items == {}


def test_an_item_that_cannot_be_read_is_logged_to_its_end(house: House) -> None:
    key = f"cleanup-reports#{house.world.agent_id}"
    text = "".join(f"{number:09}" for number in range(40_000))
    house.world.aws.tables[TABLE].items[key,] = {"id": {"S": key}, "outbox": {"S": text}}
    done = house.run()
    assert text in "".join(line["item"] for line in done.lines if "item" in line)
    assert max(len(line.get("item", "")) for line in done.lines) <= 100_000


def test_after_a_run_that_died_what_ec2_leaves_out_is_not_reported_as_deleted(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, left = house.snapshot(), house.snapshot()
    house.world.aws.policy.denied_ids.add(left)
    _run_and_die(house, monkeypatch, long_ago=True)
    house.library.late.add(left)
    assert house.returned()["kept"]["unproven"] == 0
    house.library.late.clear()
    house.run()
    deleted = [one["snapshots"]["deleted"] for one in house.reports()]
    assert [ids for ids in deleted if ids] == [[gone]]
