"""When each machine was first seen: remembered beyond an execution environment, and by two runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from handler.aws.errors import AwsError
from handler.instances import first_seen
from handler.instances.first_seen import (
    FORGOTTEN_AFTER,
    ITEM,
    MOST,
    NOTED_EVERY,
    FirstSeen,
    Sighting,
    merged,
    noted,
)
from tests.fakes.build import NOW, iid
from tests.support.dynamodb import idempotency_table

TABLE = "reports"
IDS = st.sampled_from([iid(number) for number in range(6)])
TIMES = st.integers(0, 3 * FORGOTTEN_AFTER)
KNOWN = st.dictionaries(
    IDS,
    st.tuples(TIMES, TIMES).map(lambda pair: Sighting(min(pair), max(pair))),
)


@given(KNOWN, KNOWN, KNOWN)
def test_it_does_not_matter_who_merges_with_whom_first(
    one: dict[str, Sighting], two: dict[str, Sighting], three: dict[str, Sighting]
) -> None:
    assert merged(one, two) == merged(two, one)
    assert merged(one, merged(two, three)) == merged(merged(one, two), three)
    assert merged(one, one) == one


@given(KNOWN, KNOWN)
def test_two_runs_lose_nothing_and_the_earlier_sight_holds(
    one: dict[str, Sighting], two: dict[str, Sighting]
) -> None:
    both = merged(one, two)
    assert set(both) == set(one) | set(two)
    for key, found in both.items():
        mine = [each[key] for each in (one, two) if key in each]
        assert found.first == min(each.first for each in mine)
        assert found.last == max(each.last for each in mine)


@given(KNOWN, st.sets(IDS), TIMES)
def test_what_is_seen_is_known_since_it_was_first_seen(
    known: dict[str, Sighting], ids: set[str], now: int
) -> None:
    after = noted(known, ids, now)
    for one in ids:
        before = known.get(one)
        if before is None or now - before.last > FORGOTTEN_AFTER:
            assert after[one] == Sighting(now, now), "new, or not listed for long"
        else:
            assert after[one].first == min(before.first, now) or after[one] == before
            assert now - after[one].last <= NOTED_EVERY
    for one in set(after) - ids:
        assert after[one] == known[one]
        assert now - known[one].last <= FORGOTTEN_AFTER
    assert noted(after, ids, now) == after


def test_with_too_many_those_seen_last_are_not_remembered() -> None:
    """The alarm needs those that were seen first."""
    known = noted({}, [iid(number) for number in range(MOST)], 1_000)
    after = noted(known, [*known, iid(MOST)], 1_010)
    assert set(after) == set(known)
    assert set(merged(known, {"i-older": Sighting(1, 1_000)})) >= {"i-older"}
    assert len(merged(known, {"i-older": Sighting(1, 1_000)})) == MOST


class House:
    """One table; environments come and go."""

    def __init__(self) -> None:
        self.client = idempotency_table(TABLE)
        self.asked: list[str] = []
        self.warnings: list[AwsError] = []
        self.trouble: dict[str, Exception] = {}
        self.client.meta.events.register("before-call.dynamodb", self._note)

    def _note(self, model: Any, **_: Any) -> None:
        self.asked.append(model.name)
        if model.name in self.trouble:
            raise self.trouble[model.name]

    def environment(self) -> FirstSeen:
        return FirstSeen(lambda: self.client, TABLE, self.warnings.append)

    def item(self) -> dict[str, Any]:
        return dict(self.client.get_item(TableName=TABLE, Key={"id": {"S": ITEM}})["Item"])

    def put(self, **attributes: Any) -> None:
        self.client.put_item(TableName=TABLE, Item={"id": {"S": ITEM}, **attributes})
        self.asked.clear()


@pytest.fixture
def house() -> Iterator[House]:
    with mock_aws():
        yield House()


HOUR = timedelta(hours=1)


def test_it_outlives_an_execution_environment(house: House) -> None:
    assert house.environment().note([iid(1)], NOW) == {iid(1): NOW}
    later = NOW + 2 * HOUR
    assert house.environment().note([iid(1), iid(2)], later) == {iid(1): NOW, iid(2): later}


def test_what_was_listed_lately_may_be_marked_in_another_environment_too(house: House) -> None:
    house.environment().note([iid(1)], NOW)
    fresh = house.environment()
    assert fresh.lately(NOW) == set()
    fresh.load()
    assert fresh.lately(NOW + HOUR) == {iid(1)}
    assert fresh.lately(NOW + 12 * HOUR) == {iid(1)}  # an agent may have it wait for hours
    assert fresh.lately(NOW + 12 * HOUR + timedelta(seconds=1)) == set()


def test_what_another_environment_saw_since_is_known_too(house: House) -> None:
    """Two are warm after runs that overlapped: each has its turn, and the backend hides what was refused."""
    warm, other = house.environment(), house.environment()
    warm.note([iid(1)], NOW)
    other.note([iid(2)], NOW + HOUR / 2)
    warm.load()
    assert warm.lately(NOW + HOUR / 2) == {iid(1), iid(2)}


def test_a_run_that_sees_none_asks_nothing(house: House) -> None:
    assert house.environment().note([], NOW) == {}
    assert house.asked == []


def test_it_is_read_once_and_written_when_it_changes(house: House) -> None:
    memory = house.environment()
    for minutes in range(30):
        memory.note([iid(1), iid(2)], NOW + timedelta(minutes=minutes))
    assert house.asked == ["GetItem", "PutItem"]
    memory.note([iid(1), iid(2)], NOW + 2 * HOUR)
    assert house.asked == ["GetItem", "PutItem", "PutItem"]
    another = house.environment()
    another.note([iid(1)], NOW + 2 * HOUR)
    assert house.asked[3:] == ["GetItem"]


def test_what_is_not_listed_for_long_is_forgotten(house: House) -> None:
    memory, later = house.environment(), NOW + timedelta(seconds=FORGOTTEN_AFTER + 1)
    memory.note([iid(1), iid(2)], NOW)
    assert memory.note([iid(1)], later) == {iid(1): later}
    assert set(json.loads(house.item()["seen"]["S"])) == {iid(1)}


def test_the_item_ends_with_what_it_remembers(house: House) -> None:
    house.environment().note([iid(1)], NOW)
    assert house.item()["expiration"] == {"N": str(int(NOW.timestamp()) + FORGOTTEN_AFTER)}


def test_the_largest_item_is_far_from_dynamodb_s_limit(house: House) -> None:
    ids = [iid(number) for number in range(MOST + 500)]
    found = house.environment().note(ids, NOW)
    assert len(found) == MOST
    assert len(house.item()["seen"]["S"]) < 250_000


def test_two_runs_do_not_lose_each_other_s(house: House) -> None:
    one, two = house.environment(), house.environment()
    one.note([iid(1)], NOW)
    two.note([iid(1)], NOW)
    one.note([iid(1), iid(2)], NOW + HOUR / 2)
    assert two.note([iid(1), iid(3)], NOW + HOUR / 2)[iid(1)] == NOW
    assert set(json.loads(house.item()["seen"]["S"])) == {iid(1), iid(2), iid(3)}
    assert house.warnings == []


def test_of_two_runs_the_earlier_sight_holds(house: House) -> None:
    one, two = house.environment(), house.environment()
    two.note([iid(9)], NOW)
    one.note([iid(1)], NOW)
    assert two.note([iid(1)], NOW + HOUR / 2) == {iid(1): NOW}


def test_where_others_write_all_the_time_the_next_run_tries_again(house: House) -> None:
    memory = house.environment()
    error: Any = {"Error": {"Code": "ConditionalCheckFailedException", "Message": "changed"}}
    house.trouble["PutItem"] = ClientError(error, "PutItem")
    assert memory.note([iid(1)], NOW) == {iid(1): NOW}
    assert house.asked.count("PutItem") == first_seen.TRIES
    assert house.warnings == []
    house.trouble.clear()
    memory.note([iid(1)], NOW + HOUR / 2)
    assert house.environment().note([iid(1)], NOW + HOUR / 2) == {iid(1): NOW}


@pytest.mark.parametrize("operation", ["GetItem", "PutItem"])
@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "X"),
        EndpointConnectionError(endpoint_url="https://dynamodb"),
    ],
    ids=["denied", "no answer"],
)
def test_without_the_table_the_environment_s_own_memory_goes_on(
    house: House, operation: str, error: Exception
) -> None:
    memory = house.environment()
    house.trouble[operation] = error
    assert memory.note([iid(1)], NOW) == {iid(1): NOW}
    assert memory.note([iid(1)], NOW + HOUR / 2) == {iid(1): NOW}
    assert len(house.warnings) == 2, "one line a run"
    house.trouble.clear()
    memory.note([iid(1)], NOW + HOUR / 2)
    assert house.environment().note([iid(1)], NOW + HOUR / 2) == {iid(1): NOW}, "written later"


ODD = (
    {"S": "no json"},
    {"S": "[]"},
    {"S": '{"i-1": 7}'},
    {"S": '{"i-1": [1]}'},
    {"S": '{"i-1": ["x", null]}'},
    {"S": '{"i-1": [Infinity, NaN]}'},
    {"S": '{"i-1": [-5, 1]}'},
    {"N": "7"},
)


@pytest.mark.parametrize("revision", [{}, {"revision": {"N": "7"}}, {"revision": {"S": "seven"}}])
def test_an_item_that_cannot_be_read_is_written_anew(
    house: House, revision: dict[str, Any]
) -> None:
    for seen in ODD:
        house.put(seen=seen, **revision)
        assert house.environment().note([iid(1)], NOW) == {iid(1): NOW}, seen
        assert house.environment().note([iid(1)], NOW + HOUR / 2) == {iid(1): NOW}, seen
    assert house.warnings == []


def test_a_date_that_is_still_to_come_is_now(house: House) -> None:
    much_later = 10**14
    house.put(seen={"S": json.dumps({iid(1): [much_later, much_later]})})
    assert house.environment().note([iid(1)], NOW) == {iid(1): NOW}


def test_an_answer_that_was_lost_is_not_another_run_s(house: House) -> None:
    """The SDK asks again: then it was this very call that changed the item."""
    memory, put = house.environment(), house.client.put_item

    def twice(**given: Any) -> Any:
        put(**given)
        return put(**given)

    house.client.put_item = twice  # type: ignore[method-assign]
    assert memory.note([iid(1)], NOW) == {iid(1): NOW}
    assert house.asked == ["GetItem", "PutItem", "PutItem", "GetItem"]
