"""What an execution environment keeps from one event to the next."""

from __future__ import annotations

from typing import Any

import pytest

from handler.settings import Settings
from handler.wiring import environment
from tests.fakes.dependencies import VARIABLES

TWO = VARIABLES | {"AGENT_ID": "agent-1,agent-2"}


@pytest.mark.parametrize("event", [{"agent_id": "agent-2"}, {"dry_run": True}, {"doctor": True}])
def test_what_was_listed_and_cancelled_lately_is_known_whatever_the_event_asks_for(
    event: dict[str, Any],
) -> None:
    every_minute, by_hand = (environment(Settings.read(TWO, one), {}) for one in ({}, event))
    assert by_hand.first_seen is every_minute.first_seen
    assert by_hand.cancelled is every_minute.cancelled


def test_another_backend_s_memory_is_its_own() -> None:
    other = TWO | {"SERVER_URL": "https://other.example"}
    here, there = (environment(Settings.read(one, {}), {}) for one in (TWO, other))
    assert here.first_seen is not there.first_seen
