"""Whole worlds by chance: any list, any fleet, any policy, any trouble.

Drawn evenly from a seed. Hypothesis' own draws favour small, quiet worlds, in which so little is
destroyed that a run without its guards would pass.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from hypothesis import strategies as st

from handler.aws.errors import AwsError, ErrorKind
from handler.backend.errors import BackendError
from handler.backend.wire import read_envelope
from handler.instances.listing import read_list
from handler.instances.model import (
    REPLICA,
    ZOMBIE,
    Agent,
    AgentList,
    Ending,
    Instance,
    Marked,
    State,
    UntaggedReplicas,
)
from handler.instances.outcome import Summary
from handler.instances.ownership import LOGICAL_ID_TAG
from handler.instances.rules import (
    GROUP_TAG,
    PARENT_TAG,
    REPLICA_TAGS,
    AsgMembers,
    MissingPolicy,
    Policy,
)
from handler.instances.run import Limits
from handler.instances.surroundings import FLEET_TAGS
from tests.fakes.build import NOW, OURS, error, iid, limits, policy
from tests.fakes.clock import FakeClock
from tests.fakes.fleet import FakeFleet
from tests.fakes.outside import FakeDependencies
from tests.fakes.run import run

MOST = 9
"""Instances of a world; two more ids are listed that EC2 does not know."""
ZONES = ["us-east-1a", "us-east-1b"]
INVALID: list[Any] = [
    None, 5, "i-12345678", [], {}, {"instance_id": "i-xyz"}, {"instance_id": None},
    {"instance_id": iid(1), "seconds_waiting": "soon"},
]  # fmt: skip


AGENTS = (
    (Agent("one"),),
    (Agent("one", "shop"),),
    (Agent("one"), Agent("two")),
    (Agent("one", "shop"), Agent("two", "mail")),
    (Agent("one", "shop"), Agent("two"), Agent("three", "default")),
)


@dataclass
class World:
    """Everything that is given, and what it looked like before the run."""

    seed: int
    outside: FakeDependencies
    rules: Policy
    bounds: Limits
    raw: dict[Agent, list[Any]]
    before: dict[str, Instance] = field(default_factory=dict)
    standing: set[str] = field(default_factory=set)

    @property
    def lists(self) -> list[AgentList]:
        """The lists that were to be had."""
        return [one for one in self.outside.backend.lists.values() if isinstance(one, AgentList)]

    @property
    def enabled(self) -> bool:
        """Whether anything may be terminated at all."""
        return self.bounds.auto_terminate_enabled and any(one.enabled for one in self.lists)

    @property
    def marked(self) -> dict[str, list[Marked]]:
        """The valid entries by id."""
        found: dict[str, list[Marked]] = {}
        for one in self.lists:
            for entry in one.marked:
                found.setdefault(entry.instance_id, []).append(entry)
        return found

    def run(self) -> Summary:
        """Do one run."""
        self.before = dict(self.outside.fleet.instances)
        self.standing = set(self.outside.fleet.standing)
        return run(self.outside, self.rules, self.bounds, FakeClock())

    def destroyed(self) -> set[str]:
        """Ids that EC2 or Auto Scaling was made to end."""
        return {*self.outside.fleet.terminated, *self.outside.fleet.shrunk}


class Chance(Random):
    """Draws of the kinds that a world is made of."""

    def seldom(self) -> bool:
        return self.random() < 1 / 8

    def some(self, most: int = 2) -> set[str]:
        """A few ids."""
        return {iid(n) for n in self.sample(range(MOST), self.randint(1, most))}

    def error(self, *kinds: ErrorKind) -> AwsError:
        kind = self.choice(kinds or list(ErrorKind))
        return error(kind, "Fault", "words", *(self.some() if self.seldom() else ()))

    def instance(self, number: int) -> Instance:
        state = self.choice([*[State.RUNNING] * 14, *State])
        tags = {} if self.seldom() else dict(OURS)
        if self.seldom():
            tags["DoNotTerminate"] = self.choice(["", "true"])
        if self.seldom():
            tags[GROUP_TAG] = "web"
        if self.random() < 0.6:
            tags[LOGICAL_ID_TAG] = self.choice(["shop", "mail", "", "default", "stranger"])
        if self.random() < 0.2:
            tags |= dict.fromkeys(REPLICA_TAGS, iid(self.randrange(MOST)))
        if self.seldom():
            tags[PARENT_TAG] = self.choice([iid(self.randrange(MOST)), ""])
        if self.seldom():
            tags[self.choice(FLEET_TAGS)] = self.choice(["fleet-keeps", "fleet-once", "fleet-lost"])
        ending = self.choice([None, Ending(by_api=True, at=NOW), Ending(by_api=False)])
        return Instance(
            iid(number),
            state,
            self.choice(ZONES),
            tags,
            ending if state.ended else None,
            f"sir-{number:08d}" if self.random() < 0.3 else None,
            "eks.amazonaws.com" if self.seldom() else None,
        )

    def entry(self, number: int) -> dict[str, Any]:
        zone = self.choice(["eu-west-1a", "us-west-2-lax-1a", "?", "", None])
        entry = {
            "instance_id": iid(number),
            "reason": self.choice([ZOMBIE, ZOMBIE, REPLICA, "other", None]),
            "az": zone if self.seldom() else self.choice(ZONES),
            self.choice(["seconds_waiting", "seconds_since_marked"]): self.choice(
                [None, -5, 0, 1.5, self.randint(0, 10**6)]
            ),
        }
        return {
            key: value
            for key, value in entry.items()
            if not (key != "instance_id" and self.seldom())
        }

    def listed(self) -> list[Any]:
        """A backend's list, with the odd invalid or repeated entry."""
        numbers = self.sample(range(MOST + 2), self.randint(0, MOST + 2))
        entries: list[Any] = [self.entry(n) for n in numbers]
        if entries and self.seldom():
            entries.append(self.entry(numbers[0]))
        if self.seldom():
            entries += self.sample(INVALID, 2)
        self.shuffle(entries)
        return entries

    def trouble(self, outside: FakeDependencies) -> None:
        """Each kind of trouble on its own, so that most runs meet one or two."""
        ids: list[tuple[object, str]] = [
            (outside.fleet, "protected"),
            (outside.fleet, "forbidden"),
            (outside.fleet, "silent"),
            (outside.the_table, "under_way"),
            (outside.the_table, "reported"),
        ]
        errors: list[tuple[object, str]] = [
            (outside.fleet, "size_error"),
            (outside.fleet, "peers_error"),
            (outside.fleet, "standing_error"),
            (outside.the_history, "error"),
        ]
        for port, name in ids:
            if self.seldom():
                setattr(port, name, self.some())
        for port, name in errors:
            if self.seldom():
                setattr(port, name, self.error(ErrorKind.REFUSED, ErrorKind.FAULTY))
        if self.seldom():
            outside.backend.deaf_to = dict.fromkeys(self.some(), self.choice([None, 1]))
        self.answers(outside.fleet)

    def answers(self, fleet: FakeFleet) -> None:
        """Calls that fail, or whose answers are not what was hoped for."""
        if self.seldom():
            fleet.odd_states = dict.fromkeys(self.some(), "running")
        if self.seldom():
            fleet.unreadable = {one: error(ErrorKind.FAULTY) for one in self.some()}
        if self.seldom():
            fleet.faults = [self.choice([None, self.error()]) for _ in range(self.randint(1, 5))]
            fleet.lost_answers = self.random() < 0.5
        if self.seldom():
            fleet.cancelled_as = "active"

    def policy(self) -> Policy:
        return policy(
            required_tags={} if self.seldom() else OURS,
            missing_instance=self.choice(list(MissingPolicy)),
            asg_members=self.choice(list(AsgMembers)),
            require_running_peer=self.random() < 0.5,
            untagged_replicas=self.choice(list(UntaggedReplicas)),
            confirm_termination=self.random() < 0.3,
            dry_run=self.seldom(),
        )

    def limits(self) -> Limits:
        return limits(
            auto_terminate_enabled=not self.seldom(),
            max_terminations_per_run=self.choice([1, 2, 500, 500]),
            max_fleet_percent=self.choice([100, 100, 100, 60, 20]),
        )


