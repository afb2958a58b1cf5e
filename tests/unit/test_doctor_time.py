"""The doctor's time: whoever does not answer, it answers itself before Lambda ends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from handler.timely import LateError

from handler.aws import retry as patience
from handler.aws.errors import AwsError, ErrorKind
from handler.deadline import Deadline
from handler.doctor import examination as job
from handler.doctor.findings import Check, Diagnosis, Status
from handler.doctor.ports import Answered, TokenTrouble, Unreached
from handler.doctor.recent_runs import Schedule
from handler.doctor.wiring import FOR_THE_BACKEND
from handler.instances.model import Listing
from tests.fakes.build import NOW, instance, limits, marked, policy
from tests.fakes.clock import FakeClock
from tests.fakes.fleet import FakeFleet

LIMIT = 55.0
"""Seconds: the template's Timeout."""
DENIED = AwsError("UnauthorizedOperation", "no", ErrorKind.REFUSED, denied=True)


class Fleet(FakeFleet):
    """Two instances from standing Spot requests, which the role may not touch."""

    def __init__(self) -> None:
        ours = [instance(n, spot_request=f"sir-{n:08d}") for n in (1, 2)]
        super().__init__(ours)
        self.standing = {one.spot_request for one in ours if one.spot_request}
        self.faults = [DENIED] * 9

    def running(self, _: object) -> tuple[Any, ...]:
        return tuple(self.instances.values())


@dataclass
class Outside:
    """Everything there is to examine; each port is this object."""

    machines: Fleet = field(default_factory=Fleet)
    host: str = "backend.example"
    encrypted: bool = True

    def __getattr__(self, port: str) -> Outside:
        if port not in {"token", "backend", "authorizations", "table", "schedules", "runs"}:
            raise AttributeError(port)
        return self

    def read(self) -> TokenTrouble | None:
        return None

    def ask(self, **_: bool) -> Answered | Unreached:
        listing = Listing((marked(1), marked(2)), (), True)
        return Answered(200, True, "", listing, NOW, NOW, NOW)

    def decode(self, _: AwsError) -> str:
        return "no policy allows it"

    def examine(self) -> None: ...

    def find(self, _: str) -> Schedule:
        return Schedule(True, "rate(1 minute)")

    def since(self, began: datetime, now: datetime) -> tuple[Any, ...]:
        assert began < now
        return ()


class Examination:
    """An examination on a clock that only moves while something is waited for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, answers: bool) -> None:
        self.clock = FakeClock(LIMIT)
        self.answers = answers
        self.deadline = Deadline(lambda: self.clock.left)
        self.waited: list[float] = []
        monkeypatch.setattr(job, "in_time", self.in_time)
        monkeypatch.setattr(patience, "in_time", self.in_time)

    def in_time(self, call: Callable[[], Any], left: Callable[[], float]) -> Any:
        """The answer comes at the last moment, or not at all."""
        waits = left()
        if left == self.deadline.to_act:  # the backend's own deadline is the shorter one
            waits = min(waits, Deadline(lambda: FOR_THE_BACKEND).to_act())
        self.waited.append(waits)
        self.clock.pass_by(max(waits, 0.0))
        if not self.answers:
            raise LateError
        return call()

    def run(self) -> Diagnosis:
        doctor = job.Doctor(self.deadline, self.clock, self.clock.sleep)
        orders = job.Orders("x", policy(), limits(max_fleet_percent=50), "/t", False, "t", "g/n")
        return doctor.examine(Outside(), orders)


def test_where_nothing_answers_each_check_has_its_time_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a VPC without a way out: no check may be starved by those before it."""
    examination = Examination(monkeypatch, answers=False)
    told = examination.run()
    assert len(examination.waited) == 6, "token, backend, instances, table, schedule, runs"
    assert examination.waited.count(job.LONGEST_CHECK) == 5
    assert examination.clock.left > 0
    assert [one.check for one in told.findings] == list(Check)
    assert set(told.failures) == {
        "token", "backend_reachable", "ec2_describe", "idempotency_table", "schedule", "last_run",
    }  # fmt: skip


def test_where_everything_answers_at_the_last_moment_it_is_still_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    examination = Examination(monkeypatch, answers=True)
    told = examination.run()
    assert examination.clock.left > 0
    assert sum(examination.waited) > LIMIT / 2, "every answer was waited for"
    assert [one.check for one in told.findings] == list(Check)
    assert told.findings[0].status is Status.OK
