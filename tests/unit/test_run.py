"""One run from list to account, over the fakes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from handler.aws.errors import ErrorKind
from handler.backend.errors import BackendError
from handler.instances.model import REPLICA, Ending, Invalid, State
from handler.instances.outcome import Outcome
from handler.instances.ports import CancelledRequest
from handler.instances.rules import MissingPolicy
from tests.fakes.build import (
    AGENT,
    NOW,
    OURS,
    error,
    iid,
    instance,
    limits,
    listing,
    marked,
    policy,
)
from tests.fakes.clock import FakeClock
from tests.fakes.fleet import FakeFleet
from tests.fakes.outside import FakeDependencies
from tests.fakes.run import outside, run


def test_a_marked_instance_is_terminated_reported_and_counted() -> None:
    around = outside(1)
    summary = run(around).as_returned()
    assert around.fleet.terminated == around.backend.successes() == [iid(1)]
    assert {k: v for k, v in summary.items() if v} == {
        "listed": 1,
        "terminated": 1,
        "auto_terminate_enabled": True,
    }
    assert around.journal.summaries[0].as_returned() == summary


def test_an_idle_run_touches_only_backend_and_journal() -> None:
    around = FakeDependencies()
    run(around)
    assert around.used() == set()


def test_a_list_of_another_region_only_asks_no_ec2() -> None:
    around = FakeDependencies(entries=[marked(1, zone="eu-west-1a")])
    assert run(around).counts[Outcome.IGNORED] == 1
    assert around.used() == set()


@pytest.mark.parametrize(("theirs", "ours"), [(False, True), (True, False), (False, False)])
def test_with_the_switch_off_on_either_side_all_is_deferred(*, theirs: bool, ours: bool) -> None:
    around = outside(1, 2)
    around.lists(listing(marked(1), marked(2), enabled=theirs, invalid=1))
    summary = run(around, bounds=limits(auto_terminate_enabled=ours)).as_returned()
    assert (summary["deferred"], summary["invalid"], summary["listed"]) == (2, 1, 3)
    assert summary["auto_terminate_enabled"] is False
    assert around.fleet.calls == []
    assert around.backend.tried == []


def test_a_list_that_is_not_to_be_had_raises_before_anything_is_touched() -> None:
    around = outside(1)

    around.backend.lists[AGENT] = BackendError("HTTP 500")
    with pytest.raises(BackendError):
        run(around)
    assert around.fleet.calls == []


def test_entries_that_cannot_be_acted_on_are_told_and_counted() -> None:
    around = outside(1)
    told = (Invalid(AGENT, "x", "why"),) * 2
    around.lists(listing(marked(1), told=told, invalid=2, placeholders=1))
    answer = run(around).as_returned()
    assert (answer["invalid"], answer["listed"]) == (3, 4)
    assert around.journal.received[0].told == told


def test_what_cannot_be_looked_at_is_deferred_and_the_others_go_on() -> None:
    around = outside(1, 2)
    around.fleet.unreadable = {iid(1): error(ErrorKind.FAULTY, "Unavailable", "later")}
    run(around)
    assert around.journal.outcomes() == {iid(1): Outcome.DEFERRED, iid(2): Outcome.TERMINATED}
    assert "Unavailable: later" in around.journal.line(iid(1)).why
    assert around.fleet.terminated == [iid(2)]


def test_without_time_to_look_nothing_is_decided() -> None:
    around, clock = outside(1), FakeClock(60)
    around.backend.on_asked = lambda: clock.pass_by(44)
    run(around, clock=clock)
    assert around.journal.outcomes() == {iid(1): Outcome.DEFERRED}
    assert around.fleet.calls == []


def test_what_has_ended_or_is_refused_does_not_use_the_cap_up() -> None:
    around = outside(*range(4))
    around.fleet.change(iid(0), State.TERMINATED)
    around.fleet.instances[iid(1)] = instance(1, tags={})
    run(around, bounds=limits(max_terminations_per_run=2))
    assert sorted(around.fleet.terminated) == [iid(2), iid(3)]


def test_the_fuse_spares_all_and_is_told_once() -> None:
    around = outside(*range(10), listed=4)
    run(around, bounds=limits(max_fleet_percent=30))
    assert set(around.journal.outcomes().values()) == {Outcome.DEFERRED}
    assert around.journal.fuses == ["4 terminations are more than 30 % of 10 live instances"]
    assert around.fleet.terminated == []
    assert around.backend.tried == []


def test_the_fuse_holds_at_the_share() -> None:
    around = outside(*range(10), listed=4)
    run(around, bounds=limits(max_fleet_percent=40))
    assert len(around.fleet.terminated) == 4
    assert around.fleet.called("fleet_size") == [("ManagedBy=SpotOptimizer",)]


def test_the_fuse_counts_what_the_cap_lets_through() -> None:
    around = outside(*range(10))
    run(around, bounds=limits(max_fleet_percent=30, max_terminations_per_run=3))
    assert len(around.fleet.terminated) == 3
    assert around.journal.fuses == []


def test_the_fuse_counts_refused_ones_as_fleet_and_not_as_wanted() -> None:
    around = outside(*range(10), listed=4)
    for n in range(3):
        around.fleet.instances[iid(n)] = instance(n, tags=OURS | {"DoNotTerminate": ""})
    run(around, bounds=limits(max_fleet_percent=10))
    assert around.fleet.terminated == [iid(3)]


def test_a_blown_fuse_does_not_keep_what_has_ended_from_being_reported() -> None:
    around = outside(1, 2)
    around.fleet.change(iid(1), State.TERMINATED)
    run(around, bounds=limits(max_fleet_percent=50))
    assert around.backend.successes() == [iid(1)]
    assert len(around.journal.fuses) == 1


def test_a_stuck_instance_is_told_after_its_time() -> None:
    around = outside(1, 2, 3, 4)
    for n, seconds in ((1, 900), (2, 901)):
        around.fleet.instances[iid(n)] = instance(
            n,
            State.SHUTTING_DOWN,
            ending=Ending(by_api=True, at=NOW - timedelta(seconds=seconds)),
        )
    around.fleet.instances[iid(3)] = instance(
        3, State.TERMINATED, ending=Ending(by_api=True, at=NOW - timedelta(hours=1))
    )
    around.fleet.instances[iid(4)] = instance(4, State.SHUTTING_DOWN, ending=Ending(by_api=True))
    run(around, policy(confirm_termination=True))
    assert around.journal.stuck_ones == [(iid(2), 901.0)]


def test_the_time_to_terminate_runs_from_marking_to_acceptance() -> None:
    around, clock = outside(1), FakeClock()
    around.fleet.before_terminate = lambda: clock.pass_by(2)
    run(around, clock=clock)
    assert around.journal.line(iid(1)).took == 322.0


@pytest.mark.parametrize(
    ("ended", "waited", "took"),
    [
        (timedelta(seconds=100), 320.0, 220.0),
        (timedelta(days=1), 320.0, None),  # before its marking
        (timedelta(0), None, None),
    ],
)
def test_an_end_before_the_list_shortens_the_time_to_terminate(
    ended: timedelta, waited: float | None, took: float | None
) -> None:
    around = outside(1)
    around.lists(listing(marked(1, waited=waited)))
    ending = Ending(by_api=True, at=NOW - ended)
    around.fleet.instances[iid(1)] = instance(1, State.TERMINATED, ending=ending)
    run(around)
    assert around.journal.line(iid(1)).took == took


def test_a_lost_report_is_made_by_the_next_run_with_the_true_time() -> None:
    around = outside(1)
    around.backend.deaf_to = {iid(1): None}
    first = run(around)
    assert first.counts[Outcome.UNREPORTED] == 1
    around.backend.deaf_to = {}
    around.journal.lines.clear()
    late = FakeClock()
    late.now = NOW + timedelta(minutes=10)
    second = run(around, clock=late)
    assert second.counts[Outcome.TERMINATED] == 1
    assert around.fleet.terminated == [iid(1)]
    assert around.backend.reports[-1].ended_at == NOW
    around.journal.lines.clear()
    assert run(around).counts[Outcome.REPLAYED] == 1, "listed again (contract section 1, quirk 4)"
    assert len(around.backend.reports) == 1


def test_proofs_do_not_starve_terminations() -> None:
    """Foreign zombies are listed again in every run (quirk 3), so the next run is no better."""
    around, clock = outside(999), FakeClock(60)
    entries = (*(marked(n, waited=9_999) for n in range(200)), marked(999))
    around.lists(listing(*entries))
    around.the_history.on_asked = lambda: clock.pass_by(0.5)
    run(around, policy(missing_instance=MissingPolicy.VERIFY), clock=clock)
    assert around.fleet.terminated == [iid(999)]


def test_what_came_back_from_a_cancelled_request_is_told() -> None:
    around = outside()
    around.cancelled["sir-1"] = CancelledRequest({iid(1)}, NOW)
    around.fleet.live_from_answer = {iid(2): "sir-1"}
    run(around)
    assert around.journal.returned_ones == [(iid(2), "sir-1")]


def test_the_list_s_time_is_when_it_came() -> None:
    around, clock = outside(1), FakeClock()
    around.cancelled["sir-1"] = CancelledRequest({iid(9)}, NOW)
    slow = around.fleet.live_from

    def live_from(requests: object) -> object:
        clock.pass_by(5)
        return slow([])

    around.fleet.live_from = live_from  # type: ignore[method-assign, assignment]
    run(around, clock=clock)
    assert around.journal.line(iid(1)).took == 325.0


def test_what_ec2_has_forgotten_is_reported_as_of_its_marking() -> None:
    """A report that is made again says what the first one said: no date is falsified."""
    around = FakeDependencies(FakeFleet(), [marked(1, REPLICA, waited=40 * 86400.0)])
    run(around)
    assert around.backend.reports[0].ended_at == NOW - timedelta(days=40)


@pytest.mark.parametrize("waited", [None, 5.0, 59.9])
def test_what_may_not_be_shown_yet_is_looked_at_twice(waited: float | None) -> None:
    around, clock = outside(1), FakeClock()
    around.lists(listing(marked(1, REPLICA, waited=waited)))
    hidden = around.fleet.instances.pop(iid(1))
    around.fleet.before_look = lambda: (
        around.fleet.instances.update({iid(1): hidden}) if around.fleet.called("look")[1:] else None
    )
    run(around, clock=clock)
    assert clock.slept[0] == 3.0
    assert around.fleet.terminated == [iid(1)]


def test_what_was_marked_a_minute_ago_is_looked_at_once() -> None:
    around, clock = FakeDependencies(FakeFleet(), [marked(1, REPLICA, waited=60.0)]), FakeClock()
    assert run(around, clock=clock).as_returned()["already_gone"] == 1
    assert len(around.fleet.called("look")) == 1
    assert not clock.slept


def test_a_look_up_that_aws_refuses_is_told_with_its_code() -> None:
    around = outside(1)
    around.fleet.unreadable = {iid(1): error(ErrorKind.REFUSED, "UnauthorizedOperation")}
    run(around)
    assert [one.code for _, one in around.journal.failed_look_ups] == ["UnauthorizedOperation"]
    assert around.journal.line(iid(1)).trace.error_code == "UnauthorizedOperation"


def test_a_machine_of_ours_that_runs_on_is_overdue_by_our_own_clock() -> None:
    around = outside(1, 2)
    around.fleet.instances[iid(1)] = instance(1, tags=OURS | {"DoNotTerminate": ""})
    around.first_seen.since = {iid(1): NOW - timedelta(seconds=3601)}
    run(around)
    assert around.journal.overdue_ones == [iid(1)]


def test_what_ended_is_not_overdue() -> None:
    around = outside(1)
    around.first_seen.since = {iid(1): NOW - timedelta(days=1)}
    run(around)
    assert around.journal.overdue_ones == []


def test_an_unknown_wait_is_counted_from_first_sight_under_the_cap() -> None:
    around = outside(1, 2)
    around.lists(listing(marked(1, waited=None), marked(2, waited=600.0)))
    around.first_seen.since = {iid(1): NOW - timedelta(hours=1)}
    run(around, bounds=limits(max_terminations_per_run=1))
    assert around.fleet.terminated == [iid(1)]
