"""Powertools' idempotency on moto's DynamoDB: a success report is acknowledged once per window."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from threading import Barrier, Lock, Thread
from typing import TYPE_CHECKING, Any, cast

import pytest
import time_machine
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer
from botocore.exceptions import ClientError
from moto import mock_aws

from handler.instances.idempotency import AgentLedger, IdempotencyTable
from handler.instances.ports import BackendError, Delivery
from tests.fakes.build import NOW, iid
from tests.support.dynamodb import idempotency_table

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

WINDOW = 3600
TABLE = "reports"


class Context:
    """As much of Lambda's context as Powertools asks for."""

    def __init__(self, seconds: float = 60) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


class Says:
    """A logger that keeps its warnings."""

    def __init__(self) -> None:
        self.warnings: list[tuple[str, dict[str, Any]]] = []

    def warning(self, message: str, **fields: Any) -> None:
        self.warnings.append((message, fields))


class House:
    """One DynamoDB; environments, and runs in them, come and go."""

    def __init__(self) -> None:
        self.client = idempotency_table(TABLE)
        self.says = Says()

    def environment(self, window: int = WINDOW) -> IdempotencyTable:
        return IdempotencyTable(DynamoDBPersistenceLayer(TABLE, boto3_client=self.client), window)

    def run(
        self, table: IdempotencyTable | None = None, agent: str = "a", seconds: float = 60
    ) -> AgentLedger:
        """A run's ledger, in an environment of its own unless one is given."""
        context = cast("LambdaContext", Context(seconds))
        return (table or self.environment()).ledger(agent, context, cast("Logger", self.says))

    def break_down(self, *operations: str, code: str = "AccessDeniedException") -> None:
        def refuse(model: Any, **_: Any) -> None:
            if not operations or model.name in operations:
                error: Any = {"Error": {"Code": code, "Message": "no"}}
                raise ClientError(error, model.name)

        self.refuse = refuse
        self.client.meta.events.register("before-call.dynamodb", refuse)

    def mend(self) -> None:
        self.client.meta.events.unregister("before-call.dynamodb", self.refuse)

    def records(self) -> list[dict[str, Any]]:
        return [dict(one) for one in self.client.scan(TableName=TABLE)["Items"]]


@pytest.fixture
def house() -> Iterator[House]:
    with mock_aws():
        yield House()


class Sent:
    """Counts sendings; fails while `fail` is set."""

    def __init__(self, *, fail: bool = False) -> None:
        self.count = 0
        self.fail = fail

    def __call__(self) -> None:
        self.count += 1
        if self.fail:
            raise BackendError("HTTP 500")


def test_a_success_is_acknowledged_once(house: House) -> None:
    sent, run = Sent(), house.run()
    assert run.once(iid(1), sent) is Delivery.FIRST
    assert run.once(iid(1), sent) is Delivery.REPLAYED
    assert sent.count == 1


def test_another_environment_knows_of_it_from_the_table(house: House) -> None:
    sent = Sent()
    house.run().once(iid(1), sent)
    assert house.run().once(iid(1), sent) is Delivery.REPLAYED
    assert sent.count == 1


def test_the_same_environment_knows_of_it_without_the_table(house: House) -> None:
    sent, table = Sent(), house.environment()
    house.run(table).once(iid(1), sent)
    house.break_down()
    assert house.run(table).once(iid(1), sent) is Delivery.REPLAYED
    assert sent.count == 1


def test_instances_and_agents_are_told_apart(house: House) -> None:
    sent = Sent()
    assert house.run().once(iid(1), sent) is Delivery.FIRST
    assert house.run().once(iid(2), sent) is Delivery.FIRST
    assert house.run(agent="b").once(iid(1), sent) is Delivery.FIRST
    assert sent.count == 3


def test_a_failed_send_comes_through_and_leaves_no_record(house: House) -> None:
    """ec2.md, "Powertools": a returned failure would be cached as a success."""
    run = house.run()
    with pytest.raises(BackendError, match="HTTP 500"):
        run.once(iid(1), Sent(fail=True))
    assert house.records() == []
    assert run.once(iid(1), Sent()) is Delivery.FIRST
    assert house.says.warnings == []


def test_the_record_holds_no_more_than_the_ids_and_its_end(house: House) -> None:
    with time_machine.travel(NOW, tick=False):
        house.run().once(iid(1), Sent())
    (record,) = house.records()
    assert record["id"]["S"].startswith("success-report#")
    assert json.loads(record["data"]["S"]) == {"agent_id": "a", "instance_id": iid(1)}
    assert int(record["expiration"]["N"]) == int(NOW.timestamp()) + WINDOW


def test_after_the_window_a_report_is_made_again(house: House) -> None:
    sent, table = Sent(), house.environment()
    with time_machine.travel(NOW, tick=False) as traveller:
        assert house.run(table).once(iid(1), sent) is Delivery.FIRST
        traveller.shift(WINDOW - 2)
        assert house.run(table).once(iid(1), sent) is Delivery.REPLAYED
        assert house.run().once(iid(1), sent) is Delivery.REPLAYED
        traveller.shift(4)
        assert house.run(table).once(iid(1), sent) is Delivery.FIRST
        assert house.run().once(iid(1), sent) is Delivery.REPLAYED
    assert sent.count == 2


