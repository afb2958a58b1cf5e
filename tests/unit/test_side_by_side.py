"""Calls side by side, none waited for longer than there is time."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Barrier, Event, Lock

import pytest

from handler.deadline import LateError, in_time, side_by_side


def forever() -> float:
    return 10.0


@pytest.fixture
def stuck() -> Iterator[Event]:
    """Holds threads up until the test is over."""
    held = Event()
    yield held
    held.set()


def test_every_item_is_called_for_once() -> None:
    calls: list[int] = []

    def square(n: int) -> int:
        calls.append(n)
        return n * n

    found = dict(side_by_side(square, range(50), at_once=4, left=forever))
    assert found == {n: n * n for n in range(50)}
    assert sorted(calls) == list(range(50))


def test_nothing_is_no_thread() -> None:
    assert list(side_by_side(lambda n: n, [], at_once=4, left=forever)) == []


def test_items_go_side_by_side() -> None:
    meeting = Barrier(3, timeout=10)
    found = list(side_by_side(lambda _: meeting.wait(), range(3), at_once=3, left=forever))
    assert len(found) == 3


def test_no_more_than_allowed_are_under_way() -> None:
    lock, now, most = Lock(), 0, 0

    def call(_: int) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        with lock:
            now -= 1

    list(side_by_side(call, range(200), at_once=3, left=forever))
    assert most <= 3


def test_what_is_late_is_left_and_the_rest_never_begun(stuck: Event) -> None:
    begun: list[int] = []

    def call(n: int) -> int:
        begun.append(n)
        if n:
            stuck.wait(10)
        return n

    found = list(side_by_side(call, range(9), at_once=2, left=lambda: 0.05))
    assert found == [(0, 0)]
    assert begun[0] == 0
    assert len(begun) <= 3
    before = len(begun)
    stuck.set()
    assert len(begun) == before


def test_what_a_call_raises_is_raised() -> None:
    def fail(_: int) -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        list(side_by_side(fail, range(3), at_once=2, left=forever))


def test_a_call_in_time_gives_its_answer() -> None:
    assert in_time(lambda: 5, forever) == 5


def test_a_call_that_gives_nothing_is_in_time_too() -> None:
    assert in_time(lambda: None, forever) is None


def test_a_late_call_raises(stuck: Event) -> None:
    with pytest.raises(LateError):
        in_time(lambda: stuck.wait(10), lambda: 0.02)
