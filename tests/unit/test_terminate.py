"""Terminating what was decided, over a fleet that behaves as AWS documents it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handler.aws.errors import ErrorKind
from handler.aws.retry import TRIES_WITHOUT_ANSWER
from handler.instances.model import Ending, State
from handler.instances.outcome import Ended, Outcome, Trace
from handler.instances.rules import MissingPolicy
from handler.instances.terminate import CALLS_PER_RUN, explain
from tests.fakes.acting import SHRINK, acted, decisions, group, outcome, outside, settled
from tests.fakes.build import NOW, error, iid, instance, policy
from tests.fakes.clock import FakeClock
from tests.fakes.run import terminator


def test_what_ec2_accepts_is_terminated_with_its_states_time_and_request() -> None:
    around = outside()
    (one,) = acted(around)
    trace = Trace(None, "running", "shutting-down", "req-terminate")
    assert one == Ended(one.marked, by_api=True, at=NOW, why="zombie_timeout", trace=trace)
    assert around.journal.accepted_calls == [((iid(0),), "req-terminate")]


def test_zones_are_separate_calls() -> None:
    """A protected instance spares its whole zone (AWS, TerminateInstances)."""
    around = outside(9, zones=3)
    around.fleet.protected = {iid(0)}
    outcomes = settled(around, acted(around))
    assert outcomes.pop(iid(0)) is Outcome.FAILED
    assert set(outcomes.values()) == {Outcome.TERMINATED}
    calls = around.fleet.called("terminate")
    assert all(len({int(one, 16) % 3 for one in (i[2:] for i in call)}) == 1 for call in calls)
    assert (iid(1), iid(4), iid(7)) in calls
    assert (iid(2), iid(5), iid(8)) in calls


@pytest.mark.parametrize("how", ["protected", "forbidden"])
def test_one_bad_one_does_not_stop_the_others(how: str) -> None:
    around = outside(20)
    setattr(around.fleet, how, {iid(13)})
    outcomes = settled(around, acted(around))
    assert [one for one, outcome in outcomes.items() if outcome is Outcome.FAILED] == [iid(13)]
    assert set(around.fleet.terminated) == set(around.fleet.instances) - {iid(13)}


def test_an_unauthorized_one_is_failed_in_the_original_daemon_s_words_and_ec2_s() -> None:
    around = outside(2)
    around.fleet.forbidden = {iid(1)}
    found = {one.marked.instance_id: one for one in acted(around)}
    assert found[iid(1)].why == (
        f"UnauthorizedOperation: IAM permissions insufficient to terminate instance {iid(1)}: "
        "You are not authorized."
    )
    assert found[iid(1)].trace.error_code == "UnauthorizedOperation"


def test_any_other_refusal_is_told_with_code_and_message() -> None:
    assert explain(error(ErrorKind.REFUSED, "Code", "words"), iid(1)) == "Code: words"


@pytest.mark.parametrize("state", ["running", "stopping", "stopped", "pending", "rebooting"])
def test_a_returned_state_that_is_no_end_is_a_failure(state: str) -> None:
    """ec2.md: "Success is a returned state ..., not the absence of an exception"."""
    around = outside(2)
    around.fleet.odd_states = {iid(1): state}
    found = {one.marked.instance_id: one for one in acted(around)}
    assert outcome(found[iid(0)]) is Outcome.TERMINATED
    assert outcome(found[iid(1)]) is Outcome.FAILED
    assert found[iid(1)].trace.error_code == "UnexpectedState"
    assert state in found[iid(1)].why


def test_an_id_that_is_missing_from_the_answer_is_looked_at() -> None:
    around = outside(2)
    around.fleet.silent = {iid(0), iid(1)}
    around.fleet.odd_states = {iid(1): "running"}
    around.fleet.silent = {iid(0)}
    outcomes = settled(around, acted(around))
    assert outcomes == {iid(0): Outcome.TERMINATED, iid(1): Outcome.FAILED}


def test_a_call_whose_answer_was_lost_is_looked_at_and_not_made_again() -> None:
    around = outside(3)
    around.fleet.lost_answers = True
    around.fleet.faults = [error(ErrorKind.NO_ANSWER)]
    outcomes = settled(around, acted(around))
    assert set(outcomes.values()) == {Outcome.TERMINATED}
    assert len(around.fleet.called("terminate")) == 1
    assert sorted(around.fleet.terminated) == sorted(around.fleet.instances)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(ErrorKind.NO_ANSWER, Outcome.DEFERRED), (ErrorKind.FAULTY, Outcome.FAILED)],
)
def test_what_was_not_answered_and_still_runs_is_no_success(
    kind: ErrorKind, expected: Outcome
) -> None:
    around = outside(2)
    around.fleet.faults = [error(kind)] * TRIES_WITHOUT_ANSWER
    found = acted(around)
    assert set(settled(around, found).values()) == {expected}
    assert {one.trace.error_code for one in found} == {"SomeCode"}


def test_a_throttle_is_waited_out_with_growing_pauses() -> None:
    around, clock = outside(2), FakeClock()
    around.fleet.faults = [error(ErrorKind.THROTTLED)] * 4
    outcomes = settled(around, acted(around, clock=clock))
    assert set(outcomes.values()) == {Outcome.TERMINATED}
    assert len(clock.slept) == 4
    for slept, longest in zip(clock.slept, (0.25, 0.5, 1, 2), strict=True):
        assert longest / 2 <= slept <= longest


def test_a_throttle_that_outlasts_the_run_is_deferred_and_not_failed() -> None:
    """Deferred, and not reported as failed."""
    around, clock = outside(2), FakeClock(60)
    around.fleet.faults = [error(ErrorKind.THROTTLED)] * 10_000
    outcomes = settled(around, acted(around, clock=clock))
    assert set(outcomes.values()) == {Outcome.DEFERRED}
    assert clock.deadline().to_report() > 0
    assert clock.left >= 15


def test_without_time_nothing_is_asked() -> None:
    around, clock = outside(3), FakeClock(60)
    given = decisions(around)
    doing = terminator(around, given, clock=clock)
    clock.pass_by(43.5)
    found = [one for results in doing.terminate(given, clock()) for one in results]
    assert set(settled(around, found).values()) == {Outcome.DEFERRED}
    assert around.fleet.calls == []
    assert {one.trace.error_code for one in found} == {"OutOfTime"}


def test_a_run_makes_no_more_than_its_calls() -> None:
    around = outside(700)
    around.fleet.forbidden = set(around.fleet.instances)
    outcomes = settled(around, acted(around))
    assert len(around.fleet.called("terminate")) == CALLS_PER_RUN
    assert set(outcomes.values()) == {Outcome.FAILED, Outcome.DEFERRED}


@pytest.mark.parametrize("kind", [ErrorKind.LOCKED_OUT, ErrorKind.NO_SUCH_CALL])
def test_a_caller_who_is_locked_out_asks_once_and_fails(kind: ErrorKind) -> None:
    around = outside(30)
    around.fleet.faults = [error(kind, "AuthFailure", "no")] * 10
    found = acted(around)
    assert set(settled(around, found).values()) == {Outcome.FAILED}
    assert len(around.fleet.called("terminate")) == 1
    assert {one.why for one in found} == {"AuthFailure: no"}


def test_a_refused_one_that_somebody_else_has_terminated_is_a_success() -> None:
    around = outside(2)
    around.fleet.forbidden = {iid(1)}
    around.fleet.before_look = lambda: around.fleet.change(iid(1), State.TERMINATED, by_api=False)
    outcomes = settled(around, acted(around))
    assert outcomes == {iid(0): Outcome.TERMINATED, iid(1): Outcome.ALREADY_GONE}


def test_the_end_s_own_time_is_told_where_ec2_knows_it() -> None:
    around = outside(1)
    around.fleet.forbidden = {iid(0)}
    ended = replace(
        instance(0, State.TERMINATED), ending=Ending(by_api=True, at=NOW.replace(hour=9))
    )
    around.fleet.before_look = lambda: around.fleet.instances.update({iid(0): ended})
    (one,) = acted(around)
    assert isinstance(one, Ended)
    assert (outcome(one), one.at) == (Outcome.TERMINATED, NOW.replace(hour=9))


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        (MissingPolicy.REPORT_TERMINATED, Outcome.DEFERRED),
        (MissingPolicy.IGNORE, Outcome.IGNORED),
        (MissingPolicy.VERIFY, Outcome.DEFERRED),
    ],
)
def test_one_that_vanishes_between_look_and_call_is_no_success(
    missing: MissingPolicy, expected: Outcome
) -> None:
    around = outside(3)
    given = decisions(around)
    del around.fleet.instances[iid(1)]
    found = acted(around, given, policy(missing_instance=missing))
    outcomes = {one.marked.instance_id: outcome(one) for one in found}
    assert outcomes == {
        iid(0): Outcome.TERMINATED,
        iid(1): expected,
        iid(2): Outcome.TERMINATED,
    }
    assert around.fleet.called("terminate")[1:] == [(iid(0), iid(2))]


def test_an_id_that_ec2_calls_unknown_and_shows_is_left_to_the_next_run() -> None:
    around = outside(1)
    around.fleet.faults = [error(ErrorKind.MISSING, "InvalidInstanceID.NotFound", "no", iid(0))]
    (one,) = acted(around)
    assert outcome(one) is Outcome.DEFERRED
    assert one.why.startswith("EC2 contradicts itself")
    around.fleet.faults = [error(ErrorKind.MISSING, "InvalidInstanceID.NotFound", "no", iid(0))]
    around.fleet.unreadable = {iid(0): error(ErrorKind.THROTTLED)}
    (one,) = acted(around)
    assert outcome(one) is Outcome.DEFERRED, "nor one that cannot be asked about"


def test_a_refused_one_that_cannot_be_looked_at_is_failed() -> None:
    around = outside(1)
    around.fleet.protected = {iid(0)}
    around.fleet.unreadable = {iid(0): error(ErrorKind.THROTTLED)}
    (one,) = acted(around)
    assert (outcome(one), one.trace.error_code) == (Outcome.FAILED, "OperationNotPermitted")


@pytest.mark.parametrize("kind", [ErrorKind.REFUSED, ErrorKind.NO_ANSWER, ErrorKind.FAULTY])
def test_one_that_ec2_did_not_call_unknown_is_not_gone_because_one_look_misses_it(
    kind: ErrorKind,
) -> None:
    """DescribeInstances is eventually consistent; a false success hides a machine for ever."""
    around = outside(1)
    given = decisions(around)
    around.fleet.faults = [error(kind, "OperationNotPermitted")] * TRIES_WITHOUT_ANSWER
    around.fleet.before_look = around.fleet.instances.clear
    (one,) = acted(around, given)
    assert outcome(one) in {Outcome.FAILED, Outcome.DEFERRED}


def test_under_confirmation_acceptance_is_pending_and_terminated_is_confirmed() -> None:
    around = outside(1)
    (one,) = acted(around, rules=policy(confirm_termination=True))
    assert (outcome(one), one.trace.current_state) == (Outcome.PENDING, "shutting-down")
    given = decisions(around)
    around.fleet.change(iid(0), State.TERMINATED)
    (one,) = acted(around, given, policy(confirm_termination=True))
    assert outcome(one) is Outcome.TERMINATED, "returned as terminated"


def test_the_dry_run_asks_and_changes_nothing() -> None:
    around = outside(5)
    found = acted(around, rules=policy(dry_run=True))
    assert set(settled(around, found).values()) == {Outcome.PLANNED}
    assert around.fleet.terminated == []
    assert around.fleet.called("terminate") == []
    assert around.journal.accepted_calls == []


def test_a_group_s_member_is_terminated_through_its_group() -> None:
    around = group(2)
    found = acted(around, rules=SHRINK)
    assert set(settled(around, found).values()) == {Outcome.TERMINATED}
    assert around.fleet.shrunk == [iid(0), iid(1)]
    assert around.fleet.called("terminate") == []
    assert around.journal.accepted_calls == [
        ((iid(0),), "req-shrink"),
        ((iid(1),), "req-shrink"),
    ]


def test_a_group_that_says_no_fails_its_own_member_only() -> None:
    around = group(2)
    around.fleet.faults = [error(ErrorKind.REFUSED, "ValidationError", "no such member")]
    outcomes = settled(around, acted(around, rules=SHRINK))
    assert outcomes == {iid(0): Outcome.FAILED, iid(1): Outcome.TERMINATED}


def test_the_dry_run_does_not_shrink_a_group() -> None:
    around = group(1)
    (one,) = acted(around, rules=replace(SHRINK, dry_run=True))
    assert outcome(one) is Outcome.PLANNED
    assert around.fleet.shrunk == []
    assert around.fleet.called("dry-terminate") == [(iid(0),)]
