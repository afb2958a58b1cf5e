"""How facts on images and snapshots are asked and what was understood."""

from typing import Any

from botocore import xform_name

from handler.aws.errors import AwsError
from handler.aws.lists import read_all
from handler.images.ec2 import Ec2Inventory
from handler.images.last_questions import shared_with
from handler.images.model import Kind
from handler.images.parameters import Parameters
from handler.images.references import ids_in
from tests.facts.estate import IMAGE, SNAPSHOT
from tests.facts.fact import Fact
from tests.facts.player import Player


def _time_left() -> float:
    return 10.0


def image(player: Player, fact: Fact) -> dict[str, Any]:
    """One image of the account, for as much as the fact's reading asks."""
    player.play(fact)
    found = Ec2Inventory(player.client("ec2"), _time_left).images()
    assert not isinstance(found, AwsError)
    (one,) = found
    understood = {
        "state": one.state,
        "protected": one.protected,
        "owner": one.owner_alias,
        "parts": list(one.snapshots),
        "created": one.created and one.created.isoformat(),
        "launched": one.last_launched and one.last_launched.isoformat(),
    }
    return {key: understood[key] for key in fact.reading}


def snapshot(player: Player, fact: Fact) -> dict[str, Any]:
    """One snapshot of the account, for as much as the fact's reading asks."""
    player.play(fact)
    found = Ec2Inventory(player.client("ec2"), _time_left).snapshots()
    assert not isinstance(found, AwsError)
    (one,) = found
    understood = {
        "state": one.state,
        "archived": one.archived,
        "copies": sorted(one.named),
        "gigabytes": one.gigabytes,
    }
    return {key: understood[key] for key in fact.reading}


def presence(player: Player, fact: Fact) -> dict[str, Any]:
    """Whether the image exists."""
    player.play(fact)
    there = Ec2Inventory(player.client("ec2"), _time_left).still_there([IMAGE], ())[IMAGE]
    return {"there": "unknown" if isinstance(there, AwsError) else there}


def permission(player: Player, fact: Fact) -> dict[str, Any]:
    """Who outside may use it."""
    player.play(fact)
    of_image = fact.call == "ec2.DescribeImageAttribute"
    kind, item = (Kind.IMAGE, IMAGE) if of_image else (Kind.SNAPSHOT, SNAPSHOT)
    return {"with": shared_with(player.client("ec2"), kind, item, _time_left)}


def naming(player: Player, fact: Fact) -> dict[str, Any]:
    """The images that what is listed refers to."""
    player.play(fact)
    service, operation = fact.call.split(".")
    assert isinstance(fact.answer, dict)
    (key,) = fact.answer
    call = xform_name(operation)
    return {"names": sorted(ids_in(read_all(player.client(service), call, key, _time_left)))}


def parameter(player: Player, fact: Fact) -> dict[str, Any]:
    """The values of parameters by the names under which they are asked for."""
    player.play(fact)
    found = Parameters(player.client("ssm"), _time_left).values(fact.reading)
    assert not isinstance(found, AwsError)
    return found
