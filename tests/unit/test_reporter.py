"""Reports: while EC2 is still asked, a success once per window, and never lost without being said."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event, get_ident
from typing import Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.backend.errors import BackendError
from handler.deadline import Deadline
from handler.instances.model import Agent
from handler.instances.outcome import Denied, Ended, Left, Outcome, Result, Settled
from handler.instances.ports import Backend, Claim, Report
from handler.instances.reporter import GROUP, PAUSES, Reporter
from tests.fakes.build import NOW, iid, marked
from tests.fakes.clock import FakeClock
from tests.fakes.outside import FakeAgentBackend, FakeBackend, FakeTable

OTHER = Agent("agent-2")
LeftAs = Literal[Outcome.PLANNED, Outcome.PENDING, Outcome.IGNORED, Outcome.DEFERRED]


def ended(number: int, *, by_api: bool = True, agent: Agent | None = None) -> Ended:
    entry = marked(number, agent=agent) if agent else marked(number)
    return Ended(entry, by_api, NOW, "because", took=42.0)


def refused(number: int) -> Denied:
    return Denied(marked(number), Outcome.REFUSED, "a guard")


def failed(number: int) -> Denied:
    return Denied(marked(number), Outcome.FAILED, "EC2 said no")


@dataclass
class House:
    """A backend, a table, a clock, and what was settled; each report is one run's."""

    backend: FakeBackend = field(default_factory=FakeBackend)
    table: FakeTable = field(default_factory=FakeTable)
    clock: FakeClock = field(default_factory=FakeClock)
    lines: list[Settled] = field(default_factory=list)
    asked_for_table: list[int] = field(default_factory=list)
    settled_by: set[int] = field(default_factory=set)

    def the_table(self) -> FakeTable:
        self.asked_for_table.append(get_ident())
        return self.table

    def done(self, settled: Settled) -> None:
        self.settled_by.add(get_ident())
        self.lines.append(settled)

    def backend_of(self, agent: Agent) -> Backend:
        return FakeAgentBackend(agent, self.backend)

    def reporter(
        self, at_once: int = 4, deadline: Deadline | None = None, *, dry_run: bool = False
    ) -> Reporter:
        return Reporter(
            self.backend_of,
            self.the_table,
            deadline or self.clock.deadline(),
            at_once,
            self.done,
            dry_run=dry_run,
            sleep=self.clock.sleep,
        )

    def report(self, *results: Result, at_once: int = 4, dry_run: bool = False) -> list[Settled]:
        """One run; every result comes back, settled once."""
        self.lines.clear()
        reporter = self.reporter(at_once, dry_run=dry_run)
        reporter.submit(results)
        found = reporter.finish()
        assert found == self.lines
        assert sorted(one.marked.instance_id for one in found) == sorted(
            one.marked.instance_id for one in results
        )
        return found

    def outcomes(self, *results: Result, at_once: int = 4) -> dict[str, Outcome]:
        found = self.report(*results, at_once=at_once)
        return {one.marked.instance_id: one.outcome for one in found}


@pytest.fixture
def house() -> House:
    return House()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.mark.parametrize(
    ("by_api", "outcome"), [(True, Outcome.TERMINATED), (False, Outcome.ALREADY_GONE)]
)
def test_a_success_is_reported_with_its_end(
    house: House, *, by_api: bool, outcome: Outcome
) -> None:
    (one,) = house.report(ended(1, by_api=by_api))
    assert (one.outcome, one.took) == (outcome, 42.0)
    assert house.backend.reports == [Report(iid(1), None, NOW)]


@pytest.mark.parametrize("denied", [refused(1), failed(1)])
def test_a_failure_is_reported_with_its_reason_and_no_end(house: House, denied: Denied) -> None:
    (one,) = house.report(denied)
    assert (one.outcome, one.took) == (denied.outcome, None)
    assert house.backend.reports == [Report(iid(1), denied.why, None)]
    assert house.asked_for_table == []
    house.backend.deaf_to = {iid(1): None}
    house.backend.tried.clear()
    (one,) = house.report(denied)
    assert one.outcome is denied.outcome, "the next run tries again"
    assert one.why == f"{denied.why}; its report did not get through: HTTP 500"
    assert len(house.backend.tried) == 1


