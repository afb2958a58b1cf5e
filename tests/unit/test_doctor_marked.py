"""What the doctor says of the list: decided as a run decides, and nothing is done."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from handler.aws.errors import AwsError, ErrorKind
from handler.doctor.findings import Finding, Status
from handler.doctor.marked import Foreseen, examine, judge_decided
from handler.instances.guard import GROUP_TAG
from tests.fakes.build import AGENT, OURS, iid, instance, limits, listing, marked
from tests.fakes.dependencies import dependencies
from tests.fakes.fleet import FakeFleet


class TestTheList:
    """What a run for all agents would make of the lists."""

    def judge(self, fleet: FakeFleet, *numbers: int, percent: int = 100, cap: int = 500) -> Finding:
        it = dependencies(machines=fleet)
        it.limits = lambda _: limits(max_fleet_percent=percent, max_terminations_per_run=cap)
        it.listings[AGENT.agent_id] = listing(*(marked(number) for number in numbers))
        (finding,) = examine.examine(it)
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
                instance(2, operator="eks.amazonaws.com"),
                instance(3, operator="eks.amazonaws.com"),
                instance(4, tags=OURS | {"DoNotTerminate": ""}),
            ]
        )
        finding = self.judge(fleet, 1, 2, 3, 4)
        assert finding.status is Status.WARNING
        assert "2 would be refused: managed by the AWS service eks.amazonaws.com" in finding.found
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
        finding = judge_decided(Foreseen([], error), None, limits())
        assert finding.status is Status.WARNING
        assert "the rest could not be looked at: X: m" in finding.found

    def test_a_fleet_that_cannot_be_counted_blows_the_fuse_and_says_why(self) -> None:
        class Uncounted(FakeFleet):
            def fleet_size(self, tags: Mapping[str, str], *, or_keys: Collection[str]) -> AwsError:
                return AwsError("UnauthorizedOperation", "m", ErrorKind.REFUSED, denied=True)

        finding = self.judge(Uncounted([instance(1)]), 1, percent=50)
        assert finding.status is Status.FAILED
        assert "the fleet cannot be counted (UnauthorizedOperation: m)" in finding.found

    def test_machines_that_nobody_s_tags_cover_lead_to_the_command_that_tags_them(self) -> None:
        finding = self.judge(FakeFleet([instance(1, tags={})]), 1)
        assert finding.status is Status.WARNING
        assert "1 would be ignored: required tag missing" in finding.found
        assert "aws ec2 create-tags" in finding.cure
