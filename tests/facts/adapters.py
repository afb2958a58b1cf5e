"""How a fact is asked and what was understood: the one place that names the adapters."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from botocore import xform_name

from handler.aws import error_codes
from handler.aws.errors import AwsError
from handler.instances.auto_scaling import members
from handler.instances.ec2 import Ec2Machines
from handler.instances.provenance import CloudTrailHistory
from tests.facts.fact import Fact, Refusal
from tests.facts.machines import ONE
from tests.facts.player import Player, running
from tests.facts.surroundings import MEMBERS, PROTECTIONS

Reader = Callable[[Player, Fact], Mapping[str, Any]]
"""Plays a fact and answers what was understood, in the words of its `reading`."""

_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "autoscaling.TerminateInstanceInAutoScalingGroup": {
        "InstanceId": ONE,
        "ShouldDecrementDesiredCapacity": True,
    },
    "dynamodb.PutItem": {"TableName": "none", "Item": {"id": {"S": "a"}}},
    "ec2.CancelSpotInstanceRequests": {"SpotInstanceRequestIds": ["sir-1a2b3c4d"]},
    "ec2.DeleteSnapshot": {"SnapshotId": "snap-0d16416527e67c663"},
    "ec2.DeregisterImage": {"ImageId": "ami-012ab3c4d5e6f7890"},
    "ec2.DescribeImageReferences": {"ImageIds": ["ami-012ab3c4d5e6f7890"]},
    "ec2.TerminateInstances": {"InstanceIds": [ONE]},
    "events.PutEvents": {"Entries": [{}]},
    "ssm.GetParameter": {"Name": "/token"},
}


def error(player: Player, fact: Fact) -> dict[str, Any]:
    """What `error_codes` makes of it, for as much as the fact's reading asks."""
    player.play(fact)
    service, operation = fact.call.split(".")
    call = getattr(player.client(service), xform_name(operation))
    try:
        answered = call(**_PARAMETERS.get(fact.call, {}))
    except error_codes.SDK_ERRORS as raised:
        found = error_codes.read(raised)
    else:
        return {"answered": answered}
    understood: dict[str, Any] = {
        "code": found.code,
        "means": found.kind.value,
        "named": sorted(found.named),
        "denied": found.denied,
    }
    says = fact.reading.get("says", "")
    if says in found.message:
        understood["says"] = says
    return {key: understood.get(key) for key in fact.reading}


def machines(player: Player) -> Ec2Machines:
    """EC2's and Auto Scaling's adapter."""
    ec2 = player.client("ec2")
    return Ec2Machines(ec2, ec2, lambda: player.client("autoscaling"))


def instance(player: Player, fact: Fact) -> dict[str, Any]:
    """What a look at one instance found; a refusal comes for its id, after a filter showed nothing."""
    player.play(fact, before=[{"Reservations": []}] if isinstance(fact.answer, Refusal) else ())
    observed = machines(player).look({ONE: "us-east-1a"})
    if ONE in observed.gone:
        return {"gone": True}
    if ONE in observed.unreadable:
        return {"known": False}
    seen = observed.seen[ONE]
    at = seen.ending.at if seen.ending else None
    return {
        "state": seen.state.value,
        "zone": seen.zone,
        "ended by a call": seen.ending.by_api if seen.ending else None,
        "ended at": at.isoformat() if at else None,
        "spot request": seen.spot_request,
        "operator": seen.operator,
    }


def termination(player: Player, fact: Fact) -> dict[str, Any]:
    """The states before and after that a termination answered, or what its error means."""
    player.play(fact)
    answer = machines(player).terminate([ONE], dry_run=fact.status == 412)
    if isinstance(answer, AwsError):
        return {"error": answer.kind.value}
    return {key: (one.previous, one.current) for key, one in answer.changes.items()}


def request(player: Player, fact: Fact) -> dict[str, Any]:
    """The state of the fact's Spot requests, as shown or as it followed from cancelling."""
    player.play(fact)
    if fact.call == "ec2.DescribeSpotInstanceRequests":
        standing = machines(player).standing_requests(list(fact.reading))
        assert not isinstance(standing, AwsError)
        return dict(standing)
    cancelled = machines(player).cancel_requests(list(fact.reading), dry_run=False)
    assert not isinstance(cancelled, AwsError)
    return {key: one.current for key, one in cancelled.changes.items()}


def fleet(player: Player, fact: Fact) -> dict[str, Any]:
    """Whether each of the fact's fleets replaces its members."""
    player.play(fact)
    answers = machines(player).fleets(list(fact.reading))
    return {key: "unknown" if isinstance(one, AwsError) else one for key, one in answers.items()}


def member(player: Player, fact: Fact) -> dict[str, Any]:
    """How a group's member stands."""
    player.play(fact)
    unprotected = replace(PROTECTIONS[0], answer={"DisableApiTermination": {"Value": False}})
    with running() as other:
        other.play(unprotected)
        found = members(player.client("autoscaling"), other.client("ec2"), [ONE], lambda: 60.0)[ONE]
    assert not isinstance(found, AwsError)
    return {
        "leaving": found.leaving.name.lower().replace("_", " "),
        "protected from scale-in": found.protected_from_scale_in,
    }


def protection(player: Player, fact: Fact) -> dict[str, Any]:
    """Whether a group's member is protected from termination, as EC2 tells it."""
    player.play(fact)
    with running() as other:
        other.play(MEMBERS[0])
        found = members(other.client("autoscaling"), player.client("ec2"), [ONE], lambda: 60.0)[ONE]
    assert not isinstance(found, AwsError)
    return {"protected": found.termination_protected}


def history(player: Player, fact: Fact) -> dict[str, Any]:
    """Whether the event history proves that the instance lived in the account."""
    player.play(fact)
    asked = CloudTrailHistory(
        lambda: player.client("cloudtrail"), lambda _, ask: ask(), sleep=lambda _: None
    )
    return {"lived here": asked.lived_here(ONE)}
