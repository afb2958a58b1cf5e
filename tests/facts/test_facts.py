"""Every fact is understood as it should be, over the wire and through boto3."""

from collections.abc import Iterator

import pytest

from tests.facts import adapters, estate_adapters
from tests.facts.errors import ERRORS
from tests.facts.estate import IMAGES, NAMING, PARAMETERS, PERMISSIONS, PRESENCE, SNAPSHOTS
from tests.facts.fact import Fact
from tests.facts.machines import INSTANCES, TERMINATIONS
from tests.facts.player import Player, running
from tests.facts.surroundings import FLEETS, HISTORY, MEMBERS, PROTECTIONS, REQUESTS

READ = (
    (adapters.error, ERRORS),
    (adapters.instance, INSTANCES),
    (adapters.termination, TERMINATIONS),
    (adapters.request, REQUESTS),
    (adapters.fleet, FLEETS),
    (adapters.member, MEMBERS),
    (adapters.protection, PROTECTIONS),
    (adapters.history, HISTORY),
    (estate_adapters.image, IMAGES),
    (estate_adapters.snapshot, SNAPSHOTS),
    (estate_adapters.presence, PRESENCE),
    (estate_adapters.permission, PERMISSIONS),
    (estate_adapters.naming, NAMING),
    (estate_adapters.parameter, PARAMETERS),
)


@pytest.fixture(scope="module")
def player() -> Iterator[Player]:
    with running() as player:
        yield player


@pytest.mark.parametrize(
    ("reader", "fact"),
    [pytest.param(reader, fact, id=str(fact)) for reader, facts in READ for fact in facts],
)
def test_a_fact_is_read_as_it_should_be(
    player: Player, reader: adapters.Reader, fact: Fact
) -> None:
    assert reader(player, fact) == fact.reading


def test_every_fact_has_a_name_and_a_public_address() -> None:
    facts = [fact for _, some in READ for fact in some]
    assert len({fact.name for fact in facts}) == len(facts) >= 60
    assert all(fact.source.startswith("https://") for fact in facts)
