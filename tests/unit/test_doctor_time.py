"""The doctor's time: whoever does not answer, it answers itself before Lambda ends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from handler.aws import look_ups
from handler.aws.errors import AwsError, ErrorKind
from handler.deadline import LateError
from handler.doctor import backend, token
from handler.doctor import dependencies as job
from handler.doctor.dependencies import Answered
from handler.doctor.examination import CHECKS, examine
from handler.doctor.findings import Findings, Status
from tests.fakes.build import NOW, instance, listing, marked
from tests.fakes.clock import FakeClock
from tests.fakes.dependencies import dependencies
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


class Examination:
    """An examination on a clock that only moves while something is waited for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, answers: bool) -> None:
        self.clock = FakeClock(LIMIT)
        self.answers = answers
        self.subject = dependencies(machines=Fleet(), clock=self.clock, MAX_FLEET_PERCENT="50")
        self.waited: list[float] = []
        for module in (job, backend, look_ups):
            monkeypatch.setattr(module, "in_time", self.in_time)
        listed = listing(marked(1), marked(2))
        answer = Answered(200, True, "", listed, NOW, NOW, NOW)
        monkeypatch.setattr(backend, "_ask", lambda *_, **__: answer)
        monkeypatch.setattr(token, "_read", lambda *_: None)

    def in_time(self, call: Callable[[], Any], left: Callable[[], float]) -> Any:
        """The answer comes at the last moment, or not at all."""
        waits = left()
        self.waited.append(waits)
        self.clock.pass_by(max(waits, 0.0))
        if not self.answers:
            raise LateError
        return call()

    def run(self) -> Findings:
        return Findings("x", examine(self.subject, None))


def test_where_nothing_answers_each_check_has_its_time_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a VPC without a way out: no check may be starved by those before it."""
    examination = Examination(monkeypatch, answers=False)
    told = examination.run()
    assert len(examination.waited) == 7, "token, backend, instances, table, schedule, runs, hour"
    assert examination.waited.count(job.LONGEST_LOOK) == 6
    assert examination.clock.left > 0
    assert [one.check for one in told.findings] == list(CHECKS)
    assert set(told.failures) == {
        "token", "backend_reachable", "ec2_describe", "idempotency_table", "schedule", "last_run",
        "last_hour",
    }  # fmt: skip


def test_where_everything_answers_at_the_last_moment_it_is_still_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    examination = Examination(monkeypatch, answers=True)
    told = examination.run()
    assert examination.clock.left > 0
    assert sum(examination.waited) > LIMIT / 2, "every answer was waited for"
    assert [one.check for one in told.findings] == list(CHECKS)
    assert told.findings[0].status is Status.OK
