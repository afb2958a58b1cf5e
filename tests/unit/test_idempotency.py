"""The idempotency table on moto's DynamoDB: a success report is acknowledged once per window."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock
from typing import Any

import pytest
import time_machine
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from botocore.exceptions import ClientError
from moto import mock_aws

from handler.aws.errors import AwsError
from handler.deadline import Deadline
from handler.instances import idempotency
from handler.instances.idempotency import Acknowledged, IdempotencyTable
from handler.instances.ports import Claim
from tests.fakes.build import NOW, iid
from tests.support.dynamodb import idempotency_table

WINDOW = 7200
"""Seconds; not what Powertools takes where it is told nothing."""
TABLE = "reports"


class House:
    """One DynamoDB; environments, and runs in them, come and go."""

    def __init__(self) -> None:
        self.client = idempotency_table(TABLE)
        self.asked: list[str] = []
        self.warnings: list[AwsError] = []
        self.slept: list[float] = []
        self.client.meta.events.register(
            "before-call.dynamodb", lambda model, **_: self.asked.append(model.name)
        )

    def run(self, known: Acknowledged | None = None, seconds: float = 60) -> IdempotencyTable:
        """A run's table, in an environment of its own unless one is given."""
        return IdempotencyTable(
            self.client,
            table=TABLE,
            window_seconds=WINDOW,
            known=known or Acknowledged(),
            deadline=Deadline(lambda: seconds),
            warn=self.warnings.append,
            sleep=self.slept.append,
        )

    def fail(self, error: Exception | None, *operations: str, times: int = 1000) -> None:
        """Have these operations, or all, raise it."""
        self.mend()
        left = [times]

        def refuse(model: Any, **_: Any) -> None:
            if error is not None and left[0] and (not operations or model.name in operations):
                left[0] -= 1
                raise error

        self.refuse = refuse
        self.client.meta.events.register("before-call.dynamodb", refuse)

    def mend(self) -> None:
        if hasattr(self, "refuse"):
            self.client.meta.events.unregister("before-call.dynamodb", self.refuse)
            del self.refuse

    def records(self) -> list[dict[str, Any]]:
        self.mend()
        return [dict(one) for one in self.client.scan(TableName=TABLE)["Items"]]


@pytest.fixture
def house() -> Iterator[House]:
    with mock_aws():
        yield House()


def said(code: str, *reasons: str) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "no"}}
    if reasons:
        answer["CancellationReasons"] = [{"Code": reason} for reason in reasons]
    return ClientError(answer, "X")


FREE, REPORTED, UNDER_WAY = Claim.FREE, Claim.REPORTED, Claim.UNDER_WAY


def test_a_success_is_free_until_it_is_acknowledged(house: House) -> None:
    run = house.run()
    assert run.claim([iid(1), iid(2)]) == {iid(1): FREE, iid(2): FREE}
    assert house.run().claim([iid(1), iid(2)]) == {iid(1): UNDER_WAY, iid(2): UNDER_WAY}
    run.acknowledged([iid(1)])
    assert house.run().claim([iid(1), iid(2)]) == {iid(1): REPORTED, iid(2): UNDER_WAY}
    run.release([iid(2)])
    assert house.run().claim([iid(1), iid(2)]) == {iid(1): REPORTED, iid(2): FREE}


def test_the_same_environment_knows_of_it_without_the_table(house: House) -> None:
    known = Acknowledged()
    run = house.run(known)
    run.claim([iid(1)])
    run.acknowledged([iid(1)])
    house.asked.clear()
    assert house.run(known).claim([iid(1)]) == {iid(1): REPORTED}
    assert house.run(known).remember(iid(1), lambda: False) is True, "what was reported has lived"
    assert house.asked == []
    another = Acknowledged()
    assert house.run(another).claim([iid(1)]) == {iid(1): REPORTED}
    asked = len(house.asked)
    assert house.run(another).claim([iid(1)]) == {iid(1): REPORTED}
    assert len(house.asked) == asked > 0, "another one asks once"


def test_the_environment_s_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "REMEMBERED_LOCALLY", 3)
    known = Acknowledged()
    with time_machine.travel(NOW, tick=False):
        for number in range(5):
            known.add(iid(number), NOW.timestamp() + 1)
        assert [known.knows(iid(number)) for number in range(5)] == [False] * 2 + [True] * 3


def test_a_group_is_one_request(house: House) -> None:
    ids, run = [iid(number) for number in range(30)], house.run()
    run.claim(ids)
    run.acknowledged(ids[:25])
    run.release(ids[25:])
    assert house.asked == ["TransactWriteItems"] * 3
    assert len(house.records()) == 25


