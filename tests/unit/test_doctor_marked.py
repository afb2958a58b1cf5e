"""What the doctor says of the list: decided as a run decides, and nothing is done."""

from __future__ import annotations

from collections.abc import Mapping

from handler.aws.errors import AwsError, ErrorKind
from handler.doctor.findings import (
    Finding,
    Status,
)
from handler.doctor.marked import foresee, judge_decided
from handler.instances.decide import Decided, Judge
from handler.instances.guard import GROUP_TAG
from handler.instances.model import Listing
from tests.fakes.build import NOW, OURS, iid, instance, limits, marked, policy
from tests.fakes.clock import FakeClock
from tests.fakes.fleet import FakeFleet


class TestTheList:
    """`decide()` on what the backend lists."""

    def judge(self, fleet: FakeFleet, *numbers: int, percent: int = 100, cap: int = 500) -> Finding:
        listing = Listing(tuple(marked(number) for number in numbers), (), True)
        most = limits(max_fleet_percent=percent, max_terminations_per_run=cap)
        judge = Judge(lambda: fleet, policy(), FakeClock().patience(), lambda: NOW)
        finding = foresee(judge, listing, most)
        assert not fleet.terminated
        return finding

    def test_nothing_listed_is_explained(self) -> None:
        assert "terminate_wait_seconds" in self.judge(FakeFleet()).found

    def test_what_would_be_terminated_is_counted(self) -> None:
        finding = self.judge(FakeFleet([instance(1), instance(2)]), 1, 2, 3)
        assert finding.status is Status.OK
        assert f"of 3 listed, 2 would be terminated ({iid(1)}, {iid(2)})" in finding.found
        assert f"1 have ended and would be reported ({iid(3)})" in finding.found

    def test_what_the_guards_refuse_is_told_by_its_reason(self) -> None:
        fleet = FakeFleet(
            [
                instance(1),
                instance(2, tags={}),
                instance(3, tags={}),
                instance(4, tags=OURS | {"DoNotTerminate": ""}),
            ]
        )
        finding = self.judge(fleet, 1, 2, 3, 4)
        assert finding.status is Status.WARNING
        assert "2 would be refused: required tag missing: ManagedBy=SpotOptimizer" in finding.found
        assert "1 would be refused: protected by its tag DoNotTerminate" in finding.found

    def test_a_blown_fuse_is_a_failure(self) -> None:
        fleet = FakeFleet([instance(1), instance(2), instance(3)])
        finding = self.judge(fleet, 1, 2, percent=50)
        assert finding.status is Status.FAILED
        assert "2 are more than 50 % of 3 live instances" in finding.found
        assert self.judge(fleet, 1, percent=50).status is Status.OK

    def test_what_is_over_the_cap_waits(self) -> None:
        finding = self.judge(FakeFleet([instance(1), instance(2)]), 1, 2, cap=1)
        assert finding.status is Status.OK
        assert "1 of them only by later runs (MAX_TERMINATIONS_PER_RUN)" in finding.found

    def test_many_reasons_are_cut_short(self) -> None:
        fleet = FakeFleet(instance(n, tags=OURS | {GROUP_TAG: f"g{n}"}) for n in range(9))
        assert "and 4 more reasons" in self.judge(fleet, *range(9)).found

    def test_what_cannot_be_looked_at_is_said(self) -> None:
        error = AwsError("X", "m", ErrorKind.FAULTY)
        finding = judge_decided(Decided([], error), None, limits())
        assert finding.status is Status.WARNING
        assert "the rest could not be looked at: X: m" in finding.found

    def test_a_fleet_that_cannot_be_counted_blows_the_fuse_and_says_why(self) -> None:
        class Uncounted(FakeFleet):
            def fleet_size(self, _: Mapping[str, str]) -> AwsError:
                return AwsError("UnauthorizedOperation", "m", ErrorKind.REFUSED, denied=True)

        finding = self.judge(Uncounted([instance(1)]), 1, percent=50)
        assert finding.status is Status.FAILED
        assert "the fleet cannot be counted (UnauthorizedOperation: m)" in finding.found
