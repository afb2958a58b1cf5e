"""EC2 Fleets and Spot Fleets: which of them replace a member that ends."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from handler.aws.errors import AwsError, ErrorKind
from handler.instances.calls import chunks, read_all

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

FLEETS = 100
"""Fleets of one call."""
REPLACES = "maintain"
"""The type of fleet that replaces its members; `instant` and `request` do not (EC2 API, CreateFleet)."""
OVER = frozenset(
    {"deleted", "deleted_running", "deleted_terminating",
     "cancelled", "cancelled_running", "cancelled_terminating"}
)  # fmt: skip
"""States of an EC2 Fleet and of a Spot Fleet in which nothing is replaced (EC2 API)."""


def replacing(ec2: EC2Client, fleets: Collection[str]) -> dict[str, bool | AwsError]:
    """Whether each of these replaces its members, asked by id: EC2 shows `instant` ones only so.

    A fleet that EC2 does not show is not among the answers. Where one of them makes a call fail,
    each is asked for by itself.
    """
    answers: dict[str, bool | AwsError] = {}
    spot = {one for one in fleets if one.startswith("sfr-")}
    for ids in (*chunks(sorted(spot), FLEETS), *chunks(sorted(set(fleets) - spot), FLEETS)):
        found = _ask(ec2, ids)
        if isinstance(found, AwsError) and _about_one(found) and len(ids) > 1:
            for one in ids:
                alone = _ask(ec2, [one])
                answers |= {one: alone} if isinstance(alone, AwsError) else alone
        else:
            answers |= dict.fromkeys(ids, found) if isinstance(found, AwsError) else found
    return answers


def _ask(ec2: EC2Client, ids: list[str]) -> dict[str, bool] | AwsError:
    if ids[0].startswith("sfr-"):
        found = read_all(
            ec2, "describe_spot_fleet_requests", "SpotFleetRequestConfigs", SpotFleetRequestIds=ids
        )
    else:
        found = read_all(ec2, "describe_fleets", "Fleets", FleetIds=ids)
    return found if isinstance(found, AwsError) else dict(map(_replaces, found))


def _about_one(error: AwsError) -> bool:
    return error.kind in {ErrorKind.REFUSED, ErrorKind.MISSING}


def _replaces(raw: Mapping[str, Any]) -> tuple[str, bool]:
    """A fleet's id, and whether it replaces its members; a type that is not told may."""
    if "FleetId" in raw:
        fleet, kind, state = raw["FleetId"], raw.get("Type"), raw.get("FleetState")
    else:
        fleet, state = raw["SpotFleetRequestId"], raw.get("SpotFleetRequestState")
        kind = raw.get("SpotFleetRequestConfig", {}).get("Type")
    return fleet, (kind or REPLACES) == REPLACES and state not in OVER
