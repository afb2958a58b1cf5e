"""The agents of the function and their neighbours, and how their machines are tagged."""

from __future__ import annotations

from collections.abc import Mapping

SHOP, MAIL, DEPOT, PLAIN = "agent-shop", "agent-mail", "agent-depot", "agent-plain"
LOGICAL: Mapping[str, str | None] = {SHOP: "shop", MAIL: "mail", DEPOT: "depot", PLAIN: None}
"""The agents of `AGENT_ID`, in its order. MAIL waits longer, DEPOT is off, PLAIN cannot tell its own."""
STRANGER, THEIRS = "agent-stranger", "agent-theirs"
"""Of the same client, account and region; and of another client in another account."""
MANAGED = {"ManagedBy": "SpotOptimizer"}


def switched(agent: str) -> dict[str, str]:
    """The tags of a switch's new server (contract section 1, "How its machines are tagged")."""
    logical = "stranger" if agent == STRANGER else LOGICAL[agent] or "default"
    return {**MANAGED, "LogicalAgentId": logical, "Name": f"{agent} primary"}


def replica(agent: str, parent: str) -> dict[str, str]:
    """The tags of a manual or emergency replica."""
    own = {"LogicalAgentId": LOGICAL[agent] or "", "ReplicaType": "manual"}
    return {**MANAGED, **own, "ParentInstance": parent, "Name": f"{agent} replica"}


def workers_replica(parent: str) -> dict[str, str]:
    """The tags of the polling worker's replica."""
    return {"ReplicaId": "replica-7", "ParentInstance": parent, "Name": "replica"}
