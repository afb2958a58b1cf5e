"""CloudTrail as the witness that an instance lived in this account."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from handler.aws.errors import AwsError, ErrorKind
from handler.aws.look_ups import LookUps
from handler.instances.outcome import Ended, Left, Outcome
from handler.instances.provenance import MOST_PAGES, PAUSE, UNKNOWN_FOR, CloudTrailHistory, prove
from handler.instances.rules import ToProve
from tests.fakes.build import NOW, error, iid, marked
from tests.fakes.clock import FakeClock
from tests.fakes.outside import FakeHistory, FakeJournal


class Trail:
    """CloudTrail, its clock, and a memory that remembers nothing."""

    def __init__(self, *pages: Any) -> None:
        self.pages = list(pages)
        self.asked: list[dict[str, Any]] = []
        self.time = 1000.0
        self.slept: list[float] = []

    def lookup_events(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        page = self.pages.pop(0)
        if isinstance(page, Exception):
            raise page
        return page if isinstance(page, dict) else {"Events": page, **self.more()}

    def more(self) -> dict[str, str]:
        return {"NextToken": "more"} if self.pages else {}

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def history(self) -> CloudTrailHistory:
        remember: Callable[[str, Callable[[], bool]], bool] = lambda _, ask: ask()  # noqa: E731
        return CloudTrailHistory(cast("Any", lambda: self), remember, self.sleep, lambda: self.time)


def event(name: str = "RunInstances", read_only: str = "false", **detail: Any) -> dict[str, Any]:
    told = json.dumps({"eventName": name, **detail})
    return {"EventName": name, "ReadOnly": read_only, "CloudTrailEvent": told}


def lacking(key: str, **event: Any) -> dict[str, Any]:
    """An event without one of its fields."""
    return {name: value for name, value in event.items() if name != key}


def assumed(by: str = "ec2.amazonaws.com", session: str = iid(1), **detail: Any) -> dict[str, Any]:
    """EC2 takes an instance's role, hourly, with the instance's id as the session's name."""
    identity = {"type": "AWSService", "invokedBy": by}
    asked = {"roleSessionName": session}
    return event("AssumeRole", "true", userIdentity=identity, requestParameters=asked, **detail)


@pytest.mark.parametrize(
    ("events", "lived"),
    [
        ([event()], True),
        ([], False),
        ([event("DescribeInstances", "true")], False),
        ([event("TerminateInstances", errorCode="Client.InvalidInstanceID.NotFound")], False),
        ([assumed()], True),
        ([assumed(by="lambda.amazonaws.com")], False),
        ([assumed(session=iid(2))], False),
        ([assumed(errorCode="AccessDenied")], False),
        ([lacking("ReadOnly", **event())], False),
        ([lacking("CloudTrailEvent", **event())], False),
        ([{"ReadOnly": "false", "CloudTrailEvent": "{}"}], False),
        ([{"ReadOnly": "false", "CloudTrailEvent": "no JSON"}], False),
        ([{"ReadOnly": "false", "CloudTrailEvent": "[]"}], False),
    ],
)
def test_what_proves_that_it_lived_here(events: list[Any], *, lived: bool) -> None:
    assert Trail(events).history().lived_here(iid(1)) is lived


def test_hourly_sessions_do_not_hide_a_long_life() -> None:
    assert Trail([assumed()] * 50).history().lived_here(iid(1)) is True


def test_failed_attempts_may_fill_pages_before_the_proof() -> None:
    trail = Trail(*[[event(errorCode="x")] * 50] * 3, [event()])
    assert trail.history().lived_here(iid(1)) is True
    assert trail.slept[1:] == [PAUSE] * 3


def test_more_pages_than_are_read_are_no_proof_of_absence() -> None:
    found = Trail(*[[event(errorCode="x")]] * (MOST_PAGES + 1)).history().lived_here(iid(1))
    assert isinstance(found, AwsError)
    assert found.code == "TooManyEvents"


@pytest.mark.parametrize(
    "answer", [{}, ClientError({"Error": {"Code": "AccessDeniedException"}}, "LookupEvents")]
)
def test_an_answer_that_is_not_had_is_an_error(answer: Any) -> None:
    assert isinstance(Trail(answer).history().lived_here(iid(1)), AwsError)


def test_not_known_is_believed_for_a_while() -> None:
    trail = Trail([])
    history = trail.history()
    assert history.lived_here(iid(1)) is False
    assert history.lived_here(iid(1)) is False
    trail.time += UNKNOWN_FOR
    trail.pages = [[event()]]
    assert history.lived_here(iid(1)) is True
    assert len(trail.asked) == 2


@pytest.mark.parametrize(
    ("lived", "trouble", "outcome"),
    [({iid(1)}, None, None), (set(), None, Outcome.IGNORED),
     (set(), error(ErrorKind.THROTTLED), Outcome.DEFERRED)],
)  # fmt: skip
def test_what_is_not_proven_is_not_reported(
    lived: set[str], trouble: AwsError | None, outcome: Outcome | None
) -> None:
    journal = FakeJournal()
    given = ToProve(Ended(marked(1), by_api=False, at=NOW, why="EC2 does not know it"))
    look_ups = LookUps(FakeClock().deadline(), journal.look_up_failed)
    ((found,),) = prove([given], lambda: FakeHistory(lived, trouble), look_ups)
    assert isinstance(found, Ended if outcome is None else Left)
    assert getattr(found, "outcome", None) is outcome
    assert len(journal.failed_look_ups) == (trouble is not None)
