"""Short ways to build the domain's values; what a test does not name does not matter to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from handler.aws.errors import AwsError, ErrorKind
from handler.instances.guard import Action, AsgMembers, Decision, MissingPolicy, Policy
from handler.instances.model import ZOMBIE, Instance, Marked, State
from handler.instances.outcome import Outcome
from handler.instances.run import Limits

NOW = datetime(2025, 11, 25, 12, 30, tzinfo=UTC)
OURS = {"ManagedBy": "SpotOptimizer"}
REGION = "us-east-1"

_POLICY = Policy(
    region=REGION,
    required_tags=OURS,
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
)


def iid(number: int) -> str:
    """The instance id of this number."""
    return f"i-{number:017x}"


def marked(
    number: int = 1,
    reason: str = ZOMBIE,
    zone: str | None = "us-east-1a",
    waited: float | None = 320.0,
) -> Marked:
    """An entry of the backend's list."""
    return Marked(iid(number), reason, zone, waited)


def instance(number: int = 1, state: State = State.RUNNING, **fields: Any) -> Instance:
    """An instance that bears the required tag, unless `tags` says otherwise."""
    return replace(Instance(iid(number), state, "us-east-1a", dict(OURS)), **fields)


def policy(**fields: Any) -> Policy:
    """The contract's defaults, but for these fields."""
    return replace(_POLICY, **fields)


def limits(**fields: Any) -> Limits:
    """The contract's defaults, but for these fields."""
    return replace(_LIMITS, **fields)


def decision(number: int = 1, **fields: Any) -> Decision:
    """A decision to terminate; `fields` are those of its instance."""
    entry = marked(number)
    return Decision(
        entry, Action.TERMINATE, Outcome.TERMINATED, entry.reason, instance(number, **fields)
    )


def error(
    kind: ErrorKind, code: str = "SomeCode", message: str = "some words", *named: str
) -> AwsError:
    """What AWS answered instead of a result."""
    return AwsError(code, message, kind, frozenset(named), "req-error")
