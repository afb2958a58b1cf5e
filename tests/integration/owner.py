"""An owner of three servers on the original backend: every quirk on, one run for all agents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from backend.client import Credentials, OperatorClient
from backend.quirks import ALL_QUIRKS
from backend.service import ODD_IDS, PLACEHOLDERS
from local import tags
from local.invoke import TIMEOUT, Invocation
from tests.integration import checks
from tests.integration.world import Account
from tests.support.backend import Clock

OFF, SLOW, PLAIN = "off", "slow", "plain"
LOGICAL_IDS = {OFF: "mail-1", SLOW: "web-1"}
"""`PLAIN` has none; its machines bear what the original agent writes then."""
WAITS = {OFF: 300, SLOW: 600, PLAIN: 300}
YOUNG = 310
"""Seconds that are enough of a wait for the others, and too few for `SLOW`."""
NOISE = len(ODD_IDS) + len(PLACEHOLDERS)
"""Entries of each list that make no sense, while the agent's switch is on."""
Event = tuple[str, str | None]


@dataclass
class Owner:
    """Three agents of one client: one is switched off, one waits longer, one has no logical id.

    Attributes:
        account: where the function runs, for all three.
        operator: the backend's.
        backend_clock: the backend's time.
        client: whose agents they are.
        agents: their ids, by their names here.
        neighbours: a zombie of `OFF` that is long overdue, and one of `SLOW` that is so for the others'
            wait: neither may ever be touched or reported.
    """

    account: Account
    operator: OperatorClient
    backend_clock: Clock
    client: Credentials
    agents: dict[str, str] = field(default_factory=dict)
    neighbours: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, account: Account, operator: OperatorClient, backend_clock: Clock) -> Owner:
        client = operator.create_client("owner of three")
        owner = cls(account, operator, backend_clock, client)
        for name in (OFF, SLOW, PLAIN):
            owner.agents[name] = operator.create_agent(client.client_id)
            operator.set_terminate_wait(owner.agents[name], WAITS[name])
        operator.set_auto_terminate(owner.agents[OFF], enabled=False)
        for name, age in ((OFF, 6_000), (SLOW, YOUNG)):
            owner.neighbours[name] = owner.zombie(name, age)
        operator.set_quirks(ALL_QUIRKS)
        account.give(client.token)
        account.agent_id = ",".join(
            f"{agent}={LOGICAL_IDS[name]}" if name in LOGICAL_IDS else agent
            for name, agent in owner.agents.items()
        )
        return owner

    # Machines, with the real agent's tags.

    def server(self, name: str, **launch: Any) -> str:
        """The new server of a switch."""
        return self._launch(tags.new_server(name, LOGICAL_IDS.get(name)), **launch)

    def first_server(self, name: str) -> str:
        """A customer's own, before its first switch."""
        return self._launch(tags.first_server(name))

    def manual_replica(self, name: str, parent: str) -> str:
        """Launched by the agent's worker for manual and emergency replicas."""
        return self._launch(tags.manual_replica(name, LOGICAL_IDS.get(name), parent))

    def polled_replica(self, name: str, parent: str) -> str:
        """Launched by the agent's polling worker."""
        return self._launch(tags.polled_replica(name, parent))

    def _launch(self, bears: tags.Tags, **launch: Any) -> str:
        (instance_id,) = self.account.launch(tags=bears, **launch)
        return instance_id

    # What the backend knows of them.

    def zombie(self, name: str, age: float) -> str:
        """A server that was left behind by a switch so many seconds ago."""
        instance_id = self.server(name)
        self.operator.add_zombies(self.agents[name], [instance_id], age_seconds=age)
        return instance_id

    def with_replica(self, name: str, primary: str, replica: str) -> None:
        """A primary, and a replica that is ready."""
        self.operator.register_primary(self.agents[name], primary)
        self.operator.enable_manual_replica(self.agents[name], replica)
        self.operator.replica_ready(self.agents[name], replica)

    def pass_time(self, seconds: float) -> None:
        """Time passes for the backend and for EC2; the neighbour's zombie of `SLOW` stays as young."""
        self.backend_clock.advance(seconds)
        self.account.clock.advance(seconds)
        agent, zombie = self.agents[SLOW], self.neighbours[SLOW]
        self.operator.report_pricing(agent, zombie)  # quirk 11: its wait begins anew
        self.operator.age(agent, YOUNG, instance_id=zombie)

    # Runs.

    def run(self, event: dict[str, Any] | None = None, /, **variables: str) -> Invocation:
        """One run for all of them; no neighbour's zombie is touched or reported."""
        done = self.account.run(event, timeout=TIMEOUT, **variables)
        for name, instance_id in self.neighbours.items():
            assert self.account.state(instance_id) == "running"
            assert self.events(instance_id) == []
            assert self.row(name, instance_id)["termination_attempted_at"] is None
        return done

    def counts(self, event: dict[str, Any] | None = None, /, **variables: str) -> dict[str, int]:
        """What one run did, the neighbours' zombies and the noise of two lists aside."""
        counts = checks.counts(self.run(event, **variables).returned)
        noise = {"listed": 2 * NOISE + 2, "ignored": 2, "invalid": 2 * NOISE}
        assert all(counts.get(key, 0) >= least for key, least in noise.items()), counts
        return {key: rest for key, n in counts.items() if (rest := n - noise.get(key, 0))}

    def state(self, instance_id: str) -> str:
        return self.account.state(instance_id)

    def row(self, name: str, instance_id: str) -> dict[str, Any]:
        rows = self.operator.instances(self.agents[name])
        (row,) = [row for row in rows if row["id"] == instance_id]
        return row

    def replica_row(self, name: str, instance_id: str) -> dict[str, Any]:
        rows = self.operator.replicas(self.agents[name])
        (row,) = [row for row in rows if row["instance_id"] == instance_id]
        return row

    def events(self, instance_id: str) -> list[Event]:
        """What was reported about an instance, by whatever agent: who did, and the error."""
        return [
            (name, event["details"]["error"])
            for name, agent in self.agents.items()
            for event in reversed(self.operator.events(agent))
            if event["metadata"]["instance_id"] == instance_id
        ]
