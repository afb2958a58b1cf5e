"""What the doctor says of the list: decided as a run decides, and nothing is done."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from handler.aws.errors import AwsError, ErrorKind
from handler.doctor import settings
from handler.doctor.findings import Finding, Status
from handler.doctor.marked import Foreseen, examine, judge_decided
from handler.instances.model import REPLICA, Agent, Instance, Marked
from handler.instances.ownership import LOGICAL_ID_TAG
from handler.instances.rules import GROUP_TAG
from tests.fakes.build import AGENT, OURS, iid, instance, limits, listing, marked, policy
from tests.fakes.dependencies import dependencies
from tests.fakes.fleet import FakeFleet
from tests.fakes.outside import FakeFirstSeen


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
        command = f"create-tags --resources {iid(1)} --tags Key=ManagedBy,Value=SpotOptimizer"
        assert finding.cure.endswith(command)


SHOP, MAIL, PLAIN = Agent("shop-agent", "shop"), Agent("mail-agent", "mail"), Agent("plain-agent")


class TestSeveralAgents:
    """Whose a machine is, and what would make it somebody's."""

    def foresee(
        self,
        agents: str,
        fleet: Sequence[Instance],
        lists: Mapping[Agent, Sequence[Marked]],
        **fields: Any,
    ) -> Finding:
        it = dependencies(machines=FakeFleet(fleet), AGENT_ID=agents)
        it.policy = lambda _: policy(**fields)
        for agent, entries in lists.items():
            it.listings[agent.agent_id] = listing(*entries, agent=agent)
        (finding,) = examine.examine(it)
        return finding

    def test_a_logical_id_of_no_agent_is_named_with_its_cure(self) -> None:
        for borne in ("books", "default"):
            finding = self.foresee(
                "shop-agent=shop",
                [instance(1, tags=OURS | {LOGICAL_ID_TAG: borne})],
                {SHOP: [marked(1, agent=SHOP)]},
            )
            assert finding.status is Status.WARNING
            assert f"no agent of AGENT_ID has the LogicalAgentId {borne}" in finding.cause
            assert ("which agents without LOGICAL_AGENT_ID" in finding.cause) == (
                borne == "default"
            )
            assert f"AGENT_ID=<id>={borne}" in finding.cure
            assert iid(1) in finding.cause
            assert "create-tags" not in finding.cure

    def test_the_command_bears_all_tags_that_lack_and_asks_for_the_logical_id(self) -> None:
        finding = self.foresee(
            "shop-agent=shop,mail-agent=mail",
            [instance(1, tags={}), instance(2), instance(3, tags={})],
            {SHOP: [marked(number, agent=SHOP) for number in (1, 2, 3)]},
            required_tags={"ManagedBy": "Spot Optimizer"},
        )
        tags = "'Key=ManagedBy,Value=Spot Optimizer' Key=LogicalAgentId,Value=LOGICAL_ID"
        assert f"create-tags --resources {iid(1)} {iid(2)} {iid(3)} --tags {tags}" in finding.cure
        assert "such as shop, mail" in finding.cure

    def test_a_machine_that_only_lacks_the_owner_is_given_one(self) -> None:
        finding = self.foresee("shop-agent=shop", [instance(1)], {SHOP: [marked(1, agent=SHOP)]})
        command = f"create-tags --resources {iid(1)} --tags Key=LogicalAgentId,Value=LOGICAL_ID ("
        assert command in finding.cure

    def test_a_worker_s_replica_may_be_tagged_or_let_go_by_its_own_tags(self) -> None:
        replica = instance(1, tags={"ReplicaId": "r", "ParentInstance": iid(2)})
        finding = self.foresee(
            "shop-agent=shop", [replica, instance(2)], {SHOP: [marked(1, REPLICA, agent=SHOP)]}
        )
        assert "1 would be refused: required tag missing" in finding.found
        assert "Key=ManagedBy,Value=SpotOptimizer;" in finding.cure
        assert "UntaggedReplicas" in finding.cure

    def test_a_neighbour_s_zombie_whose_time_has_not_come_is_nothing_to_mend(self) -> None:
        finding = self.foresee(
            "shop-agent=shop,mail-agent=mail",
            [instance(1, tags={LOGICAL_ID_TAG: "mail"})],
            {SHOP: [marked(1, agent=SHOP)], MAIL: []},
        )
        assert finding.status is Status.OK
        assert "1 would be ignored: agent mail-agent's" in finding.found

    def test_a_replica_that_bears_another_agent_s_id_is_something_to_mend(self) -> None:
        finding = self.foresee(
            "shop-agent=shop,mail-agent=mail",
            [instance(1, tags=OURS | {LOGICAL_ID_TAG: "mail"})],
            {SHOP: [marked(1, REPLICA, agent=SHOP)], MAIL: []},
        )
        assert finding.status is Status.WARNING
        assert "another agent's: it bears LogicalAgentId=mail" in finding.found

    def test_what_was_listed_lately_does_not_vouch_as_in_a_run(self) -> None:
        tags = OURS | {LOGICAL_ID_TAG: "shop"}
        fleet = FakeFleet([instance(1, tags=tags), instance(2, tags=tags)])
        it = dependencies(machines=fleet, AGENT_ID="shop-agent=shop")
        it.policy = lambda _: policy(require_running_peer=True)
        it.listings[SHOP.agent_id] = listing(marked(1, agent=SHOP), agent=SHOP)
        memory = cast("FakeFirstSeen", it.environment.first_seen)
        memory.listed = {iid(2)}
        (finding,) = examine.examine(it)
        assert "1 would be refused: no other running instance" in finding.found
        assert memory.since == {}, "an examination changes nothing"

        memory.listed = set()
        (finding,) = examine.examine(it)
        assert "1 would be terminated" in finding.found


class TestLogicalIds:
    """An agent without one cannot tell whose a zombie is."""

    def test_one_agent_alone_may_go_without(self) -> None:
        finding = judge((PLAIN,))
        assert finding.status is Status.OK
        assert "without a logical id" in finding.found
        assert "plain-agent" in finding.found

    def test_beside_others_it_is_a_warning(self) -> None:
        finding = judge((SHOP, PLAIN))
        assert finding.status is Status.WARNING
        assert "plain-agent" in finding.found
        assert "shop-agent" not in finding.found
        assert "AGENT_ID=<id>=<logical id>" in finding.cure

    def test_where_all_have_one_nothing_is_said(self) -> None:
        assert judge((SHOP, MAIL)).found == "every variable is good"


def judge(agents: Sequence[Agent]) -> Finding:
    return settings.judge(None, agents)
