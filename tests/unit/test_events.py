"""The event of each run that acted."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from handler.deadline import Deadline
from handler.instances.events import MACHINES, RunEvents, events_of
from handler.instances.model import Agent
from handler.instances.outcome import Outcome, Settled, Trace
from tests.fakes.build import iid, marked

LARGEST_CALL = 256 * 1024
"""Bytes of one call's entries (EventBridge API, PutEvents)."""


def settled(
    number: int,
    outcome: Outcome,
    agent: str = "one",
    why: str = "why",
    reason: str = "zombie_timeout",
) -> Settled:
    return Settled(marked(number, reason, agent=Agent(agent)), outcome, why, Trace("Code"))


class Bus:
    def __init__(self, answer: Any = None) -> None:
        self.calls: list[list[dict[str, Any]]] = []
        self.answer = answer

    def put_events(self, Entries: list[dict[str, Any]]) -> Any:  # noqa: N803 - boto3's name
        self.calls.append(Entries)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or {"Entries": [{"EventId": "1"} for _ in Entries]}


def tell(bus: Bus, *done: Settled, left: float = 20.0) -> list[str]:
    warned: list[str] = []
    RunEvents(lambda: bus, "bus", Deadline(lambda: left), warned.append).tell(done)
    return warned


def test_each_agent_has_an_event_of_what_was_acted_on() -> None:
    done = [settled(1, Outcome.TERMINATED), settled(2, Outcome.REFUSED, "two"),
            settled(3, Outcome.IGNORED), settled(4, Outcome.REPLAYED)]  # fmt: skip
    first, second = events_of(done)
    assert first == {
        "shape": "1", "agent_id": "one", "counts": {"terminated": 1}, "part": 1, "parts": 1,
        "machines": [{"instance_id": iid(1), "outcome": "terminated", "reason": "zombie_timeout",
                      "why": "why", "error_code": "Code"}],
    }  # fmt: skip
    assert second["agent_id"] == "two"
    bus = Bus()
    assert tell(bus, *done) == []
    (entry,), _ = bus.calls
    assert json.loads(entry.pop("Detail")) == first
    assert entry == {
        "EventBusName": "bus", "Source": "spot-optimizer.cleanup", "DetailType": "Spot Cleanup Run",
    }  # fmt: skip


def test_a_run_that_did_not_act_sends_nothing() -> None:
    bus = Bus()
    assert tell(bus, settled(1, Outcome.REPLAYED), settled(2, Outcome.DEFERRED)) == []
    assert bus.calls == []


def test_a_large_run_is_cut_to_what_one_call_may_hold() -> None:
    bus = Bus()
    done = [settled(n, Outcome.FAILED, why="é" * 5000) for n in range(5 * MACHINES + 1)]
    assert tell(bus, *done) == []
    told = [json.loads(one["Detail"]) for call in bus.calls for one in call]
    assert [one["part"] for one in told] == list(range(1, 7))
    assert sum(len(one["machines"]) for one in told) == len(done)
    for call in bus.calls:
        assert sum(len(json.dumps(one).encode()) for one in call) < LARGEST_CALL


def test_no_text_makes_an_event_larger_than_what_one_call_may_hold() -> None:
    bus = Bus()
    done = [
        settled(n, Outcome.FAILED, why="\U0001f600" * 200, reason="\U0001f600" * 200)
        for n in range(2 * MACHINES)
    ]
    assert tell(bus, *done) == []
    entries = [one for call in bus.calls for one in call]
    assert all(sum(len(text.encode()) for text in one.values()) < LARGEST_CALL for one in entries)
    told = [json.loads(one["Detail"]) for one in entries]
    assert [one["part"] for one in told] == list(range(1, told[0]["parts"] + 1))
    ids = [machine["instance_id"] for one in told for machine in one["machines"]]
    assert ids == [one.marked.instance_id for one in done]


def test_its_failure_harms_no_run_and_is_told() -> None:
    denied = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "PutEvents")
    assert tell(Bus(denied), settled(1, Outcome.TERMINATED)) == ["AccessDeniedException: no"]
    odd = {"Entries": [{"ErrorCode": "InternalFailure"}]}
    assert tell(Bus(odd), settled(1, Outcome.TERMINATED)) == ["1 were not taken: InternalFailure"]