def test_a_report_that_another_run_is_making_is_under_way(house: House) -> None:
    inner = Sent()
    found: list[Delivery] = []
    house.run().once(iid(1), lambda: found.append(house.run().once(iid(1), inner)))
    assert found == [Delivery.UNDER_WAY]
    assert inner.count == 0


def test_a_run_that_died_with_its_report_is_followed_by_the_next(house: House) -> None:
    """Its record is in progress for ever, but counts only as long as the run could have lived."""

    class Killed(BaseException):
        """Lambda's time limit: nothing is caught, nothing is written."""

    def die() -> None:
        raise Killed

    sent = Sent()
    with time_machine.travel(NOW, tick=False) as traveller:
        with pytest.raises(Killed):
            house.run(seconds=30).once(iid(1), die)
        assert [one["status"]["S"] for one in house.records()] == ["INPROGRESS"]
        assert house.run().once(iid(1), sent) is Delivery.UNDER_WAY
        traveller.shift(31)
        assert house.run().once(iid(1), sent) is Delivery.FIRST
    assert sent.count == 1


def test_two_runs_at_the_same_moment_send_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB writes one item's conditions one after the other; moto's threads do not."""
    one_by_one, call = Lock(), house.client._make_api_call  # type: ignore[attr-defined]

    def atomic(*arguments: Any) -> Any:
        with one_by_one:
            return call(*arguments)

    monkeypatch.setattr(house.client, "_make_api_call", atomic)
    sent, found = Sent(), list[Delivery]()
    meeting = Barrier(2, timeout=10)
    runs = [house.run(), house.run()]

    def go(run: AgentLedger) -> None:
        meeting.wait()
        found.append(run.once(iid(1), sent))

    threads = [Thread(target=go, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sent.count == 1
    assert Delivery.FIRST in found
    assert len(found) == 2


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException"])
def test_without_its_table_a_report_is_sent_all_the_same_and_once(house: House, code: str) -> None:
    sent, run = Sent(), house.run()
    house.break_down(code=code)
    assert run.once(iid(1), sent) is Delivery.FIRST
    assert run.once(iid(2), sent) is Delivery.FIRST
    assert sent.count == 2
    assert len(house.says.warnings) == 1
    assert code in house.says.warnings[0][1]["cause"]


def test_without_its_table_a_failed_send_comes_through_and_is_tried_once(house: House) -> None:
    sent, run = Sent(fail=True), house.run()
    house.break_down()
    with pytest.raises(BackendError):
        run.once(iid(1), sent)
    assert sent.count == 1


def test_a_table_that_fails_after_the_send_does_not_make_it_again(house: House) -> None:
    sent, run = Sent(), house.run()
    house.break_down("UpdateItem")
    assert run.once(iid(1), sent) is Delivery.FIRST
    assert sent.count == 1


def test_a_table_that_fails_after_a_failed_send_hides_nothing(house: House) -> None:
    sent, run = Sent(fail=True), house.run()
    house.break_down("DeleteItem")
    with pytest.raises(BackendError, match="HTTP 500"):
        run.once(iid(1), sent)
    assert sent.count == 1


def test_the_next_run_asks_a_mended_table_again(house: House) -> None:
    table = house.environment()
    house.break_down()
    house.run(table).once(iid(1), Sent())
    house.mend()
    assert house.run(table).once(iid(1), Sent()) is Delivery.FIRST
    assert house.run().once(iid(1), Sent()) is Delivery.REPLAYED


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
    with time_machine.travel(NOW, tick=False) as traveller:
        assert house.run().remember(iid(1), ask) is True
        assert house.run().remember(iid(1), ask) is True
        assert len(asked) == 1
        traveller.shift(WINDOW + 2)
        assert house.run().remember(iid(1), ask) is True
    assert len(asked) == 2


def test_what_is_not_proven_is_not_remembered(house: House) -> None:
    asked, ask = asking(False, True)
    assert house.run().remember(iid(1), ask) is False
    assert house.records() == []
    assert house.run().remember(iid(1), ask) is True
    assert len(asked) == 2


def test_a_look_up_that_fails_comes_through_and_is_not_remembered(house: House) -> None:
    _, ask = asking(ClientError({"Error": {"Code": "ThrottlingException"}}, "LookupEvents"), True)
    with pytest.raises(ClientError):
        house.run().remember(iid(1), ask)
    assert house.records() == []
    assert house.run().remember(iid(1), ask) is True


def test_a_proof_is_no_report(house: House) -> None:
    table, sent = house.environment(), Sent()
    run = house.run(table)
    assert run.remember(iid(1), lambda: True) is True
    assert run.once(iid(1), sent) is Delivery.FIRST
    assert sent.count == 1


def test_without_the_table_a_proof_is_asked_for(house: House) -> None:
    house.break_down()
    run = house.run()
    assert run.remember(iid(1), lambda: True) is True
    assert run.remember(iid(2), lambda: False) is False
    assert len(house.says.warnings) == 1


def test_a_table_that_is_down_is_not_asked_again_for_proofs(house: House) -> None:
    calls: list[str] = []
    house.break_down()
    run = house.run()
    run.once(iid(1), Sent())
    house.client.meta.events.register_first(
        "before-call.dynamodb", lambda model, **_: calls.append(model.name)
    )
    run.remember(iid(2), lambda: True)
    assert calls == []
