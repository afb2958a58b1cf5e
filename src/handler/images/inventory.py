"""Gathers all that one run knows, side by side; a look-up that fails is part of the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from handler.aws.errors import AwsError
from handler.aws.lists import each_of, sound
from handler.aws.retry import OUT_OF_TIME
from handler.images.ec2 import Ec2Inventory
from handler.images.model import Inventory, Policy, References, Unseen
from handler.images.references import AccountReferences
from handler.images.rules import decide


class HousekeepingError(Exception):
    """The run could do nothing at all; says why."""


def take_inventory(
    client: Callable[[str], Any],
    time_left: Callable[[], float],
    policy: Policy,
    now: datetime,
    failed: Callable[[str, AwsError], None],
) -> Inventory:
    """Everything that the decisions depend on; who uses what only if anything is left to ask.

    Args:
        client: makes the boto3 client of a service.
        time_left: seconds in which AWS may still be asked.
        policy: what may be deleted.
        now: the time (UTC).
        failed: told of each look-up that failed: what, and why.

    Raises:
        HousekeepingError: the images could not be listed: then no snapshot is known to be free.
    """
    ec2 = Ec2Inventory(client("ec2"), time_left)
    first = _side_by_side({"images": ec2.images, "snapshots": ec2.snapshots}, time_left)
    images, snapshots = first["images"], first["snapshots"]
    if isinstance(images, AwsError):
        raise HousekeepingError(f"the account's images could not be listed: {images}")
    unseen: list[Unseen] = []
    if isinstance(snapshots, AwsError):
        failed("snapshots", snapshots)
        unseen.append(Unseen("snapshots", snapshots))
    bare = Inventory(images, () if isinstance(snapshots, AwsError) else snapshots)
    if not any(one.goes for one in decide(bare, policy, now)):
        return bare
    clients = {service: client(service) for service in ("ec2", "autoscaling", "ssm")}
    look_ups = AccountReferences(clients, time_left).look_ups()
    found = _side_by_side({**look_ups, "volumes": ec2.volumes, "locks": ec2.locked}, time_left)
    for what, answer in found.items():
        if isinstance(answer, AwsError):
            failed(what, answer)
    by_id: dict[str, str] = {}
    for what in look_ups:
        answer = found[what]
        if isinstance(answer, AwsError):
            unseen.append(Unseen(what, answer))
        else:
            by_id = {**answer.by_id, **by_id}
            unseen += answer.unseen
            for one in answer.unseen:
                failed(one.what, one.error)
    references = References(by_id, tuple(unseen))
    return replace(bare, references=references, volumes=found["volumes"], locked=found["locks"])


def _side_by_side(
    look_ups: Mapping[str, Callable[[], Any]], time_left: Callable[[], float]
) -> dict[str, Any]:
    """Each one's answer by its name; OUT_OF_TIME for all where there is no time for one."""
    answers = each_of(lambda what: sound(look_ups[what]), list(look_ups), time_left)
    return dict.fromkeys(look_ups, OUT_OF_TIME) if isinstance(answers, AwsError) else dict(answers)