def test_the_record_is_powertools_own(house: House) -> None:
    run = house.run(seconds=30)
    with time_machine.travel(NOW, tick=False):
        run.claim([iid(1)])
        (claimed,) = house.records()
        run.acknowledged([iid(1)])
    (record,) = house.records()
    assert record["id"]["S"].startswith("success-report#")
    assert (claimed["status"]["S"], record["status"]["S"]) == ("INPROGRESS", "COMPLETED")
    ends = (int(claimed["in_progress_expiration"]["N"]) / 1000) - NOW.timestamp()
    assert 28.5 <= ends <= 31, "with Lambda's time"
    assert json.loads(record["data"]["S"]) == {"instance_id": iid(1)}
    assert int(record["expiration"]["N"]) == int(NOW.timestamp()) + WINDOW

    def again(*, subject: dict[str, str]) -> dict[str, str]:
        raise AssertionError(subject)

    known_to_powertools = idempotent_function(
        again,
        data_keyword_argument="subject",
        persistence_store=DynamoDBPersistenceLayer(TABLE, boto3_client=house.client),
        config=IdempotencyConfig(expires_after_seconds=WINDOW),
        key_prefix="success-report",
    )
    with time_machine.travel(NOW, tick=False):
        assert known_to_powertools(subject={"instance_id": iid(1)}) == {"instance_id": iid(1)}


def test_after_the_window_a_report_is_made_again(house: House) -> None:
    known = Acknowledged()
    with time_machine.travel(NOW, tick=False) as traveller:
        run = house.run(known)
        run.claim([iid(1)])
        run.acknowledged([iid(1)])
        traveller.shift(WINDOW - 2)
        assert house.run(known).claim([iid(1)]) == {iid(1): REPORTED}
        assert house.run().claim([iid(1)]) == {iid(1): REPORTED}
        traveller.shift(4)
        assert house.run(known).claim([iid(1)]) == {iid(1): FREE}


def test_a_run_that_died_with_its_claim_is_followed_by_the_next(house: House) -> None:
    with time_machine.travel(NOW, tick=False) as traveller:
        house.run(seconds=30).claim([iid(1)])
        assert house.run().claim([iid(1)]) == {iid(1): UNDER_WAY}
        traveller.shift(31)
        assert house.run().claim([iid(1)]) == {iid(1): FREE}


def test_a_claim_that_another_run_has_taken_over_is_not_given_back(house: House) -> None:
    """A call that Lambda froze with its process may go out a minute later."""
    with time_machine.travel(NOW, tick=False) as traveller:
        late = house.run(seconds=30)
        late.claim([iid(1), iid(2)])
        traveller.shift(31)
        run = house.run()
        run.claim([iid(1), iid(2)])
        run.acknowledged([iid(1)])
        late.release([iid(1), iid(2)])
        assert house.run().claim([iid(1), iid(2)]) == {iid(1): REPORTED, iid(2): UNDER_WAY}
    assert house.warnings == []


