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
from handler.backend.wire import read_listing
from handler.instances.guard import GROUP_TAG, PEER_TAG, AsgMembers, MissingPolicy, Policy
from handler.instances.model import REPLICA, ZOMBIE, Ending, Instance, Marked, State
from handler.instances.outcome import Summary
from handler.instances.run import Limits
from tests.fakes.build import NOW, OURS, error, iid, limits, policy
from tests.fakes.clock import FakeClock
from tests.fakes.fleet import FakeFleet
from tests.fakes.outside import FakeOutside
from tests.fakes.run import run

MOST = 9
"""Instances of a world; two more ids are listed that EC2 does not know."""
ZONES = ["us-east-1a", "us-east-1b"]
INVALID: list[Any] = [
    None, 5, "i-12345678", [], {}, {"instance_id": "i-xyz"}, {"instance_id": None},
    {"instance_id": iid(1), "seconds_waiting": "soon"},
]  # fmt: skip


@dataclass
class World:
    """Everything that is given, and what it looked like before the run."""

    seed: int
    outside: FakeOutside
    rules: Policy
    bounds: Limits
    raw: list[Any]
    enabled: bool
    before: dict[str, Instance] = field(default_factory=dict)
    standing: set[str] = field(default_factory=set)

    @property
    def marked(self) -> dict[str, Marked]:
        """The valid entries by id."""
        return {one.instance_id: one for one in self.outside.the_backend.listing.marked}

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
        if self.random() < 0.5:
            tags[PEER_TAG] = self.choice(["shop", "mail", ""])
        ending = self.choice([None, Ending(by_api=True, at=NOW), Ending(by_api=False)])
        return Instance(
            iid(number),
            state,
            self.choice(ZONES),
            tags,
            ending if state.ended else None,
            f"sir-{number:08d}" if self.random() < 0.3 else None,
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

    def trouble(self, outside: FakeOutside) -> None:
        """Each kind of trouble on its own, so that most runs meet one or two."""
        ids: list[tuple[object, str]] = [
            (outside.fleet, "protected"),
            (outside.fleet, "forbidden"),
            (outside.fleet, "silent"),
            (outside.the_backend, "deaf_to"),
            (outside.the_ledger, "acknowledged"),
            (outside.the_ledger, "under_way"),
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
        outside.the_ledger.down = self.seldom()
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
    outside = FakeOutside(fleet)
    outside.the_history.lived = chance.some(MOST)
    rules, bounds = replace(chance.policy(), **rule), chance.limits()
    enabled = calm or not chance.seldom()
    if calm:
        bounds = limits()
    else:
        chance.trouble(outside)
    raw = chance.listed()
    body = json.dumps({"instances": raw, "auto_terminate_enabled": int(enabled)}).encode()
    outside.the_backend.listing = read_listing(body)
    return World(seed, outside, rules, bounds, raw, enabled and bounds.auto_terminate_enabled)


def worlds(*, calm: bool = False, **rule: Any) -> st.SearchStrategy[World]:
    """Any world; `rule` fixes fields of the policy."""
    return st.integers(0, 2**48).map(lambda seed: world(seed, calm=calm, **rule))
