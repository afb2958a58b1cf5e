"""Short ways to build the room's values; what a test does not name does not matter to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from handler.aws.errors import AwsError, ErrorKind
from handler.instances.model import (
    ZOMBIE,
    Agent,
    AgentList,
    Candidate,
    Instance,
    Marked,
    State,
    UntaggedReplicas,
)
from handler.instances.ownership import Owned
from handler.instances.rules import AsgMembers, MissingPolicy, Policy, ToTerminate
from handler.instances.run import Limits

NOW = datetime(2025, 11, 25, 12, 30, tzinfo=UTC)
OURS = {"ManagedBy": "SpotOptimizer"}
REGION = "us-east-1"
AGENT = Agent("agent-1")

_POLICY = Policy(
    region=REGION,
    required_tags=OURS,
    untagged_replicas=UntaggedReplicas.REFUSE,
    protect_tag="DoNotTerminate",
    missing_instance=MissingPolicy.REPORT_TERMINATED,
    asg_members=AsgMembers.REFUSE,
    require_running_peer=False,
    confirm_termination=False,
    dry_run=False,
)
_LIMITS = Limits(
    auto_terminate_enabled=True,
    max_terminations_per_run=500,
    max_fleet_percent=100,
    backend_concurrency=4,
    stuck_after_seconds=900,
    overdue_after_seconds=3600,
)


def iid(number: int) -> str:
    """The instance id of this number."""
    return f"i-{number:017x}"


def marked(
    number: int = 1,
    reason: str = ZOMBIE,
    zone: str | None = "us-east-1a",
    waited: float | None = 320.0,
    agent: Agent = AGENT,
) -> Marked:
    """An entry of an agent's list that came now."""
    return Marked(iid(number), reason, agent, NOW, zone, waited)


def listing(
    *entries: Marked, agent: Agent = AGENT, enabled: bool = True, **fields: Any
) -> AgentList:
    """An agent's list."""
    return AgentList(agent, enabled, entries, **fields)


def candidate(*entries: Marked, off: tuple[Marked, ...] = ()) -> Candidate:
    """A machine with these entries, of agents whose switch is on; `off`: of others."""
    return Candidate((entries or off)[0].instance_id, entries, off)


def instance(number: int = 1, state: State = State.RUNNING, **fields: Any) -> Instance:
    """An instance that bears the required tag, unless `tags` says otherwise."""
    return replace(Instance(iid(number), state, "us-east-1a", dict(OURS)), **fields)


def policy(**fields: Any) -> Policy:
    """The contract's defaults, but for these fields."""
    return replace(_POLICY, **fields)


def limits(**fields: Any) -> Limits:
    """The contract's defaults, but for these fields."""
    return replace(_LIMITS, **fields)


def decision(number: int = 1, **fields: Any) -> ToTerminate:
    """A decision to terminate a zombie; `fields` are those of its instance."""
    owned = Owned(marked(number), as_replica=False, as_zombie=True)
    return ToTerminate(owned, instance(number, **fields))


def error(
    kind: ErrorKind, code: str = "SomeCode", message: str = "some words", *named: str
) -> AwsError:
    """What AWS answered instead of a result."""
    return AwsError(code, message, kind, frozenset(named), "req-error")