def test_two_runs_at_the_same_moment_get_each_claim_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB writes one item's conditions one after the other; moto's threads do not."""
    one_by_one, call = Lock(), house.client._make_api_call  # type: ignore[attr-defined]

    def atomic(*arguments: Any) -> Any:
        with one_by_one:
            return call(*arguments)

    monkeypatch.setattr(house.client, "_make_api_call", atomic)
    ids, meeting = [iid(number) for number in range(40)], Barrier(2, timeout=10)

    def go(run: IdempotencyTable) -> list[str]:
        meeting.wait()
        return [one for one, claim in run.claim(ids).items() if claim is FREE]

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(go, [house.run(), house.run()])
    assert sorted(first + second) == ids


# Trouble


def test_without_its_table_everything_is_free_and_it_is_asked_once(house: House) -> None:
    run = house.run()
    house.fail(said("ThrottlingException"))
    assert run.claim([iid(1), iid(2)]) == {iid(1): FREE, iid(2): FREE}
    assert run.claim([iid(3)]) == {iid(3): FREE}
    run.acknowledged([iid(1)])
    run.release([iid(2)])
    assert len(house.asked) == 1
    assert len(house.warnings) == 1
    assert house.warnings[0].code == "ThrottlingException"


def test_what_nobody_foresaw_is_the_table_s_trouble(house: House) -> None:
    run = house.run()
    house.fail(KeyError("odd"))
    assert run.claim([iid(1), iid(2)]) == {iid(1): FREE, iid(2): FREE}
    assert [one.code for one in house.warnings] == ["KeyError"]


def test_conflicts_are_another_run_s_and_do_not_switch_the_table_off(house: House) -> None:
    """Issue: up to 100 of 100 were reported twice when two runs overlapped."""
    run = house.run()
    house.fail(said("TransactionCanceledException", "TransactionConflict", "None"), times=2)
    assert run.claim([iid(1), iid(2)]) == {iid(1): FREE, iid(2): FREE}
    house.fail(said("TransactionConflictException"))
    assert run.claim([iid(3)]) == {iid(3): UNDER_WAY}, "held to the end: the next run sees"
    house.mend()
    assert run.claim([iid(4)]) == {iid(4): FREE}
    assert house.warnings == []
    assert house.slept != []


ODD: tuple[tuple[dict[str, Any], Claim], ...] = (
    ({"status": {"S": "COMPLETED"}, "data": {"S": "no json"}}, REPORTED),
    ({"status": {"S": "COMPLETED"}, "expiration": {"N": "9" * 12}}, REPORTED),
    ({"status": {"S": "SOMETHING"}}, FREE),
    ({"status": {"N": "7"}}, FREE),
    ({}, FREE),
    ({"status": {"S": "INPROGRESS"}, "in_progress_expiration": {"N": "9" * 15}}, UNDER_WAY),
)


def test_one_odd_record_is_its_own_trouble_and_is_mended(house: House) -> None:
    house.run().claim([iid(0)])
    (key,) = [one["id"] for one in house.records()]
    for number, (record, claim) in enumerate(ODD, 1):
        house.client.put_item(TableName=TABLE, Item={"id": key, **record})
        run = house.run()
        assert run.claim([iid(0), iid(number)]) == {iid(0): claim, iid(number): FREE}, record
        run.acknowledged([iid(0)])
        assert house.run().claim([iid(0)]) == {iid(0): REPORTED}, record
    assert house.warnings == []


def test_many_runs_of_one_environment_send_the_same_headers(house: House) -> None:
    """Powertools registers its user agent with each client that it is given, each time."""
    sent: list[int] = []
    house.client.meta.events.register(
        "before-send.dynamodb", lambda request, **_: sent.append(len(request.headers["User-Agent"]))
    )
    known = Acknowledged()
    for number in range(3):
        run = house.run(known)
        run.claim([iid(number)])
        run.remember(iid(number), lambda: True)
    assert len(set(sent)) == 1


# What is proven


def asking(*answers: bool | Exception) -> tuple[list[int], Callable[[], bool]]:
    asked: list[int] = []

    def ask() -> bool:
        answer = answers[len(asked)]
        asked.append(1)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return asked, ask


def test_what_is_proven_is_remembered_for_the_window(house: House) -> None:
    asked, ask = asking(True, True)
    known = Acknowledged()
    with time_machine.travel(NOW, tick=False) as traveller:
        assert house.run(known).remember(iid(1), ask) is True
        assert house.run(known).remember(iid(1), ask) is True
        assert house.run().remember(iid(1), ask) is True
        house.asked.clear()
        assert house.run(known).remember(iid(1), ask) is True
        assert (len(asked), house.asked) == (1, [])
        traveller.shift(WINDOW + 2)
        assert house.run(known).remember(iid(1), ask) is True
    assert len(asked) == 2


def test_what_is_not_proven_is_not_remembered(house: House) -> None:
    asked, ask = asking(said("ThrottlingException"), False, True)
    run = house.run()
    with pytest.raises(ClientError):
        run.remember(iid(1), ask)
    assert run.remember(iid(1), ask) is False
    assert (house.records(), house.warnings) == ([], [])
    house.fail(said("AccessDeniedException"), "UpdateItem")
    assert house.run().remember(iid(1), ask) is True, "though it cannot be kept"
    assert len(asked) == 3
    house.mend()
    assert house.run().claim([iid(1)]) == {iid(1): FREE}, "a proof is no report"


def test_without_the_table_a_proof_is_asked_for_and_the_table_is_not(house: House) -> None:
    house.fail(said("AccessDeniedException"))
    run = house.run()
    assert run.remember(iid(1), lambda: True) is True
    assert run.remember(iid(2), lambda: False) is False
    assert run.claim([iid(3)]) == {iid(3): FREE}
    assert (len(house.warnings), len(house.asked)) == (1, 1)


def test_a_proof_that_cannot_be_read_is_asked_for_and_mended(house: House) -> None:
    house.run().remember(iid(1), lambda: True)
    (record,) = house.records()
    house.client.put_item(TableName=TABLE, Item={"id": record["id"], "status": {"N": "7"}})
    asked, ask = asking(True)
    assert house.run().remember(iid(1), ask) is True
    assert house.run().remember(iid(1), ask) is True
    assert (len(asked), house.warnings) == (1, [])


def test_a_claim_whose_answer_was_lost_is_its_own(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK makes such a call again, and meets what the first one wrote."""
    real = house.client.put_item

    def twice(**given: Any) -> Any:
        real(**given)
        return real(**given)

    monkeypatch.setattr(house.client, "put_item", twice)
    assert house.run().claim([iid(1)]) == {iid(1): Claim.FREE}
