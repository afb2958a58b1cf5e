"""What the original agent's machines bear (contract section 1, "How its machines are tagged").

A promoted replica bears what it was launched with: nothing is tagged afterwards.
"""

from __future__ import annotations

from local.stack import MANAGED

Tags = dict[str, str]


def first_server(name: str) -> Tags:
    """A customer's server before its first switch: none of ours."""
    return {"Name": name}


def new_server(name: str, logical_id: str | None) -> Tags:
    """The new server of a switch."""
    return {**MANAGED, "LogicalAgentId": logical_id or "default", "Name": name}


def manual_replica(name: str, logical_id: str | None, parent: str) -> Tags:
    """A replica that one of the agent's workers launches in manual mode, or in an emergency."""
    told = {"LogicalAgentId": logical_id or "", "ReplicaType": "manual", "ParentInstance": parent}
    return {**MANAGED, **told, "Name": name}


def polled_replica(name: str, parent: str) -> Tags:
    """A replica that the agent's polling worker launches."""
    return {"ReplicaId": "4711", "ParentInstance": parent, "Name": name}
