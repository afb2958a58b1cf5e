"""By how much the backend's clock is off: only what nothing else explains."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.doctor.clock import judge_skew, least_skew
from handler.doctor.findings import Status
from tests.fakes.build import NOW

SECOND = timedelta(seconds=1)


class TestTheClock:
    @pytest.mark.parametrize(
        ("stated", "sent", "received", "skew"),
        [
            (0.0, 0.0, 0.0, 0.0),
            (0.0, 0.9, 0.9, 0.0),  # a date is cut to the second
            (0.0, 0.0, 8.0, 0.0),  # a slow answer is no skew
            (3.0, 0.0, 8.0, 0.0),
            (10.0, 0.0, 2.0, 8.0),
            (-10.0, 0.0, 2.0, -9.0),
            (-0.5, 0.0, 0.1, 0.0),
        ],
    )
    def test_only_what_nothing_else_explains_is_skew(
        self, stated: float, sent: float, received: float, skew: float
    ) -> None:
        found = least_skew(NOW + stated * SECOND, NOW + sent * SECOND, NOW + received * SECOND)
        assert found == pytest.approx(skew)

    @given(st.floats(-300, 300), st.floats(0, 10), st.floats(0, 10))
    def test_the_true_skew_is_never_less(self, true: float, there: float, back: float) -> None:
        sent = NOW
        answered = sent + there * SECOND
        stated = (answered + true * SECOND).replace(microsecond=0)
        found = least_skew(stated, sent, answered + back * SECOND)
        assert abs(found) <= abs(true) + 1e-5
        assert found * true >= 0

    @pytest.mark.parametrize(
        ("skew", "status"),
        [
            (0, Status.OK),
            (5, Status.OK),
            (-5, Status.OK),
            (5.1, Status.WARNING),
            (-5.1, Status.WARNING),
            (60, Status.WARNING),
            (60.1, Status.FAILED),
            (-61, Status.FAILED),
            (86400, Status.FAILED),
        ],
    )
    def test_it_warns_over_5_seconds_and_fails_over_60(self, skew: float, status: Status) -> None:
        assert judge_skew(skew).status is status

    def test_it_says_in_which_direction(self) -> None:
        assert "70 s ahead of ours" in judge_skew(70).found
        assert "70 s behind ours" in judge_skew(-70).found
