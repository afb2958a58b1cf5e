"""What a run looks up around machines: who vouches, and what a look-up that fails or is slow costs."""

from __future__ import annotations

from handler.aws.errors import ErrorKind
from handler.instances.model import REPLICA
from handler.instances.outcome import Outcome
from handler.instances.rules import GROUP_TAG, AsgMembers
from tests.fakes.build import (
    OURS,
    error,
    iid,
    instance,
    listing,
    marked,
    policy,
)
from tests.fakes.clock import FakeClock
from tests.fakes.fleet import FakeFleet
from tests.fakes.outside import FakeDependencies
from tests.fakes.run import outside, run

WORK = OURS | {"LogicalAgentId": "default"}


def test_two_zombies_do_not_vouch_for_each_other() -> None:
    """A promotion that went wrong must not end the last machine."""
    around = outside(1, 2)
    for n in (1, 2):
        around.fleet.instances[iid(n)] = instance(n, tags=WORK)
    run(around, policy(require_running_peer=True))
    assert set(around.journal.outcomes().values()) == {Outcome.REFUSED}
    assert around.fleet.terminated == []


def test_peers_that_cannot_be_looked_up_defer_and_do_not_fail() -> None:
    around = outside(1, 2)
    around.fleet.instances[iid(1)] = instance(1, tags=WORK)
    around.fleet.peers_error = error(ErrorKind.THROTTLED)
    run(around, policy(require_running_peer=True))
    assert around.journal.outcomes() == {iid(1): Outcome.DEFERRED, iid(2): Outcome.TERMINATED}


def test_a_parent_that_an_invalid_entry_names_does_not_vouch_for_its_replica() -> None:
    """The backend wants it gone: if its replica was promoted, that is the live primary (quirk 10)."""
    around = outside(1, 2)
    around.fleet.instances[iid(1)] = instance(1, tags=OURS | {"ParentInstance": iid(2)})
    around.lists(listing(marked(1, REPLICA), invalid=1, held=frozenset({iid(2)})))
    run(around)
    assert around.journal.outcomes() == {iid(1): Outcome.REFUSED}
    assert around.fleet.terminated == []


def test_a_parent_tag_that_is_no_instance_s_id_is_not_asked_for() -> None:
    """In a filter of EC2's `*` is every machine, and a long value fails the look-up for all."""
    odd = ["*", "x" * 256, ""]
    parents = [iid(9), *odd]
    around = FakeDependencies(
        FakeFleet(
            instance(n, tags=OURS | {"ParentInstance": parent}) for n, parent in enumerate(parents)
        )
    )
    around.fleet.instances[iid(9)] = instance(9)
    around.lists(listing(*(marked(n, REPLICA) for n in range(len(parents)))))
    summary = run(around).as_returned()
    assert around.fleet.called("neighbours") == [(iid(9),)]
    assert around.fleet.terminated == [iid(0)]
    assert summary["refused"] == len(odd)


def test_members_that_there_is_no_time_to_ask_for_keep_the_others_from_nothing() -> None:
    clock, plain = FakeClock(), 600
    around = outside(*range(plain + 1))
    for n in range(plain):
        around.fleet.instances[iid(n)] = instance(n, tags=OURS | {GROUP_TAG: "web"})
    around.fleet.before_member = lambda: clock.pass_by(0.08)
    summary = run(around, policy(asg_members=AsgMembers.TERMINATE_AND_SHRINK), clock=clock)
    assert around.fleet.terminated == [iid(plain)]
    assert around.fleet.shrunk
    assert summary.as_returned()["deferred"] == plain - len(around.fleet.shrunk)


def test_a_slow_look_around_some_machines_leaves_time_for_the_others() -> None:
    clock = FakeClock()
    around = outside(1, 2, 3)
    around.fleet.instances[iid(1)] = instance(1, tags=OURS | {"ParentInstance": iid(9)})
    around.fleet.instances[iid(2)] = instance(2, tags=OURS | {"aws:ec2:fleet-id": "fleet-1"})
    around.lists(listing(marked(1, REPLICA), marked(2), marked(3)))

    def neighbours(*_: object) -> object:
        clock.pass_by(25)
        return ()

    around.fleet.neighbours = neighbours  # type: ignore[method-assign, assignment]
    run(around, clock=clock)
    assert around.fleet.terminated == [iid(3)]
    assert around.fleet.called("fleets") == []
    assert around.journal.outcomes()[iid(2)] is Outcome.DEFERRED
