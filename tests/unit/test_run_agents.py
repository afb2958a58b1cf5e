"""One run for several agents: each machine is its owner's, each agent's trouble its own."""

from __future__ import annotations

import pytest

from handler.aws.errors import ErrorKind
from handler.backend.errors import BackendError
from handler.instances.model import Agent, State
from handler.instances.outcome import Outcome
from tests.fakes.build import (
    OURS,
    error,
    iid,
    instance,
    listing,
    marked,
)
from tests.fakes.fleet import FakeFleet
from tests.fakes.outside import FakeDependencies
from tests.fakes.run import run

ONE, TWO = Agent("one", "shop"), Agent("two", "mail")


def of(agent: Agent) -> dict[str, str]:
    return OURS | {"LogicalAgentId": agent.logical_id or ""}


def two_agents(*, second: bool = True) -> FakeDependencies:
    """Each has a zombie, and the backend lists both to each of them (quirk 3)."""
    around = FakeDependencies(FakeFleet([instance(1, tags=of(ONE)), instance(2, tags=of(TWO))]))
    around.lists(
        listing(marked(1, agent=ONE), marked(2, agent=ONE), agent=ONE),
        listing(marked(1, agent=TWO), marked(2, agent=TWO), agent=TWO, enabled=second),
    )
    return around


def test_a_neighbour_does_not_bypass_the_owner_s_switch() -> None:
    around = two_agents(second=False)
    run(around)
    assert around.journal.outcomes() == {iid(1): Outcome.TERMINATED, iid(2): Outcome.IGNORED}
    assert {one.instance_id for one in around.backend.tried} == {iid(1)}
    assert around.fleet.instances[iid(2)].state is State.RUNNING


def test_one_agent_s_failure_is_its_own() -> None:
    around = two_agents()
    around.backend.lists[TWO] = BackendError("HTTP 500", 500)
    summary = run(around).as_returned()
    assert summary["agents_failed"] == 1
    assert around.journal.failed_agents == ["two"]
    assert around.journal.outcomes() == {iid(1): Outcome.TERMINATED, iid(2): Outcome.IGNORED}


def test_where_every_agent_fails_the_run_fails() -> None:
    around = two_agents()
    around.backend.lists = dict.fromkeys((ONE, TWO), BackendError("HTTP 500", 500))
    with pytest.raises(BackendError, match="one, two: HTTP 500"):
        run(around)
    assert around.journal.failed_agents == ["one", "two"]


def test_a_run_for_one_agent_leaves_the_others_machines() -> None:
    around = two_agents()
    run(around, acting=[ONE])
    assert around.backend.asked == ["one"]
    assert around.journal.outcomes() == {iid(1): Outcome.TERMINATED, iid(2): Outcome.IGNORED}


def test_what_ended_by_a_call_without_an_answer_stays_its_owner_s() -> None:
    """EC2 drops the tags of what has ended: whoever lists it first must not report it instead."""
    plain = Agent("plain")
    around = FakeDependencies(FakeFleet([instance(1)]))
    around.lists(
        listing(marked(1, agent=ONE), agent=ONE), listing(marked(1, agent=plain), agent=plain)
    )
    around.fleet.faults = [error(ErrorKind.NO_ANSWER)]
    around.fleet.lost_answers = True
    run(around)
    assert around.backend.by_agent == [("plain", iid(1))]
