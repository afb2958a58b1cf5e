"""How a run's time is shared out."""

from __future__ import annotations

import pytest

from tests.fakes.clock import FakeClock


@pytest.mark.parametrize(
    ("total", "to_act", "to_report"),
    [(60, 43, 58), (55, 38, 53), (900, 883, 898), (10, 6.5, 9.5), (0, 0, 0)],
)
def test_the_shares_of_a_run(total: float, to_act: float, to_report: float) -> None:
    deadline = FakeClock(total).deadline()
    assert deadline.to_act() == pytest.approx(to_act)
    assert deadline.to_report() == pytest.approx(to_report)


def test_the_shares_do_not_shrink_with_the_time_that_is_left() -> None:
    clock = FakeClock(60)
    deadline = clock.deadline()
    clock.pass_by(43)
    assert deadline.to_act() == pytest.approx(0)
    assert deadline.to_report() == pytest.approx(15)
    clock.pass_by(16)
    assert deadline.to_act() < 0
    assert deadline.to_report() < 0


def test_a_run_that_begins_too_late_has_no_time_at_all() -> None:
    deadline = FakeClock(-1).deadline()
    assert deadline.to_act() < 0
    assert deadline.to_report() < 0
