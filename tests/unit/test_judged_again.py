"""A decision that has waited, or that EC2 refused, is made again by what is true by then."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from handler.aws.errors import ErrorKind
from handler.aws.retry import FRESH_FOR
from handler.instances.model import State
from handler.instances.outcome import Denied, Left, Outcome
from handler.instances.surroundings import Leaving, Member
from tests.fakes.acting import GROUP, SHRINK, acted, decisions, group, outcome, outside, settled
from tests.fakes.build import OURS, error, iid, instance
from tests.fakes.clock import FakeClock
from tests.fakes.run import terminator


def test_a_protect_tag_set_while_ec2_throttles_is_obeyed() -> None:
    """A decision that has waited is made again before it is carried out."""
    around, clock = outside(3), FakeClock()
    around.fleet.faults = [error(ErrorKind.THROTTLED)]

    def protect() -> None:
        kept = instance(1, tags=OURS | {"DoNotTerminate": ""})
        around.fleet.instances[iid(1)] = kept

    around.fleet.before_look = protect
    outcomes = settled(around, acted(around, clock=clock))
    assert outcomes == {
        iid(0): Outcome.TERMINATED,
        iid(1): Outcome.REFUSED,
        iid(2): Outcome.TERMINATED,
    }
    assert around.fleet.called("terminate") == [(iid(0), iid(1), iid(2)), (iid(0), iid(2))]


def test_where_none_is_left_to_go_ec2_is_not_asked_again() -> None:
    around = outside(1)
    around.fleet.faults = [error(ErrorKind.THROTTLED)]
    around.fleet.before_look = lambda: around.fleet.instances.update({iid(0): instance(0, tags={})})
    (one,) = acted(around)
    assert isinstance(one, Left)
    assert one.outcome is Outcome.IGNORED
    assert len(around.fleet.called("terminate")) == 1


def test_an_old_decision_is_made_again_before_its_first_call() -> None:
    around, clock = outside(1), FakeClock()
    given = decisions(around)
    doing = terminator(around, given, clock=clock)
    decided_at = clock()
    clock.pass_by((FRESH_FOR + timedelta(seconds=1)).total_seconds())
    around.fleet.instances[iid(0)] = instance(0, tags=OURS | {"DoNotTerminate": "x"})
    ((one,), _) = list(doing.terminate(given, decided_at))
    assert isinstance(one, Denied)
    assert around.fleet.called("terminate") == []


def test_a_fresh_decision_costs_no_second_look() -> None:
    around = outside(3)
    acted(around)
    assert around.fleet.called("look") == []


def test_halves_of_a_refused_batch_are_looked_at_again() -> None:
    around = outside(4)
    around.fleet.forbidden = {iid(3)}
    around.fleet.before_look = lambda: around.fleet.instances.update(
        {iid(0): instance(0, tags=OURS | {"DoNotTerminate": ""})}
    )
    outcomes = settled(around, acted(around))
    assert outcomes[iid(0)] is Outcome.REFUSED
    assert around.fleet.terminated == [iid(1), iid(2)]


def test_a_member_in_the_meantime_protected_from_scale_in_stays() -> None:
    around = group(1)
    around.fleet.faults = [error(ErrorKind.THROTTLED)]
    free = Member(Leaving.NO, protected_from_scale_in=False, termination_protected=False)
    around.fleet.group_members = {iid(0): replace(free, protected_from_scale_in=True)}
    (one,) = acted(around, rules=SHRINK)
    assert isinstance(one, Denied)
    assert around.fleet.shrunk == []


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, Outcome.IGNORED),
        (OURS | {"LogicalAgentId": "somebody-else"}, Outcome.IGNORED),
        (OURS | {"DoNotTerminate": ""}, Outcome.REFUSED),
    ],
)
def test_what_ec2_refuses_is_settled_by_what_is_true_of_it_now(
    tags: dict[str, str], expected: Outcome
) -> None:
    around = outside(1)
    around.fleet.forbidden = {iid(0)}
    around.fleet.before_look = lambda: around.fleet.instances.update(
        {iid(0): instance(0, tags=tags)}
    )
    assert [outcome(one) for one in acted(around)] == [expected]


def test_what_was_left_out_of_a_call_does_not_put_the_blame_on_another() -> None:
    around = outside(4)
    around.fleet.forbidden = {iid(0)}
    around.fleet.before_look = lambda: around.fleet.instances.update(
        {iid(0): instance(0, tags=OURS | {"DoNotTerminate": ""})}
    )
    found = {one.marked.instance_id: outcome(one) for one in acted(around)}
    assert found == {iid(0): Outcome.REFUSED} | dict.fromkeys(
        [iid(n) for n in (1, 2, 3)], Outcome.TERMINATED
    )


def test_a_verdict_that_a_later_look_takes_back_does_not_stand() -> None:
    around = outside(2)
    around.fleet.faults = [
        error(ErrorKind.THROTTLED),
        error(ErrorKind.REFUSED, "OperationNotPermitted", "x", iid(1)),
    ]
    looks = iter([{iid(0): error(ErrorKind.FAULTY, "InternalError")}])
    around.fleet.before_look = lambda: setattr(around.fleet, "unreadable", next(looks, {}))
    found = {one.marked.instance_id: outcome(one) for one in acted(around)}
    assert around.fleet.terminated == [iid(0)]
    assert found[iid(0)] is Outcome.TERMINATED


def test_what_joined_a_group_meanwhile_is_not_ended_beside_it() -> None:
    around = outside(1)
    around.fleet.faults = [error(ErrorKind.THROTTLED)]
    around.fleet.before_look = lambda: around.fleet.instances.update(
        {iid(0): instance(0, tags=GROUP)}
    )
    assert [outcome(one) for one in acted(around, rules=SHRINK)] == [Outcome.DEFERRED]
    assert around.fleet.terminated == []


def test_what_ec2_accepted_without_a_word_and_does_not_show_is_not_known_to_have_failed() -> None:
    around = outside(1)
    around.fleet.silent = {iid(0)}
    around.fleet.unreadable = {iid(0): error(ErrorKind.THROTTLED)}
    assert [outcome(one) for one in acted(around)] == [Outcome.DEFERRED]
    assert around.fleet.terminated == [iid(0)]


def test_what_ended_by_itself_just_before_the_call_was_not_terminated_by_it() -> None:
    around = outside(1)
    around.fleet.before_terminate = lambda: around.fleet.change(
        iid(0), State.TERMINATED, by_api=False
    )
    assert [outcome(one) for one in acted(around)] == [Outcome.ALREADY_GONE]
