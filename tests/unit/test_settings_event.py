"""The event that a run is started by: what it may ask for, and that a misspelt wish is an error."""

from __future__ import annotations

import pytest

from handler.instances.model import Agent
from handler.settings import EventError, Settings
from tests.unit.test_settings import LEAST, read, refusal

SEVERAL = "a=web,b,c=x=y"


def test_a_run_is_for_all_agents_or_for_the_event_s() -> None:
    everybody = (Agent("a", "web"), Agent("b"), Agent("c", "x=y"))
    assert read(AGENT_ID=SEVERAL).agents == everybody
    assert read(AGENT_ID=SEVERAL).acting == everybody
    settings = read({"agent_id": "c"}, AGENT_ID=SEVERAL)
    assert settings.agents == everybody
    assert settings.acting == (Agent("c", "x=y"),)


GOOD_EVENTS: list[tuple[dict[str, object], tuple[bool, bool]]] = [
    ({}, (False, False)),
    ({"dry_run": True}, (True, False)),
    ({"dry_run": False}, (False, False)),
    ({"doctor": True}, (False, True)),
    ({"doctor": False}, (False, False)),
    ({"agent_id": "agent-1", "dry_run": True, "doctor": True}, (True, True)),
    (
        dict.fromkeys(
            (
                *("version", "id", "detail-type", "source", "account", "time", "region"),
                *("resources", "replay-name"),
            ),
            "x",
        ),
        (False, False),
    ),
    ({"detail": {}, "dry_run": True}, (True, False)),
    ({"detail": "{}"}, (False, False)),
]


@pytest.mark.parametrize(("event", "expected"), GOOD_EVENTS)
def test_a_good_event_is_taken(event: dict[str, object], expected: tuple[bool, bool]) -> None:
    settings = read(event)
    assert (settings.dry_run, settings.doctor) == expected


def test_nothing_in_an_event_makes_a_dry_run_real() -> None:
    assert read({"dry_run": False}, DRY_RUN="true").dry_run


NO_BOOLEANS: list[object] = ["true", 1, 0, None, "", [], {}]
BAD_KEYS: list[tuple[str, object]] = [
    *(("agent_id", x) for x in (None, "", 5, True, ["agent-1"], {"a": 1}, "other", "agent-1 ")),
    *(("agent_id", x) for x in ("Agent-1", "agent-1,agent-1", "\ud800", "x" * 10_000)),
    *(("dry_run", x) for x in NO_BOOLEANS),
    *(("doctor", x) for x in NO_BOOLEANS),
    *(("detail", x) for x in ['{"a": 1}', "", None, 0, False, "{} "]),
    ("detail", {"a": 1}),
    ("detail", []),
    *((key, True) for key in ("Doctor", "DRY_RUN", "dryrun", "dry-run", "agentId", "AGENT_ID")),
    *((key, "x") for key in ("", "SERVER_URL", "detail_type", "Records", "\ud800", "y" * 10_000)),
]


@pytest.mark.parametrize(("key", "value"), BAD_KEYS)
@pytest.mark.parametrize("doctor_allowed", [True, False])
def test_a_bad_key_of_the_event_is_refused_by_name(
    key: str, value: object, *, doctor_allowed: bool
) -> None:
    """A misspelt wish must not become a real run (contract section 2)."""
    with pytest.raises(EventError) as caught:
        Settings.read(LEAST, {"id": "x", key: value}, doctor_allowed=doctor_allowed)
    said = str(caught.value)
    assert said.startswith("1 bad key(s) in the event: ")
    assert repr(key)[1:300].rstrip("'") in said
    assert said.isprintable()
    assert len(said) < 700


@pytest.mark.parametrize("value", [True, False, "x"])
def test_housekeeping_has_no_doctor(value: object) -> None:
    with pytest.raises(EventError, match=r"^1 bad key\(s\) in the event: 'doctor': not known"):
        Settings.read(LEAST, {"doctor": value}, doctor_allowed=False)


@pytest.mark.parametrize("event", [[], "text", 5, 1.5, True])
def test_an_event_that_is_no_object_is_refused(event: object) -> None:
    with pytest.raises(EventError, match="the event must be a JSON object"):
        Settings.read(LEAST, event)


def test_an_event_of_nothing_is_refused() -> None:
    with pytest.raises(EventError, match="not NoneType"):
        Settings.read(LEAST, None)


def test_the_event_s_agent_is_not_judged_by_agents_that_cannot_be_read() -> None:
    assert "event" not in refusal({"agent_id": "b"}, AGENT_ID="a:1,b")
    assert "agent_id: " in refusal({"agent_id": 5}, AGENT_ID="a:1,b")
