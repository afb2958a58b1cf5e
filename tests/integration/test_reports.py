"""Reports of two runs that overlap, over the emulator's DynamoDB: each is made once."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import boto3
import pytest

from handler.aws.errors import AwsError
from handler.deadline import Deadline
from handler.instances.idempotency import Acknowledged, IdempotencyTable
from handler.instances.outcome import Ended, Outcome, Settled
from handler.instances.ports import Report
from handler.instances.reporter import Reporter
from tests.fakes.build import NOW, iid, marked
from tests.fakes.outside import FakeAgentBackend, FakeBackend
from tools.ec2_emulator import Emulator, faults
from tools.ec2_emulator.clock import ManualClock
from tools.ec2_emulator.dynamodb import Table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE = "overlapping"
INSTANCES = 100
SECONDS = 40.0


class House:
    """One table, and one backend that takes its time."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.backend = FakeBackend()
        self.backend.on_report = lambda _: time.sleep(0.002)
        self.warnings: list[AwsError] = []

    def client(self) -> DynamoDBClient:
        return boto3.client(
            "dynamodb",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def run(self, client: DynamoDBClient) -> list[Settled]:
        """One run in an environment of its own."""
        end = time.monotonic() + SECONDS
        deadline = Deadline(lambda: end - time.monotonic())
        table = IdempotencyTable(
            client,
            table=TABLE,
            window_seconds=3600,
            known=Acknowledged(),
            deadline=deadline,
            warn=self.warnings.append,
        )
        reporter = Reporter(
            lambda agent: FakeAgentBackend(agent, self.backend),
            lambda: table,
            deadline,
            8,
            lambda _: None,
            dry_run=False,
        )
        results = [Ended(marked(number), True, NOW, "so") for number in range(INSTANCES)]
        reporter.submit(results[:30])
        reporter.submit(results[30:])
        return reporter.finish()

    def two_at_once(self) -> Counter[Outcome]:
        meeting, clients = Barrier(2, timeout=20), [self.client(), self.client()]

        def go(client: DynamoDBClient) -> list[Settled]:
            meeting.wait()
            return self.run(client)

        with ThreadPoolExecutor(2) as pool:
            return Counter(one.outcome for run in pool.map(go, clients) for one in run)


def check(house: House) -> None:
    """Each success is reported, kept and counted once, and the next run knows all of them."""
    counts = house.two_at_once()
    everything = sorted(iid(number) for number in range(INSTANCES))
    assert sorted(house.backend.successes()) == everything
    assert counts[Outcome.TERMINATED] == INSTANCES
    assert counts[Outcome.REPLAYED] + counts[Outcome.DEFERRED] == INSTANCES
    assert {one.outcome for one in house.run(house.client())} == {Outcome.REPLAYED}
    assert house.warnings == []


@pytest.fixture
def table(emulator: Emulator) -> Table:
    emulator.reset(clock=ManualClock())
    return emulator.tables.create(TABLE)


@pytest.fixture
def on_emulator(emulator: Emulator, table: Table) -> House:
    return House(emulator.url)


def test_two_runs_at_once_report_each_once(on_emulator: House) -> None:
    check(on_emulator)


def test_also_where_writes_are_in_each_other_s_way(
    on_emulator: House, emulator: Emulator, table: Table
) -> None:
    """Then the ledger counted as down, and up to 100 of 100 were reported twice."""
    on_emulator.run(on_emulator.client())
    keys = [*table.items]
    table.items.clear()
    on_emulator.backend.reports.clear()
    for number, (key,) in enumerate(keys):
        table.conflict(key, times=number % 4)
    emulator.faults.add(
        "TransactWriteItems", faults.error("TransactionInProgressException", "busy"), times=2
    )
    check(on_emulator)


def test_an_acknowledgement_that_meets_another_transaction_is_kept_all_the_same(
    on_emulator: House, table: Table
) -> None:
    client = on_emulator.client()

    def hold(_: Report) -> None:
        for (key,) in [*table.items]:
            table.conflict(key, times=2)

    on_emulator.backend.on_report = hold
    on_emulator.run(client)
    assert {item["status"]["S"] for item in table.items.values()} == {"COMPLETED"}
    assert on_emulator.warnings == []
