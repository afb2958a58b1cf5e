"""Spot requests go first, and an instance whose request stands is left alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from handler.aws.errors import AwsError, ErrorKind
from handler.aws.look_ups import LookUps
from handler.instances.model import State
from handler.instances.outcome import Denied, Left, Result
from handler.instances.ports import CancelledRequest
from handler.instances.rules import ToTerminate
from handler.instances.spot_requests import (
    KNOWN_AFTER,
    WATCHED_FOR,
    StandingRequests,
    watch_cancelled_requests,
)
from tests.fakes.build import NOW, OURS, decision, error, iid, instance, marked, policy
from tests.fakes.clock import FakeClock
from tests.fakes.fleet import FakeFleet
from tests.fakes.outside import FakeDependencies
from tests.fakes.run import terminator

ONE, TWO = "sir-00000001", "sir-00000002"


def spot(number: int, request: str | None = None, state: State = State.RUNNING) -> ToTerminate:
    return decision(number, state=state, spot_request=request or f"sir-{number:08d}")


@pytest.fixture
def around() -> FakeDependencies:
    to = FakeDependencies(FakeFleet())
    to.fleet.standing = {ONE, TWO}
    return to


def cancel(
    around: FakeDependencies,
    *given: ToTerminate,
    dry_run: bool = False,
    clock: FakeClock | None = None,
    waited: Mapping[str, float] | None = None,
) -> tuple[list[ToTerminate], list[Result]]:
    clock = clock or FakeClock()
    around.fleet.instances |= {one.instance.instance_id: one.instance for one in given}
    doing = terminator(around, given, policy(dry_run=dry_run), clock)
    look_ups = LookUps(clock.deadline(), around.journal.look_up_failed)
    requests = StandingRequests(around.fleet, look_ups, doing, around.cancelled, waited or {})
    return requests.cancel(given, NOW)


def ids(decisions: list[ToTerminate]) -> list[str]:
    return [one.marked.instance_id for one in decisions]


def test_on_demand_instances_are_no_call(around: FakeDependencies) -> None:
    free, held = cancel(around, decision(5))
    assert (ids(free), held) == ([iid(5)], [])
    assert around.fleet.calls == []


def test_standing_requests_are_cancelled_and_remembered(around: FakeDependencies) -> None:
    free, held = cancel(around, spot(1), spot(2), spot(9), decision(5))
    assert (len(free), held) == (4, [])
    assert around.fleet.called("cancel") == [(ONE, TWO)]
    assert around.cancelled == {
        ONE: CancelledRequest({iid(1)}, NOW),
        TWO: CancelledRequest({iid(2)}, NOW),
    }


def test_the_dry_run_cancels_and_remembers_nothing(around: FakeDependencies) -> None:
    free, held = cancel(around, spot(1), dry_run=True)
    assert (len(free), held) == (1, [])
    assert around.fleet.called("cancel") == []
    assert len(around.fleet.called("dry-cancel")) == 1
    assert around.cancelled == {}


@pytest.mark.parametrize(
    ("kind", "denied"),
    [(ErrorKind.REFUSED, True), (ErrorKind.LOCKED_OUT, True), (ErrorKind.MISSING, True),
     (ErrorKind.NO_ANSWER, False), (ErrorKind.FAULTY, False)],
)  # fmt: skip
def test_an_instance_whose_request_could_not_be_cancelled_is_held_back(
    around: FakeDependencies, kind: ErrorKind, *, denied: bool
) -> None:
    around.fleet.faults = [error(kind, "Code", "no")] * 3
    free, (held,) = cancel(around, spot(1), decision(5))
    assert ids(free) == [iid(5)]
    assert isinstance(held, Denied if denied else Left)
    assert held.trace.error_code == "Code"
    assert "sir-00000001 could not be cancelled: Code: no" in held.why
    assert around.cancelled == {}


def test_one_bad_request_does_not_hold_the_others_back(around: FakeDependencies) -> None:
    around.fleet.faults = [error(ErrorKind.REFUSED, "Code", "no", TWO)]
    free, (held,) = cancel(around, spot(1), spot(2))
    assert (ids(free), held.marked.instance_id) == ([iid(1)], iid(2))


def test_a_request_that_was_left_out_puts_no_blame_on_the_others(around: FakeDependencies) -> None:
    clock, given = FakeClock(), [spot(n) for n in range(1, 5)]
    clock.pass_by(12)
    around.fleet.standing = {one.instance.spot_request or "" for one in given}
    around.fleet.faults = [error(ErrorKind.REFUSED)]

    def protect() -> None:
        if around.fleet.called("cancel"):
            protected = instance(1, tags=OURS | {"DoNotTerminate": ""}, spot_request=ONE)
            around.fleet.instances[iid(1)] = protected

    around.fleet.before_look = protect
    free, (held,) = cancel(around, *given, clock=clock)
    assert (len(free), held.marked.instance_id) == (3, iid(1))
    assert ONE not in around.fleet.cancelled


def test_requests_that_cannot_be_looked_up_hold_every_spot_instance_back(
    around: FakeDependencies,
) -> None:
    """Guards fail closed: it may be a persistent one."""
    around.fleet.standing_error = error(ErrorKind.FAULTY)
    free, held = cancel(around, spot(1), spot(9), decision(5))
    assert (ids(free), len(held)) == ([iid(5)], 2)
    assert [what for what, _ in around.journal.failed_look_ups] == ["Spot requests"]


NOT_FOUND = error(ErrorKind.MISSING, "InvalidSpotInstanceRequestID.NotFound", "no", ONE)


@pytest.mark.parametrize(
    ("answer", "waited", "goes"),
    [(error(ErrorKind.NO_ANSWER, "NotShown"), 900.0, False), (NOT_FOUND, 900.0, True),
     (NOT_FOUND, KNOWN_AFTER - 1, False), (NOT_FOUND, None, False)],
)  # fmt: skip
def test_a_request_that_ec2_does_not_show_may_be_new(
    around: FakeDependencies, answer: AwsError, waited: float | None, *, goes: bool
) -> None:
    """It would launch another instance, unseen: only an old one is one that EC2 has forgotten."""
    around.fleet.unknown_requests = {ONE: answer}
    doubtful = spot(1)
    doubtful = replace(doubtful, owned=replace(doubtful.owned, entry=marked(1, waited=waited)))
    free, held = cancel(around, doubtful, spot(2))
    assert ids(free) == ([iid(1), iid(2)] if goes else [iid(2)])
    assert [type(one) for one in held] == ([] if goes else [Left])
    assert around.fleet.cancelled == [TWO]


def test_a_request_that_ec2_has_forgotten_does_not_hold_a_machine_of_unknown_wait_for_ever(
    around: FakeDependencies,
) -> None:
    around.fleet.unknown_requests = {ONE: NOT_FOUND}
    doubtful = spot(1)
    doubtful = replace(doubtful, owned=replace(doubtful.owned, entry=marked(1, waited=None)))
    free, _ = cancel(around, doubtful, waited={iid(1): KNOWN_AFTER})
    assert ids(free) == [iid(1)]


def test_a_decision_that_has_waited_is_made_again_before_the_first_cancellation(
    around: FakeDependencies,
) -> None:
    clock = FakeClock()

    def protect() -> None:
        clock.pass_by(12)
        protected = instance(1, tags=OURS | {"DoNotTerminate": ""}, spot_request=ONE)
        around.fleet.instances[iid(1)] = protected

    around.fleet.before_requests = protect
    free, (held,) = cancel(around, spot(1), spot(2), clock=clock)
    assert (ids(free), held.marked.instance_id) == ([iid(2)], iid(1))
    assert around.fleet.cancelled == [TWO]
    assert around.fleet.called("look") == [(iid(1), iid(2))]


def test_a_request_that_ec2_returns_as_standing_is_not_cancelled(around: FakeDependencies) -> None:
    around.fleet.cancelled_as = "active"
    free, held = cancel(around, spot(1))
    assert (free, len(held), around.cancelled) == ([], 1, {})


# ---- a disabled request: to cancel it ends its stopped instance ----


def stopped(around: FakeDependencies) -> ToTerminate:
    around.fleet.disabled = {ONE}
    return spot(1, state=State.STOPPED)


def test_a_disabled_request_is_cancelled_where_the_instance_itself_may_be_terminated(
    around: FakeDependencies,
) -> None:
    free, held = cancel(around, stopped(around))
    assert (ids(free), held) == ([iid(1)], [])
    assert around.fleet.called("dry-terminate") == [(iid(1),)]
    assert [name for name, _ in around.fleet.calls if "look" in name or "termin" in name] == [
        "look", "dry-terminate",
    ]  # fmt: skip


def test_a_disabled_request_stays_where_iam_would_not_let_its_instance_end(
    around: FakeDependencies,
) -> None:
    given = stopped(around)
    around.fleet.forbidden = {iid(1)}
    free, (held,) = cancel(around, given)
    assert free == []
    assert isinstance(held, Denied)
    assert around.fleet.cancelled == []


def test_a_disabled_request_stays_where_its_instance_is_protected_by_now(
    around: FakeDependencies,
) -> None:
    given = stopped(around)
    around.fleet.before_look = lambda: around.fleet.instances.update(
        {iid(1): instance(1, State.STOPPED, tags=OURS | {"DoNotTerminate": ""}, spot_request=ONE)}
    )
    free, (held,) = cancel(around, given)
    assert free == []
    assert isinstance(held, Denied)
    assert around.fleet.called("dry-terminate") == around.fleet.called("cancel") == []


# ---- what comes back ----


def watch(around: FakeDependencies, now: timedelta = timedelta()) -> None:
    look_ups = LookUps(FakeClock().deadline(), around.journal.look_up_failed)
    watch_cancelled_requests(
        lambda: around.fleet, around.cancelled, look_ups, around.journal.came_back, NOW + now
    )


def test_nothing_remembered_is_no_call() -> None:
    around = FakeDependencies()
    watch(around)
    assert around.fleet.calls == []


def test_an_instance_that_came_back_is_told_once_and_not_terminated() -> None:
    around = FakeDependencies()
    around.cancelled[ONE] = CancelledRequest({iid(1)}, NOW)
    around.fleet.live_from_answer = {iid(1): ONE, iid(2): ONE}
    watch(around)
    watch(around)
    assert around.journal.returned_ones == [(iid(2), ONE)]
    assert {name for name, _ in around.fleet.calls} == {"live_from"}


def test_an_answer_about_a_request_that_is_not_watched_ends_no_run(
    around: FakeDependencies,
) -> None:
    around.cancelled[ONE] = CancelledRequest({iid(1)}, NOW)
    around.fleet.live_from_answer = {iid(2): TWO}
    watch(around)
    assert around.journal.returned_ones == []


def test_a_request_is_watched_for_a_while_only() -> None:
    around = FakeDependencies()
    around.cancelled[ONE] = CancelledRequest({iid(1)}, NOW)
    watch(around, WATCHED_FOR)
    watch(around, WATCHED_FOR + timedelta(seconds=1))
    assert around.cancelled == {}
    assert len(around.fleet.called("live_from")) == 1
