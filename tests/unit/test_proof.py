"""What EC2 does not know counts as gone only with proof (contract, quirk 3)."""

from __future__ import annotations

from handler.instances.proof import prove

from handler.aws.errors import ErrorKind
from handler.instances.guard import Action, Decision
from handler.instances.outcome import Outcome
from tests.fakes.build import NOW, error, iid, marked
from tests.fakes.clock import FakeClock
from tests.fakes.outside import FakeOutside


def unproven(number: int) -> Decision:
    return Decision(
        marked(number), Action.PROVE, Outcome.ALREADY_GONE, "EC2 does not know it", None, NOW
    )


def test_what_lived_here_is_reported_and_what_did_not_is_ignored() -> None:
    outside = FakeOutside()
    outside.the_history.lived = {iid(1)}
    ours, theirs = prove([unproven(1), unproven(2)], outside, FakeClock().patience())
    assert (ours.action, ours.outcome, ours.ended_at) == (Action.REPORT, Outcome.ALREADY_GONE, NOW)
    assert (theirs.action, theirs.outcome) == (Action.SETTLE, Outcome.IGNORED)
    assert "another account's" in theirs.why


def test_a_history_that_cannot_be_asked_proves_nothing() -> None:
    outside = FakeOutside()
    outside.the_history.lived = {iid(1)}
    outside.the_history.error = error(ErrorKind.REFUSED, "AccessDenied", "no")
    (one,) = prove([unproven(1)], outside, FakeClock().patience())
    assert (one.action, one.outcome) == (Action.SETTLE, Outcome.DEFERRED)
    assert "AccessDenied: no" in one.why


def test_without_time_nothing_is_proven() -> None:
    outside, clock = FakeOutside(), FakeClock(60)
    patience = clock.patience()
    clock.pass_by(44)
    (one,) = prove([unproven(1)], outside, patience)
    assert one.outcome is Outcome.DEFERRED
    assert outside.ports() == set()


def test_nothing_to_prove_does_not_touch_the_history() -> None:
    outside = FakeOutside()
    assert prove([], outside, FakeClock().patience()) == []
    assert outside.ports() == set()