@pytest.mark.parametrize("outcome", get_args(LeftAs))
def test_what_was_left_alone_is_not_reported(house: House, outcome: LeftAs) -> None:
    before = threading.active_count()
    (one,) = house.report(Left(marked(1), outcome, "so", untagged=True))
    assert (one.outcome, one.untagged) == (outcome, True)
    assert (house.backend.tried, house.asked_for_table) == ([], [])
    assert threading.active_count() <= before, "an idle run starts no thread"


def test_a_dry_run_reports_nothing(house: House) -> None:
    """Contract section 2: `refused` and `failed` are counted, what has ended is `deferred`."""
    found = house.report(refused(1), failed(2), ended(3), dry_run=True)
    assert [one.outcome for one in found] == [Outcome.REFUSED, Outcome.FAILED, Outcome.DEFERRED]
    assert (house.backend.tried, house.asked_for_table) == ([], [])


def test_a_success_is_unreported_until_it_is_acknowledged_and_replayed_afterwards(
    house: House,
) -> None:
    house.backend.deaf_to = {iid(1): None}
    (one,) = house.report(ended(1))
    assert (one.outcome, one.took) == (Outcome.UNREPORTED, None)
    assert one.why == "because; its report did not get through: HTTP 500"
    assert (house.table.released, house.table.reported) == ([iid(1)], set())
    house.backend.deaf_to = {}
    assert house.outcomes(ended(1)) == {iid(1): Outcome.TERMINATED}
    house.backend.tried.clear()
    (one,) = house.report(ended(1))
    assert (one.outcome, one.took) == (Outcome.REPLAYED, None)
    assert one.why == "because; success was reported before"
    assert house.backend.tried == []


def test_reports_are_made_and_kept_while_the_run_goes_on(house: House) -> None:
    reporter = house.reporter()
    reporter.submit([ended(1)])
    until(lambda: house.table.reported == {iid(1)})
    reporter.submit([ended(2)])
    assert [one.marked.instance_id for one in house.lines] == [iid(1)], "told at once"
    assert len(reporter.finish()) == 2


def test_a_table_that_is_slow_does_not_hold_up_the_run(house: House) -> None:
    answer, claim = Event(), house.table.claim

    def slowly(instance_ids: Sequence[str]) -> dict[str, Claim]:
        assert answer.wait(10)
        return claim(instance_ids)

    house.table.claim = slowly  # type: ignore[method-assign]
    reporter = house.reporter()
    reporter.submit([ended(1)])  # would not come back if it asked the table itself
    answer.set()
    assert [one.outcome for one in reporter.finish()] == [Outcome.TERMINATED]


def test_the_table_is_told_in_groups(house: House) -> None:
    claimed, kept = list[int](), list[int]()
    claim, acknowledged = house.table.claim, house.table.acknowledged

    def note_claim(ids: Sequence[str]) -> dict[str, Claim]:
        claimed.append(len(ids))
        return claim(ids)

    def note_kept(ids: Sequence[str]) -> None:
        kept.append(len(ids))
        acknowledged(ids)

    house.table.claim, house.table.acknowledged = note_claim, note_kept  # type: ignore[method-assign, assignment]
    house.report(*(ended(number) for number in range(2 * GROUP + 50)))
    assert claimed == [GROUP, GROUP, 50]
    assert (sum(kept), len(kept) < 20) == (2 * GROUP + 50, True)


def test_the_table_is_made_and_outcomes_are_told_by_the_caller_s_thread(house: House) -> None:
    """boto3's sessions are not for several threads, nor is a journal."""
    house.report(*(ended(number) for number in range(8)), refused(9))
    assert house.asked_for_table[0] == get_ident()
    assert house.settled_by == {get_ident()}


