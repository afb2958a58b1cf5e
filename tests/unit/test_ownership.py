"""Whose machine is it? One table (contract section 2, "Whose is it?")."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from handler.instances.model import REPLICA, ZOMBIE, Agent, Candidate, Instance, State
from handler.instances.ownership import Agents, Foreign, Owned, candidates
from tests.fakes.build import OURS, iid, instance, marked

SHOP, MAIL, PLAIN = Agent("shop-agent", "shop"), Agent("mail-agent", "mail"), Agent("plain-agent")
OTHER, DEFAULT = Agent("other-agent"), Agent("default-agent", "default")
NAMES = {one.agent_id.removesuffix("-agent"): one for one in (SHOP, MAIL, PLAIN, OTHER, DEFAULT)}


def listed(by: str) -> Candidate:
    """`shop mail:r` is listed by shop as a zombie, and by mail as a replica."""
    entries = []
    for one in by.split():
        name, _, kind = one.partition(":")
        entries.append(marked(1, REPLICA if kind == "r" else ZOMBIE, agent=NAMES[name]))
    return Candidate(iid(1), tuple(entries))


def bearing(logical_id: str | None, state: State = State.RUNNING) -> Instance:
    tags = OURS if logical_id is None else OURS | {"LogicalAgentId": logical_id}
    return instance(1, state, tags=tags)


def whose(agents: str, by: str, seen: Instance | None) -> str:
    found = Agents([NAMES[one] for one in agents.split()]).owner(listed(by), seen)
    if isinstance(found, Foreign):
        return "foreign untagged" if found.untagged else "foreign"
    kind = ("r" if found.as_replica else "") + ("z" if found.as_zombie else "")
    return f"{found.entry.agent.agent_id.removesuffix('-agent')} {kind}"


DEAD = State.TERMINATED
ROWS: Sequence[tuple[str, str, str, Instance | None]] = [
    # replicas
    ("shop", "shop:r", "shop r", bearing("shop")),
    ("shop", "shop:r", "shop r", bearing(None)),
    ("shop", "shop:r", "shop r", bearing("")),
    ("shop", "shop:r", "foreign", bearing("stranger")),
    ("shop", "shop:r", "foreign", bearing("default")),
    ("shop mail", "shop:r", "foreign", bearing("mail")),
    ("plain mail", "plain:r", "foreign", bearing("mail")),
    ("plain", "plain:r", "plain r", bearing("stranger")),
    ("plain", "plain:r", "plain r", bearing("default")),
    ("plain other", "plain:r other:r", "plain r", bearing(None)),
    ("shop mail", "shop:r mail:r", "mail r", bearing("mail")),
    # zombies that bear the id of an agent of ours
    ("shop mail", "shop mail", "mail z", bearing("mail")),
    ("shop mail", "shop", "foreign", bearing("mail")),
    ("plain mail", "plain", "foreign", bearing("mail")),
    ("plain mail", "plain mail", "mail z", bearing("mail")),
    ("default shop", "default shop", "default z", bearing("default")),
    # zombies that bear the id of none
    ("shop", "shop", "foreign", bearing("stranger")),
    ("plain", "plain", "foreign untagged", bearing("stranger")),
    ("shop plain", "shop", "foreign untagged", bearing("stranger")),
    # any other zombie
    ("plain", "plain", "plain z", bearing(None)),
    ("plain", "plain", "plain z", bearing("")),
    ("plain", "plain", "plain z", bearing("default")),
    ("shop plain other", "shop plain other", "plain z", bearing(None)),
    ("other plain", "other plain", "other z", bearing("default")),
    ("shop mail", "shop mail", "foreign untagged", bearing(None)),
    ("shop mail", "shop mail", "foreign untagged", bearing("")),
    ("shop mail", "shop mail", "foreign", bearing("default")),
    ("shop plain", "shop", "foreign untagged", bearing(None)),
    # both: as a replica, with the guards of both
    ("plain", "plain plain:r", "plain rz", bearing(None)),
    ("shop plain", "shop:r plain", "shop rz", bearing(None)),
    ("shop plain", "plain shop:r", "shop rz", bearing("shop")),
    ("shop plain", "plain shop:r", "foreign untagged", bearing("stranger")),
    # what is not there, or has ended and lost its tags
    ("shop mail", "shop mail", "shop z", None),
    ("shop plain", "shop plain:r", "shop rz", None),
    ("shop mail", "shop mail", "shop z", bearing(None, DEAD)),
    ("shop mail", "shop mail", "mail z", bearing("mail", DEAD)),
    ("shop mail", "shop", "foreign", bearing("mail", DEAD)),
    ("shop", "shop", "foreign", bearing("stranger", DEAD)),
    ("plain", "plain", "foreign", bearing("stranger", DEAD)),
]


@pytest.mark.parametrize(("agents", "by", "expected", "seen"), ROWS)
def test_whose_it_is(agents: str, by: str, expected: str, seen: Instance | None) -> None:
    assert whose(agents, by, seen) == expected


def test_every_machine_is_a_candidate_once_in_the_order_of_the_agents() -> None:
    lists = [
        (True, [marked(2, agent=SHOP), marked(1, agent=SHOP)]),
        (False, [marked(1, agent=MAIL), marked(3, agent=MAIL)]),
        (True, [marked(1, agent=PLAIN)]),
    ]
    found = candidates(lists)
    assert [one.instance_id for one in found] == [iid(2), iid(1), iid(3)]
    assert [one.agent for one in found[1].listed] == [SHOP, PLAIN]
    assert [one.agent for one in found[1].switched_off] == [MAIL]
    assert found[2].listed == ()
    assert found[2].first.agent == MAIL


def test_an_agent_whose_switch_is_off_owns_nothing() -> None:
    entry = marked(1, agent=SHOP)
    only_mail = Candidate(iid(1), (marked(1, agent=MAIL),), (entry,))
    found = Agents([SHOP, MAIL]).owner(only_mail, bearing("shop"))
    assert isinstance(found, Foreign)
    assert "shop-agent" in found.why


def test_the_owner_s_own_entry_counts() -> None:
    entries = (marked(1, agent=SHOP, waited=1.0), marked(1, agent=MAIL, waited=2.0))
    found = Agents([SHOP, MAIL]).owner(Candidate(iid(1), entries), bearing("mail"))
    assert isinstance(found, Owned)
    assert found.entry is entries[1]


@pytest.mark.parametrize("by", ["plain shop:r", "plain:r shop", "shop plain"])
def test_what_is_nobody_s_is_told_as_the_first_agent_s_that_lists_it(by: str) -> None:
    found = Agents([SHOP, PLAIN, MAIL]).owner(listed(by), bearing("mail"))
    assert isinstance(found, Foreign)
    assert found.entry == listed(by).first