def world(seed: int, *, calm: bool = False, **rule: Any) -> World:
    """The world of this seed; a calm one is without trouble, switched on and unbounded."""
    chance = Chance(seed)
    fleet = FakeFleet(chance.instance(n) for n in range(MOST) if not chance.seldom())
    requests = [one.spot_request for one in fleet.instances.values() if one.spot_request]
    fleet.standing = {one for one in requests if not chance.seldom()}
    fleet.replacing = {"fleet-keeps": True, "fleet-once": False}
    outside = FakeDependencies(fleet)
    outside.the_history.lived = chance.some(MOST)
    rules, bounds = replace(chance.policy(), **rule), chance.limits()
    if calm:
        bounds = limits()
    else:
        chance.trouble(outside)
    raw, lists = {}, {}
    zombies = [one for one in chance.listed() if one is None or chance.random() < 0.9]
    for agent in chance.choice(AGENTS):
        entries = [one for one in zombies if chance.random() < 0.8] if chance.random() < 0.7 else []
        raw[agent] = entries + chance.listed() if chance.random() < 0.5 else entries
        enabled = calm or not chance.seldom()
        body = json.dumps(
            {"instances": raw[agent], "auto_terminate_enabled": int(enabled)}
        ).encode()
        lists[agent] = read_list(agent, read_envelope(body), NOW)
    outside.lists(*lists.values())
    if not calm and len(lists) > 1 and chance.seldom():
        lost = chance.choice(list(lists))
        outside.backend.lists[lost] = BackendError("HTTP 500", 500)
        del raw[lost]
    return World(seed, outside, rules, bounds, raw)


def worlds(*, calm: bool = False, **rule: Any) -> st.SearchStrategy[World]:
    """Any world; `rule` fixes fields of the policy."""
    return st.integers(0, 2**48).map(lambda seed: world(seed, calm=calm, **rule))
