"""Spot requests go first, and an instance whose request stands is left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from handler.aws.errors import AwsError, ErrorKind
from handler.instances.guard import Decision
from handler.instances.outcome import Outcome, Settled
from handler.instances.ports import CancelledRequest
from handler.instances.spot_requests import (
    WATCHED_FOR,
    cancel_standing_requests,
    watch_cancelled_requests,
)
from tests.fakes.build import NOW, decision, error, iid, policy
from tests.fakes.clock import FakeClock
from tests.fakes.fleet import FakeFleet
from tests.fakes.outside import FakeOutside
from tests.fakes.run import act


def spot(number: int, request: str | None = None) -> Decision:
    return decision(number, spot_request=request or f"sir-{number:08d}")


def cancel(
    around: FakeOutside, *given: Decision, dry_run: bool = False
) -> tuple[list[Decision], list[Settled]]:
    return cancel_standing_requests(given, act(around, policy(dry_run=dry_run)), around.cancelled)


@pytest.fixture
def around() -> FakeOutside:
    outside = FakeOutside(FakeFleet())
    outside.fleet.standing = {"sir-00000001", "sir-00000002"}
    return outside


def test_on_demand_instances_are_no_call(around: FakeOutside) -> None:
    free, held = cancel(around, decision(5))
    assert ([d.marked.instance_id for d in free], held) == ([iid(5)], [])
    assert around.fleet.calls == []


def test_a_one_time_request_is_left_alone(around: FakeOutside) -> None:
    free, held = cancel(around, spot(9))
    assert (len(free), held) == (1, [])
    assert around.fleet.cancelled == []


def test_standing_requests_are_cancelled_and_remembered(around: FakeOutside) -> None:
    free, held = cancel(around, spot(1), spot(2), spot(9), decision(5))
    assert (len(free), held) == (4, [])
    assert around.fleet.called("cancel") == [("sir-00000001", "sir-00000002")]
    assert around.cancelled == {
        "sir-00000001": CancelledRequest({iid(1)}, NOW),
        "sir-00000002": CancelledRequest({iid(2)}, NOW),
    }


def test_the_dry_run_cancels_and_remembers_nothing(around: FakeOutside) -> None:
    free, held = cancel(around, spot(1), dry_run=True)
    assert (len(free), held) == (1, [])
    assert around.fleet.called("cancel") == []
    assert len(around.fleet.called("dry-cancel")) == 1
    assert around.cancelled == {}


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (ErrorKind.REFUSED, Outcome.FAILED),
        (ErrorKind.LOCKED_OUT, Outcome.FAILED),
        (ErrorKind.MISSING, Outcome.FAILED),
        (ErrorKind.NO_ANSWER, Outcome.DEFERRED),
        (ErrorKind.FAULTY, Outcome.DEFERRED),
    ],
)
def test_an_instance_whose_request_could_not_be_cancelled_is_held_back(
    around: FakeOutside, kind: ErrorKind, outcome: Outcome
) -> None:
    around.fleet.faults = [error(kind, "Code", "no")] * 3
    free, held = cancel(around, spot(1), decision(5))
    assert [d.marked.instance_id for d in free] == [iid(5)]
    assert [(s.marked.instance_id, s.outcome, s.error_code) for s in held] == [
        (iid(1), outcome, "Code")
    ]
    assert "sir-00000001 could not be cancelled: Code: no" in held[0].why
    assert around.cancelled == {}


def test_one_bad_request_does_not_hold_the_others_back(around: FakeOutside) -> None:
    around.fleet.faults = [error(ErrorKind.REFUSED, "Code", "no", "sir-00000002")]
    free, held = cancel(around, spot(1), spot(2))
    assert [d.marked.instance_id for d in free] == [iid(1)]
    assert [s.marked.instance_id for s in held] == [iid(2)]


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [(ErrorKind.REFUSED, Outcome.FAILED), (ErrorKind.FAULTY, Outcome.DEFERRED)],
)
def test_requests_that_cannot_be_looked_up_hold_every_spot_instance_back(
    around: FakeOutside, kind: ErrorKind, outcome: Outcome
) -> None:
    """Guards fail closed: it may be a persistent one."""
    around.fleet.standing_error = error(kind)
    free, held = cancel(around, spot(1), spot(9), decision(5))
    assert [d.marked.instance_id for d in free] == [iid(5)]
    assert {s.outcome for s in held} == {outcome}


def test_two_instances_of_one_request_are_remembered_together(around: FakeOutside) -> None:
    free, _ = cancel(around, spot(1, "sir-00000001"), spot(2, "sir-00000001"))
    assert len(free) == 2
    assert around.cancelled["sir-00000001"].instances == {iid(1), iid(2)}


@pytest.mark.parametrize("state", ["active", "open"])
def test_a_request_that_ec2_returns_as_standing_is_not_cancelled(
    around: FakeOutside, state: str
) -> None:
    """Issue 3, section 2: "nothing is terminated whose request could not be cancelled"."""
    around.fleet.cancelled_as = state
    free, held = cancel(around, spot(1))
    assert free == []
    assert len(held) == 1
    assert around.cancelled == {}


def test_nothing_remembered_is_no_call() -> None:
    outside = FakeOutside()
    watch_cancelled_requests(outside, FakeClock().patience(), NOW)
    assert outside.ports() == set()


def remembering(age: timedelta = timedelta()) -> FakeOutside:
    outside = FakeOutside()
    outside.cancelled["sir-00000001"] = CancelledRequest({iid(1)}, NOW - age)
    return outside


def test_an_instance_that_came_back_is_told_once_and_not_terminated() -> None:
    outside = remembering()
    outside.fleet.live_from_answer = {iid(1): "sir-00000001", iid(2): "sir-00000001"}
    watch_cancelled_requests(outside, FakeClock().patience(), NOW)
    watch_cancelled_requests(outside, FakeClock().patience(), NOW)
    assert outside.the_journal.returned_ones == [(iid(2), "sir-00000001")]
    assert {name for name, _ in outside.fleet.calls} == {"live_from"}


def test_a_request_is_watched_for_a_while_only() -> None:
    outside = remembering(WATCHED_FOR)
    watch_cancelled_requests(outside, FakeClock().patience(), NOW)
    assert outside.fleet.called("live_from") == [("sir-00000001",)]
    watch_cancelled_requests(outside, FakeClock().patience(), NOW + timedelta(seconds=1))
    assert outside.cancelled == {}
    assert len(outside.fleet.called("live_from")) == 1


def test_a_watch_that_gets_no_answer_waits_for_the_next_run() -> None:
    outside = remembering()
    outside.fleet.live_from_answer = error(ErrorKind.THROTTLED)
    watch_cancelled_requests(outside, FakeClock().patience(), NOW)
    assert outside.the_journal.returned_ones == []
    assert outside.cancelled


def test_held_back_decisions_keep_their_entry_and_state(around: FakeOutside) -> None:
    around.fleet.standing_error = AwsError("Code", "no", ErrorKind.THROTTLED)
    given = replace(spot(1))
    _, (held,) = cancel(around, given)
    assert held.marked is given.marked
    assert held.previous_state == held.current_state == "running"
