"""Which calls of AWS's the code makes, and under which role: read from the source.

A call is whatever is spelt as an operation of one of the services that the code has clients of: a client's
method, or the name of one as a text, which is how paginators are made.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

import botocore.session
from botocore import xform_name

from tests.template.stack import ROOT

CODE = ROOT / "src" / "handler"
SERVICES = (
    *("autoscaling", "cloudtrail", "cloudwatch", "dynamodb", "ec2", "events", "logs"),
    *("rbin", "scheduler", "ssm", "sts"),
)
TERMINATION, HOUSEKEEPING = "TerminationRole", "HousekeepingRole"
BOTH = frozenset({TERMINATION, HOUSEKEEPING})
ROLES = {
    "instances": {TERMINATION},
    "doctor": {TERMINATION},
    "images": {HOUSEKEEPING},
    "termination.py": {TERMINATION},
    "housekeeping.py": {HOUSEKEEPING},
}
"""Of the rooms; what is not named here runs under both."""
OF_LIBRARIES = {
    **{
        (TERMINATION, f"dynamodb:{verb}Item"): "Powertools' idempotency"
        for verb in ("Get", "Put", "Update", "Delete")
    },
    **{(role, "ssm:GetParameter"): "Powertools' parameters" for role in BOTH},
}
"""Calls that are not spelt in the source."""
MEANT = {"list_rules": "rbin:ListRules"}
"""Of names that several of the services have."""
NO_ACTION = {"dynamodb:TransactWriteItems"}
"""A transaction is judged by what is in it (DynamoDB, "IAM for transactions"): Put, Update and the like."""


@cache
def operations() -> dict[str, list[str]]:
    """IAM's actions by the client's method."""
    session = botocore.session.get_session()
    found: dict[str, list[str]] = {}
    for service in SERVICES:
        for operation in session.get_service_model(service).operation_names:
            found.setdefault(xform_name(operation), []).append(f"{service}:{operation}")
    return found


def action(method: str) -> str:
    """IAM's action for a client's method."""
    if method in MEANT:
        return MEANT[method]
    (only,) = operations()[method]
    return only


def spelt(source: str) -> Iterator[str]:
    """Every attribute's name and every text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def calls_of(source: str) -> set[str]:
    """The actions that a module's calls need."""
    return {action(m) for m in set(spelt(source)) & operations().keys()} - NO_ACTION


@cache
def calls() -> frozenset[tuple[str, str]]:
    """Role and action of every call of the code."""
    found = set(OF_LIBRARIES)
    for path in CODE.rglob("*.py"):
        room = path.relative_to(CODE).parts[0]
        for role in ROLES.get(room, BOTH):
            found |= {(role, one) for one in calls_of(path.read_text())}
    return frozenset(found)
