"""What a test has done to the world, and so whose each machine is, and what may end.

Worked out anew from the contract (section 2, "Whose is it?"), by what is true in EC2 and what the
backend's lists said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.reliability.agents import LOGICAL, MANAGED
from tests.reliability.gate import Listed
from tests.reliability.world import World

Kind = Literal[
    "plain", "one-time", "persistent", "group", "fleet", "protected", "denied", "managed"
]
GUARDED = frozenset({"fleet", "protected", "denied", "managed"})
SHRINK = {"ASG_MEMBERS": "terminate_and_shrink"}
WORKERS_TOO = {"UNTAGGED_REPLICAS": "terminate"}
CALM = {
    "MAX_FLEET_PERCENT": "100",
    "MAX_TERMINATIONS_PER_RUN": "500",
    "REQUIRE_RUNNING_PEER": "false",
    "DRY_RUN": "false",
    "AUTO_TERMINATE_ENABLED": "true",
}
"""The rules that hold instances back are lifted; what protects for good stays as it was."""
Lists = Mapping[str, Listed]


@dataclass
class Book:
    """What a test has done to the world, and so what is right.

    Attributes:
        kinds: our account's instances, and what they are.
        zombies, replicas: ids with such a row, and whose row it is.
        foreign: ids of another account, with a row of another client's.
        elsewhere: ids that the backend places in another region.
        promoted: live primaries that are marked as replicas, and the old servers, now zombies.
        ended_by_others: ids that an operator, EC2 or the Spot service has ended.
        late: whether a report has been slower than its run, and so may be acknowledged unheard.
        vague: whether the backend has left zones out, so that nobody could know of `elsewhere`.
    """

    world: World
    kinds: dict[str, Kind] = field(default_factory=dict)
    zombies: dict[str, str] = field(default_factory=dict)
    replicas: dict[str, str] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)
    promoted: dict[str, str] = field(default_factory=dict)
    ended_by_others: set[str] = field(default_factory=set)
    late: bool = False
    vague: bool = False

    def launch(
        self, kind: Kind, tags: Mapping[str, str], zone: str = "us-east-1a", **more: Any
    ) -> str:
        """An instance of this kind, in our account."""
        if kind in {"one-time", "persistent"}:
            more["spot"] = kind
        elif kind == "group":
            more["asg"] = "workers"
        elif kind == "fleet":
            more["fleet"] = self.world.aws.fleet.create_fleet()
        elif kind == "managed":
            more["operator"] = "eks.amazonaws.com"
        protected = kind == "protected"
        one = self.world.launch(tags=tags, zone=zone, protected=protected, **more)
        self.kinds[one] = kind
        if kind == "denied":
            self.world.aws.policy.denied_ids.add(one)
        return one

    def mark(self, one: str, agent: str, *roles: str, zone: str | None = None) -> str:
        """List it as this agent's `zombie`, `replica`, or both; `zone`: where the backend places it."""
        if "replica" in roles:
            self.world.mark_replicas(one, agent=agent, age=100, zone=zone)
            self.replicas[one] = agent
        if "zombie" in roles:
            self.world.mark_zombies(one, agent=agent, zone=zone)
            self.zombies[one] = agent
        return one

    @property
    def marked(self) -> set[str]:
        return {*self.zombies, *self.replicas}

    def tags(self, one: str) -> Mapping[str, str]:
        """The tags that it has, or had when EC2 last knew it."""
        instance = self.world.truth(one)
        return instance.tags if instance else {}

    def owner(self, one: str, lists: Lists) -> str | None:
        """Whose it is, alive, by these lists."""
        entries = [(agent, lists[agent][one]) for agent in LOGICAL if one in lists.get(agent, {})]
        borne = self.tags(one).get("LogicalAgentId") or None
        as_replica = [agent for agent, entry in entries if any(replica for replica, _ in entry)]
        for agent in as_replica:
            own = LOGICAL[agent]
            if borne in {None, own} or (borne not in LOGICAL.values() and own is None):
                return agent
        if as_replica:
            return None
        for agent, _ in entries:
            own = LOGICAL[agent]
            if own == borne if borne not in {None, "default"} else own is None:
                return agent
        return None

    def may_end(self, one: str, lists: Lists, variables: Mapping[str, str]) -> str | None:
        """Why the function must not terminate it, by these lists and settings; None: it may."""
        owner, tags, kind = self.owner(one, lists), self.tags(one), self.kinds[one]
        if owner is None:
            return "it is nobody's of ours"
        as_replica = any(replica for replica, _ in lists[owner][one])
        workers = holds(variables, WORKERS_TOO) and {"ReplicaId", "ParentInstance"} <= tags.keys()
        if not (MANAGED.items() <= tags.items() or (as_replica and workers)):
            return "it lacks the tags"
        if kind in GUARDED or (kind == "group" and not holds(variables, SHRINK)):
            return f"it is {kind}"
        if one in self.elsewhere and not any(zone is None for _, zone in lists[owner][one]):
            return "it is placed in another region"
        return None


def holds(variables: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return wanted.items() <= variables.items()
