"""Proves that an instance which EC2 does not know lived in this account (contract, quirk 3).

A backend that several accounts share lists other tenants' zombies. For these EC2 answers "not
found" while they run elsewhere; reporting them as terminated would hide them for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from handler.aws.errors import AwsError
from handler.aws.retry import Patience
from handler.instances.guard import Action, Decision, defer
from handler.instances.outcome import Outcome
from handler.instances.ports import Outside


def prove(decisions: Sequence[Decision], outside: Outside, patiently: Patience) -> list[Decision]:
    """Turn each into a report if it is proven, ignored if not, deferred if nobody can say."""
    return [_prove(decision, outside, patiently) for decision in decisions]


def _prove(decision: Decision, outside: Outside, patiently: Patience) -> Decision:
    lived = patiently(lambda: outside.history.lived_here(decision.marked.instance_id))
    if isinstance(lived, AwsError):
        return defer(decision, f"the account's history could not be asked: {lived}")
    if lived:
        why = "EC2 does not know it any more; it lived in this account"
        return replace(decision, action=Action.REPORT, why=why)
    why = "EC2 does not know it, and the account's history neither: another account's"
    return replace(decision, action=Action.SETTLE, outcome=Outcome.IGNORED, why=why)