def test_no_more_are_under_way_than_allowed_and_no_thread_stays(house: House) -> None:
    before, threads = threading.active_count(), set[int]()
    house.backend.on_report = lambda _: threads.add(get_ident())
    house.report(*(ended(number) for number in range(50)), at_once=2)
    assert len(threads) <= 2
    until(lambda: threading.active_count() <= before)


# What is lost


def test_a_success_that_is_not_acknowledged_is_made_again_when_the_others_had_their_turn(
    house: House,
) -> None:
    """Contract section 1, quirk 8: what was answered with 500 may never be listed again."""
    house.backend.deaf_to = {iid(1): 2}
    found = house.outcomes(ended(1), refused(3), ended(2), at_once=1)
    assert found == {
        iid(1): Outcome.TERMINATED,
        iid(2): Outcome.TERMINATED,
        iid(3): Outcome.REFUSED,
    }
    order = [one.instance_id for one in house.backend.tried]
    assert order == [iid(1), iid(2), iid(3), iid(1), iid(1)]
    assert tuple(house.clock.slept) == PAUSES
    assert (house.table.reported, house.table.released) == ({iid(1), iid(2)}, [])


@pytest.mark.parametrize(
    ("status", "tries"),
    [
        *((status, 1 + len(PAUSES)) for status in (None, 200, 408, 425, 429, 500, 520)),
        *((status, 1) for status in (301, 400, 401, 403, 404)),
    ],
)
def test_what_may_pass_is_tried_again_and_nothing_else(
    house: House, status: int | None, tries: int
) -> None:
    def lost(_: Report) -> None:
        raise BackendError("HTTP 404 (check AGENT_ID)", status)

    house.backend.on_report = lost
    (one,) = house.report(ended(1))
    assert len(house.backend.tried) == tries
    assert (one.outcome, len(house.clock.slept)) == (Outcome.UNREPORTED, tries - 1)
    assert "HTTP 404 (check AGENT_ID)" in one.why


def test_without_time_for_a_pause_there_is_none() -> None:
    house = House(clock=FakeClock(3))
    house.backend.deaf_to = {iid(1): 1}
    assert house.outcomes(ended(1)) == {iid(1): Outcome.TERMINATED}
    assert house.clock.slept == []


def test_whatever_one_report_raises_is_its_own_trouble(house: House) -> None:
    """What is no error of the backend's may hold anything: only its kind is told."""

    def odd(report: Report) -> None:
        if report.instance_id in {iid(1), iid(2)}:
            raise KeyError("Bearer s3cret")

    house.backend.on_report = odd
    results = ended(1), refused(2), ended(3), refused(4)
    found = {one.marked.instance_id: one for one in house.report(*results)}
    assert found[iid(1)].outcome is Outcome.UNREPORTED
    assert found[iid(1)].why == "because; its report did not get through: KeyError"
    assert found[iid(2)].why == "a guard; its report did not get through: KeyError"
    assert found[iid(3)].outcome is Outcome.TERMINATED
    assert found[iid(4)].outcome is Outcome.REFUSED


def test_an_agent_whose_backend_is_not_to_be_had_is_its_own_trouble(house: House) -> None:
    backend_of = house.backend_of

    def one_of_them(agent: Agent) -> Backend:
        if agent == OTHER:
            raise LookupError
        return backend_of(agent)

    house.backend_of = one_of_them  # type: ignore[method-assign]
    found = house.outcomes(ended(1), ended(2, agent=OTHER))
    assert found == {iid(1): Outcome.TERMINATED, iid(2): Outcome.UNREPORTED}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_table_that_breaks_its_word_costs_reports_and_no_run(house: House) -> None:
    def broken(_: Sequence[str]) -> dict[str, Claim]:
        raise RuntimeError

    house.table.claim = broken  # type: ignore[method-assign, assignment]
    found = house.outcomes(ended(1), refused(2))
    assert found == {iid(1): Outcome.UNREPORTED, iid(2): Outcome.REFUSED}
    until(lambda: not any("(_clerk)" in one.name for one in threading.enumerate()))


