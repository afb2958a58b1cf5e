"""The cap and the fuse: how much one run may end."""

from __future__ import annotations

import pytest

from handler.instances.guard import (
    Action,
    decide,
    defer,
    fuse_blown,
    within_cap,
)
from handler.instances.outcome import Outcome
from tests.fakes.build import NOW, decision, instance, marked, policy


def test_the_cap_keeps_the_longest_waiting() -> None:
    entries = [
        decision(1), decision(2), decision(3), decision(4),
    ]  # fmt: skip
    waits = [5.0, 900.0, None, 40.0]
    given = [
        decide(marked(n, waited=wait), instance(n), policy(), frozenset(), NOW)
        for n, wait in enumerate(waits)
    ]
    now, over = within_cap(given, 2)
    assert [d.marked.waited for d in now] == [900.0, 40.0]
    assert [d.marked.waited for d in over] == [5.0, None]
    assert {(d.action, d.outcome, d.why) for d in over} == {
        (Action.SETTLE, Outcome.DEFERRED, "over MAX_TERMINATIONS_PER_RUN")
    }
    assert len(now) + len(over) == len(entries)


def test_the_cap_keeps_the_list_s_order_among_equals() -> None:
    given = [decision(n) for n in range(6)]
    now, over = within_cap(given, 3)
    assert [d.marked for d in now + over] == [d.marked for d in given]


@pytest.mark.parametrize("cap", [4, 5, 10**9])
def test_a_cap_that_is_not_reached_defers_nothing(cap: int) -> None:
    assert within_cap([decision(n) for n in range(4)], cap)[1] == []


@pytest.mark.parametrize(
    ("wanted", "fleet", "percent", "blown"),
    [
        (10, 100, 10, False),
        (11, 100, 10, True),
        (1, 100, 1, False),
        (2, 100, 1, True),
        (1, 99, 1, True),
        (1, 1, 99, True),
        (1, 1, 100, False),
        (1, 3, 33, True),
        (1, 3, 34, False),
        (1, 0, 99, True),
        (0, 0, 1, False),
        (333, 1000, 33, True),
        (330, 1000, 33, False),
    ],
)
def test_the_fuse_blows_above_the_share_and_not_at_it(
    wanted: int, fleet: int, percent: int, *, blown: bool
) -> None:
    assert fuse_blown(wanted, fleet, percent) is blown


def test_a_deferred_decision_keeps_what_was_seen() -> None:
    given = decision(1)
    put_off = defer(given, "later")
    assert (put_off.action, put_off.outcome, put_off.why) == (
        Action.SETTLE,
        Outcome.DEFERRED,
        "later",
    )
    assert put_off.instance is given.instance
