"""Reports: side by side, a success once per window, and never lost without being said."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, get_ident

import pytest

from handler.deadline import Deadline
from handler.instances.outcome import Outcome, Settled
from handler.instances.ports import BackendError, Delivery, Report
from handler.instances.report import Reporting
from tests.fakes.build import NOW, iid, marked
from tests.fakes.clock import FakeClock
from tests.fakes.outside import FakeOutside

QUIET = [
    o
    for o in Outcome
    if o not in {Outcome.TERMINATED, Outcome.ALREADY_GONE, Outcome.REFUSED, Outcome.FAILED}
]


def ended(number: int, outcome: Outcome = Outcome.TERMINATED) -> Settled:
    return Settled(marked(number), outcome, "because", ended_at=NOW)


def deliver(
    outside: FakeOutside,
    *given: Settled,
    dry_run: bool = False,
    deadline: Deadline | None = None,
    at_once: int = 4,
) -> list[Settled]:
    found = Reporting(
        outside, deadline or FakeClock().deadline(), at_once, outside.the_journal.settled
    ).deliver(given, dry_run=dry_run)
    assert sorted(s.marked.instance_id for s in found) == sorted(
        s.marked.instance_id for s in given
    )
    assert outside.the_journal.outcomes() == {s.marked.instance_id: s.outcome for s in found}
    return found


@pytest.mark.parametrize("outcome", [Outcome.TERMINATED, Outcome.ALREADY_GONE])
def test_a_success_is_reported_with_its_end(outcome: Outcome) -> None:
    outside = FakeOutside()
    (one,) = deliver(outside, ended(1, outcome))
    assert one.outcome is outcome
    assert outside.the_backend.reports == [Report(iid(1), None, NOW)]


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.FAILED])
def test_a_failure_is_reported_with_its_reason_and_no_end(outcome: Outcome) -> None:
    outside = FakeOutside()
    (one,) = deliver(outside, ended(1, outcome))
    assert one.outcome is outcome
    assert outside.the_backend.reports == [Report(iid(1), "because", None)]
    assert outside.the_ledger.asked == 0


@pytest.mark.parametrize("outcome", QUIET, ids=lambda o: o.key)
def test_the_other_outcomes_are_not_reported(outcome: Outcome) -> None:
    outside = FakeOutside()
    deliver(outside, ended(1, outcome))
    assert outside.ports() == set()


def test_the_dry_run_reports_no_failure() -> None:
    """Contract section 2: in a dry run `refused` and `failed` are counted, not reported."""
    outside = FakeOutside()
    found = deliver(outside, ended(1, Outcome.REFUSED), ended(2, Outcome.FAILED), dry_run=True)
    assert [s.outcome for s in found] == [Outcome.REFUSED, Outcome.FAILED]
    assert outside.ports() == set()


def test_a_success_whose_report_is_lost_is_unreported_and_tried_again_next_time() -> None:
    outside = FakeOutside()
    outside.the_backend.deaf_to = {iid(1)}
    (one,) = deliver(outside, ended(1))
    assert one.outcome is Outcome.UNREPORTED
    assert one.why == "because; its report did not get through: HTTP 500"
    outside.the_backend.deaf_to = set()
    outside.the_journal.lines.clear()
    (again,) = deliver(outside, ended(1))
    assert again.outcome is Outcome.TERMINATED


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.FAILED])
def test_a_failure_whose_report_is_lost_keeps_its_outcome(outcome: Outcome) -> None:
    outside = FakeOutside()
    outside.the_backend.deaf_to = {iid(1)}
    (one,) = deliver(outside, ended(1, outcome))
    assert one.outcome is outcome
    assert "its report did not get through" in one.why


def test_an_acknowledged_success_is_replayed() -> None:
    outside = FakeOutside()
    outside.the_ledger.acknowledged = {iid(1)}
    (one,) = deliver(outside, ended(1))
    assert one.outcome is Outcome.REPLAYED
    assert outside.the_backend.tried == []


def test_a_success_that_another_run_is_reporting_is_deferred() -> None:
    outside = FakeOutside()
    outside.the_ledger.under_way = {iid(1)}
    (one,) = deliver(outside, ended(1))
    assert one.outcome is Outcome.DEFERRED
    assert outside.the_backend.tried == []


def test_without_its_ledger_a_success_is_reported_all_the_same() -> None:
    outside = FakeOutside()
    outside.the_ledger.down = True
    (one,) = deliver(outside, ended(1))
    assert one.outcome is Outcome.TERMINATED
    assert outside.the_backend.successes() == [iid(1)]


def test_one_lost_report_does_not_stop_the_others() -> None:
    outside = FakeOutside()
    outside.the_backend.deaf_to = {iid(n) for n in range(0, 40, 2)}
    deliver(outside, *(ended(n) for n in range(40)))
    assert sorted(outside.the_backend.successes()) == [iid(n) for n in range(1, 40, 2)]


def test_when_the_time_is_up_no_report_is_started() -> None:
    outside, clock = FakeOutside(), FakeClock(60)
    deadline = clock.deadline()
    clock.pass_by(58.5)
    found = deliver(outside, ended(1), ended(2, Outcome.FAILED), deadline=deadline)
    assert {s.outcome for s in found} == {Outcome.UNREPORTED, Outcome.FAILED}
    assert outside.the_backend.tried == []


def test_successes_go_before_failures() -> None:
    outside = FakeOutside()
    given = [ended(1, Outcome.FAILED), ended(2), ended(3, Outcome.REFUSED), ended(4)]
    deliver(outside, *given, at_once=1)
    assert [r.instance_id for r in outside.the_backend.tried] == [iid(2), iid(4), iid(1), iid(3)]


def test_reports_are_made_side_by_side() -> None:
    outside = FakeOutside()
    meeting = Barrier(3, timeout=10)

    class Meeting:
        def once(self, instance_id: str, send: Callable[[], None]) -> Delivery:
            meeting.wait()
            send()
            return Delivery.FIRST

    outside.the_ledger = Meeting()  # type: ignore[assignment]
    deliver(outside, ended(1), ended(2), ended(3), at_once=3)
    assert len(outside.the_backend.reports) == 3


def test_no_more_threads_than_allowed() -> None:
    outside = FakeOutside()
    threads: set[int] = set()

    class Noting:
        def once(self, instance_id: str, send: Callable[[], None]) -> Delivery:
            threads.add(get_ident())
            return Delivery.FIRST

    outside.the_ledger = Noting()  # type: ignore[assignment]
    deliver(outside, *(ended(n) for n in range(50)), at_once=2)
    assert len(threads) <= 2


def test_the_backend_s_words_reach_the_outcome_line() -> None:
    outside = FakeOutside()

    class Refusing:
        def once(self, instance_id: str, send: Callable[[], None]) -> Delivery:
            raise BackendError("HTTP 404 (check AGENT_ID)")

    outside.the_ledger = Refusing()  # type: ignore[assignment]
    deliver(outside, ended(1))
    assert "HTTP 404 (check AGENT_ID)" in outside.the_journal.line(iid(1)).why


def test_the_ledger_is_made_before_the_threads_start() -> None:
    outside = FakeOutside()
    deliver(outside, *(ended(n) for n in range(8)))
    first_by = next(thread for port, thread in outside.touched if port == "ledger")
    assert first_by == get_ident()


def test_the_dry_run_reports_no_success_whoever_asks_for_it() -> None:
    outside = FakeOutside()
    deliver(outside, ended(1), dry_run=True)
    assert outside.the_backend.tried == []
