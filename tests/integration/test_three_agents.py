"""The guide's three acceptance scenarios, played by each of three agents that one run acts for.

Both databases, every quirk of the original backend on (contract section 1), the real agent's tags.
"""

from __future__ import annotations

import pytest

from tests.integration.owner import LOGICAL_IDS, OFF, PLAIN, SLOW, WAITS, Owner
from tests.integration.world import PAUSE, WIRE_TIME
from tests.support.backend import on_sqlite

EACH_ONCE = pytest.mark.parametrize(
    ("shared_backend", "name"),
    [("sqlite", PLAIN), pytest.param("mariadb", SLOW, marks=pytest.mark.mariadb)],
    indirect=["shared_backend"],
)


@EACH_ONCE
def test_scenario_1_a_replica_that_is_switched_off_ends_within_one_run(
    owner: Owner, name: str
) -> None:
    primary = owner.server(name)
    replica = owner.manual_replica(name, primary)
    owner.with_replica(name, primary, replica)
    assert owner.counts() == {}, "a ready replica is nobody's to terminate"

    assert owner.operator.disable_manual_replica(owner.agents[name]) == 1
    done = owner.run()

    assert owner.state(primary) == "running"
    assert owner.state(replica) == "terminated"
    line = done.outcome(replica)
    assert (line["agent_id"], line["reason"]) == (owner.agents[name], "replica_terminated")
    row = owner.replica_row(name, replica)
    assert (row["status"], row["termination_confirmed"]) == ("terminated", True)
    assert WIRE_TIME.match(row["terminated_at"])
    assert owner.events(replica) == [(name, None)]

    owner.pass_time(PAUSE)
    assert owner.counts() == {"listed": 1, "replayed": 1}, (
        "a confirmed replica comes back (quirk 4)"
    )
    assert owner.replica_row(name, replica) == row
    assert owner.events(replica) == [(name, None)]


@EACH_ONCE
def test_scenario_2_an_old_primary_ends_once_its_own_agents_wait_is_over(
    owner: Owner, name: str
) -> None:
    primary = owner.server(name)
    replica = owner.manual_replica(name, primary)
    owner.with_replica(name, primary, replica)
    assert owner.operator.promote_replica(owner.agents[name], replica) == [primary]

    owner.pass_time(WAITS[name] - 1)
    ignored = {"listed": 1, "ignored": 1} if name == SLOW else {}
    assert owner.counts() == ignored, "others, who wait for 300 s, are told of it (quirk 3)"
    assert owner.state(primary) == "running"
    assert owner.events(primary) == []

    owner.pass_time(2)
    assert owner.counts() == {"listed": 1, "terminated": 1}

    assert (owner.state(primary), owner.state(replica)) == ("terminated", "running")
    row = owner.row(name, primary)
    assert (row["instance_status"], row["termination_confirmed"]) == ("terminated", True)
    assert owner.events(primary) == [(name, None)]
    owner.pass_time(PAUSE)
    assert owner.counts() == {}
    assert owner.events(primary) == [(name, None)], "reported once"


def test_scenario_3_what_is_switched_off_goes_on_whatever_its_neighbours_may_do(
    owner: Owner,
) -> None:
    primary = owner.server(OFF)
    replica = owner.manual_replica(OFF, primary)
    owner.with_replica(OFF, primary, replica)
    owner.operator.promote_replica(owner.agents[OFF], replica)
    owner.pass_time(6_000)

    done = owner.run()

    assert done.returned["auto_terminate_enabled"] is True, "the others' switches are on"
    assert (owner.state(primary), owner.state(replica)) == ("running", "running")
    line = done.outcome(primary)
    assert line["outcome"] == "ignored"
    assert owner.agents[OFF] in line["why"]
    assert done.emf, "what is ignored is told"
    row = owner.row(OFF, primary)
    assert (row["instance_status"], row["termination_attempted_at"]) == ("zombie", None)
    assert owner.events(primary) == []

    del owner.neighbours[OFF]  # its other zombie, which goes as well from now
    owner.operator.set_auto_terminate(owner.agents[OFF], enabled=True)
    done = owner.run()
    assert done.outcome(primary)["outcome"] == "terminated", "it was only off"
    assert done.outcome(primary)["agent_id"] == owner.agents[OFF]
    assert (owner.state(primary), owner.state(replica)) == ("terminated", "running")
    assert owner.events(primary) == [(OFF, None)]


@on_sqlite
def test_the_three_are_who_they_are_meant_to_be(owner: Owner) -> None:
    """Else the scenarios would show little."""
    agents = {name: owner.operator.agent(agent) for name, agent in owner.agents.items()}
    assert [name for name, row in agents.items() if not row["auto_terminate_enabled"]] == [OFF]
    assert agents[SLOW]["terminate_wait_seconds"] > agents[PLAIN]["terminate_wait_seconds"]
    assert PLAIN not in LOGICAL_IDS