# A run that is cut short


def test_when_the_time_is_up_nothing_is_claimed_or_begun(house: House) -> None:
    reporter = house.reporter()
    house.clock.pass_by(58.5)
    reporter.submit([ended(1), failed(2)])
    assert {one.outcome for one in reporter.finish()} == {Outcome.UNREPORTED, Outcome.FAILED}
    assert (house.backend.tried, house.table.asked) == ([], 0)


def test_a_report_whose_answer_would_not_be_heard_is_not_begun() -> None:
    """It would count as unreported, then as replayed, and never in the metric."""
    house = House(clock=FakeClock(30))
    house.backend.on_report = lambda _: house.clock.pass_by(3)
    found = house.report(*(ended(number) for number in range(20)), at_once=1)
    heard = {one.marked.instance_id for one in found if one.outcome is Outcome.TERMINATED}
    begun = {one.instance_id for one in house.backend.tried}
    assert 5 <= len(begun) < 20
    assert heard == begun == house.table.reported
    assert house.clock.left > 0
    others = [one for one in found if one.marked.instance_id not in begun]
    assert {one.outcome for one in others} == {Outcome.UNREPORTED}
    assert set(house.table.released) == {one.marked.instance_id for one in others}


def test_an_answer_that_comes_too_late_is_neither_counted_nor_kept(house: House) -> None:
    """Else the next run would find it replayed, and it would never be in the metric."""
    go, before, end = Event(), threading.active_count(), time.monotonic() + 1.3
    house.backend.on_report = lambda _: (go.wait(10), None)[1]
    reporter = house.reporter(deadline=Deadline(lambda: end - time.monotonic()))
    reporter.submit([ended(1)])
    assert [one.outcome for one in reporter.finish()] == [Outcome.UNREPORTED]
    go.set()
    until(lambda: threading.active_count() <= before)
    assert house.backend.successes() == [iid(1)]
    assert (house.table.reported, house.table.released) == (set(), [])


MEETS = st.sampled_from(["nothing", "lost once", "lost", "odd", "reported", "under way"])


@given(
    st.lists(st.tuples(st.sampled_from(["ended", "denied", "left"]), MEETS), max_size=30),
    st.integers(1, 5),
    st.integers(1, 8),
)
def test_everything_comes_back_once_and_successes_are_reported_once(
    cases: list[tuple[str, str]], parts: int, at_once: int
) -> None:
    house = House()
    results: list[Result] = []
    odd = set()
    for number, (kind, meets) in enumerate(cases):
        one = iid(number)
        left = Left(marked(number), Outcome.PENDING, "wait")
        made: dict[str, Result] = {"ended": ended(number), "denied": refused(number), "left": left}
        results.append(made[kind])
        if meets == "reported":
            house.table.reported.add(one)
        elif meets == "under way":
            house.table.under_way.add(one)
        elif meets == "odd":
            odd.add(one)
        elif meets != "nothing":
            house.backend.deaf_to[one] = 1 if meets == "lost once" else None

    def trouble(report: Report) -> None:
        if report.instance_id in odd:
            raise ZeroDivisionError

    house.backend.on_report = trouble
    reporter = house.reporter(at_once)
    for part in range(parts):
        reporter.submit(results[part::parts])
    found = {one.marked.instance_id: one.outcome for one in reporter.finish()}
    assert len(house.lines) == len(cases) == len(found)
    expected = {
        "nothing": Outcome.TERMINATED,
        "lost once": Outcome.TERMINATED,
        "lost": Outcome.UNREPORTED,
        "odd": Outcome.UNREPORTED,
        "reported": Outcome.REPLAYED,
        "under way": Outcome.DEFERRED,
    }
    for number, (kind, meets) in enumerate(cases):
        outcome = {"denied": Outcome.REFUSED, "left": Outcome.PENDING}.get(kind, expected[meets])
        assert found[iid(number)] is outcome
    successes = house.backend.successes()
    assert len(successes) == len(set(successes))
