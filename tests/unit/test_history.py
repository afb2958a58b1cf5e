"""CloudTrail as the witness that an instance lived in this account."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from handler.instances.history import PAUSE, UNKNOWN_FOR, CloudTrailHistory

from handler.aws.errors import AwsError, ErrorKind
from tests.fakes.build import iid


class Trail:
    """CloudTrail, its clock, and a memory that remembers nothing."""

    def __init__(self, *pages: list[dict[str, Any]] | Exception) -> None:
        self.pages = list(pages)
        self.asked: list[dict[str, Any]] = []
        self.made = 0
        self.time = 1000.0
        self.slept: list[float] = []
        self.known: set[str] = set()

    def lookup_events(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        page = self.pages.pop(0)
        if isinstance(page, Exception):
            raise page
        more = {"NextToken": "more"} if self.pages else {}
        return {"Events": page} | more

    def client(self) -> Any:
        self.made += 1
        return self

    def remember(self, instance_id: str, ask: Callable[[], bool]) -> bool:
        return instance_id in self.known or ask()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def history(self) -> CloudTrailHistory:
        return CloudTrailHistory(
            cast("Any", self.client), self.remember, self.sleep, lambda: self.time
        )


def event(name: str = "RunInstances", read_only: str = "false", **detail: Any) -> dict[str, Any]:
    return {
        "EventName": name,
        "ReadOnly": read_only,
        "CloudTrailEvent": json.dumps({"eventName": name} | detail),
    }


def test_an_event_that_changed_the_instance_is_proof() -> None:
    trail = Trail([event()])
    assert trail.history().lived_here(iid(1)) is True
    assert trail.asked == [
        {"LookupAttributes": [{"AttributeKey": "ResourceName", "AttributeValue": iid(1)}]}
    ]


@pytest.mark.parametrize(
    "events",
    [
        [],
        [event("DescribeInstances", "true")],
        [event("TerminateInstances", errorCode="Client.InvalidInstanceID.NotFound")],
        [event("TerminateInstances", errorCode="Client.DryRunOperation")],
    ],
    ids=["none", "read-only", "failed", "dry run"],
)
def test_what_changed_nothing_is_no_proof(events: list[dict[str, Any]]) -> None:
    """Our own failed call about another account's instance is in our trail, under its id."""
    assert Trail(events).history().lived_here(iid(1)) is False


def test_one_proof_among_others_is_enough() -> None:
    failed = event("TerminateInstances", errorCode="Client.UnauthorizedOperation")
    assert Trail([failed, event("CreateTags"), failed]).history().lived_here(iid(1)) is True


def test_what_is_remembered_is_not_asked_again() -> None:
    trail = Trail()
    trail.known = {iid(1)}
    assert trail.history().lived_here(iid(1)) is True
    assert (trail.asked, trail.made) == ([], 0)


def test_a_no_is_believed_for_a_while() -> None:
    trail = Trail([], [event()])
    trail.pages = [[]]
    history = trail.history()
    assert history.lived_here(iid(1)) is False
    trail.time += UNKNOWN_FOR - 1
    assert history.lived_here(iid(1)) is False
    trail.time += 2
    trail.pages = [[event()]]
    assert history.lived_here(iid(1)) is True


def test_a_no_about_one_is_none_about_another() -> None:
    trail = Trail()
    trail.pages = [[]]
    history = trail.history()
    assert history.lived_here(iid(1)) is False
    trail.pages = [[event()]]
    assert history.lived_here(iid(2)) is True


def test_look_ups_keep_to_two_a_second() -> None:
    trail = Trail()
    history = trail.history()
    for n in range(4):
        trail.pages = [[]]
        history.lived_here(iid(n))
    assert [s for s in trail.slept if s] == pytest.approx([PAUSE] * 3)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (ClientError({"Error": {"Code": "ThrottlingException"}}, "X"), ErrorKind.THROTTLED),
        (ClientError({"Error": {"Code": "AccessDeniedException"}}, "X"), ErrorKind.REFUSED),
        (EndpointConnectionError(endpoint_url="https://cloudtrail"), ErrorKind.NO_ANSWER),
    ],
)
def test_a_trail_that_cannot_be_asked_is_neither_yes_nor_no(
    raised: Exception, kind: ErrorKind
) -> None:
    trail = Trail(raised)
    history = trail.history()
    answer = history.lived_here(iid(1))
    assert isinstance(answer, AwsError)
    assert answer.kind is kind
    trail.pages = [[event()]]
    assert history.lived_here(iid(1)) is True


@pytest.mark.parametrize("first", [[], [event("DescribeInstances", "true")] * 50])
def test_the_proof_may_stand_on_a_later_page(first: list[dict[str, Any]]) -> None:
    assert Trail(first, [event()]).history().lived_here(iid(1)) is True
