"""The list and the environment: never anything but a valid value or the named error."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from handler.backend.errors import BackendError
from handler.backend.wire import SHOWN, is_acknowledged, read_envelope
from handler.instances.listing import read_list
from handler.instances.model import AgentList
from handler.instances.rules import in_another_region
from handler.settings import ENVIRONMENT_VARIABLES, Settings, SettingsError
from tests.fakes.build import AGENT, NOW

AN_ID = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})", re.ASCII)
SECRET_VALUE = "s3cr3t-t0ken-of-a-client"

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["i-12345678", "i-0123456789abcdef0", "us-east-1a", "zombie_timeout"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "instance_id": JSON | st.from_regex(AN_ID, fullmatch=True),
        "instance_type": JSON,
        "az": JSON,
        "reason": JSON,
        "seconds_waiting": JSON,
        "seconds_since_marked": JSON,
        "other": JSON,
    },
)
ENVELOPE = st.fixed_dictionaries(
    {},
    optional={
        "instances": JSON | st.lists(ENTRY | JSON, max_size=6),
        "auto_terminate_enabled": JSON | st.sampled_from([True, False, 0, 1]),
    },
)


def check(listing: AgentList) -> None:
    ids = [one.instance_id for one in listing.marked]
    assert len(ids) == len(set(ids))
    for one in listing.marked:
        assert AN_ID.fullmatch(one.instance_id)
        assert one.reason
        assert len(one.reason) <= SHOWN
        assert one.zone is None or one.zone
        assert one.waited is None or (math.isfinite(one.waited) and one.waited >= 0)
    for bad in listing.told:
        assert bad.why
        assert len(bad.shown) <= SHOWN
    assert type(listing.enabled) is bool


def read(body: bytes) -> AgentList | None:
    try:
        listing = read_list(AGENT, read_envelope(body), NOW)
    except BackendError as error:
        assert str(error).startswith("the backend's list is not ")  # noqa: PT017 - either will do
        return None
    check(listing)
    return listing


@given(ENVELOPE)
def test_any_json_is_a_list_or_a_backend_error(envelope: dict[str, Any]) -> None:
    listing = read(json.dumps(envelope).encode())
    if listing is not None:
        assert len(listing.marked) + listing.invalid + listing.placeholders == len(
            envelope["instances"]
        )
        assert envelope["auto_terminate_enabled"] in {0, 1, None}


@given(st.lists(ENTRY | JSON, max_size=8))
def test_entries_are_counted_whatever_they_are(entries: list[Any]) -> None:
    body = json.dumps({"instances": entries, "auto_terminate_enabled": True})
    listing = read(body.encode("utf-8", "surrogatepass"))
    if listing is not None:  # a lone surrogate is no JSON that can be read
        assert len(listing.marked) + listing.invalid + listing.placeholders == len(entries)


@given(
    st.sampled_from(["seconds_waiting", "seconds_since_marked"]),
    st.floats() | st.integers(-(10**400), 10**400),
)
def test_a_waiting_time_is_finite_or_its_entry_invalid(name: str, seconds: float) -> None:
    entry = {"instance_id": "i-12345678", name: seconds}
    listing = read(json.dumps({"instances": [entry], "auto_terminate_enabled": 1}).encode())
    assert listing is not None
    assert len(listing.marked) + listing.invalid + listing.placeholders == 1


@given(st.binary(max_size=200))
def test_any_bytes_are_a_list_or_a_backend_error(body: bytes) -> None:
    read(body)
    assert isinstance(is_acknowledged(body), bool)


@given(st.integers(0, 400), st.binary(min_size=1, max_size=2))
def test_a_list_that_is_damaged_is_a_list_or_a_backend_error(at: int, damage: bytes) -> None:
    entry = {"instance_id": "i-1234567890abcdef0", "az": "us-east-1a", "seconds_waiting": 320}
    body = json.dumps({"instances": [entry] * 4, "auto_terminate_enabled": True}).encode()
    read(body[:at] + damage + body[at + 1 :])
    read(body[:at])


@given(JSON)
def test_only_success_acknowledges(answer: Any) -> None:
    expected = isinstance(answer, dict) and answer.get("success") == 1
    assert not is_acknowledged(json.dumps(answer).encode()) or expected


TEXT = st.text(st.characters(exclude_characters="\x00"), max_size=40) | st.sampled_from(
    [
        *("", "true", "0", "1", "500", "a=b", "a=b,a=c", "ignore", "x", "a, b=c"),
        *("https://h", "http://127.0.0.1", "HTTP://[::1]:80/a/", "https://.."),
    ]
)
ENVIRONMENT = st.dictionaries(
    st.sampled_from([*sorted(ENVIRONMENT_VARIABLES), "AWS_DEFAULT_REGION", "OTHER"]), TEXT
)
EVENT = JSON | st.fixed_dictionaries(
    {},
    optional={
        "agent_id": JSON | st.just("agent-1"),
        "dry_run": JSON,
        "doctor": JSON,
        "time": JSON,
        "detail": JSON,
    },
)
GOOD = {
    "AWS_REGION": "us-east-1",
    "AGENT_ID": "agent-1",
    "SERVER_URL": "https://backend.example",
    "CLIENT_TOKEN_PARAMETER": "/spot/{agent_id}/token",
    "IDEMPOTENCY_TABLE": "reports",
}
A_URL = re.compile(r"https://[^/]+(/.*)?|http://(127\.[0-9.]+|localhost|\[::1\])(:[0-9]+)?(/.*)?")


@given(st.sampled_from([{}, GOOD]), ENVIRONMENT, EVENT)
def test_any_environment_and_event_are_settings_or_a_settings_error(
    good: dict[str, str], more: dict[str, str], event: Any
) -> None:
    try:
        settings = Settings.read(good | more, event)
    except SettingsError as error:
        assert str(error)  # noqa: PT017 - either will do
        return
    assert set(settings.acting) <= set(settings.agents)
    assert settings.acting
    assert A_URL.fullmatch(settings.server_url)
    assert not settings.server_url.endswith("/")
    assert settings.client_token or settings.token_parameter(settings.agent_id)
    assert settings.dry_run or event.get("dry_run") is not True
    assert settings.doctor == (event.get("doctor") is True)


@given(st.dictionaries(st.sampled_from(sorted(ENVIRONMENT_VARIABLES - {"CLIENT_TOKEN"})), TEXT))
def test_an_error_names_what_is_bad_by_itself_and_nothing_else(more: dict[str, str]) -> None:
    def fault(environment: dict[str, str]) -> str:
        try:
            Settings.read(environment, {})
        except SettingsError as error:
            return str(error)
        return ""

    alone = [name for name, text in more.items() if fault(GOOD | {name: text})]
    said = fault(GOOD | more)
    assert said.startswith(f"{len(alone)} bad variable(s) in the environment: ") == bool(alone)
    assert all(f"{name}: " in said for name in alone)


@given(st.lists(st.from_regex(r"[A-Za-z0-9._-]{1,9}", fullmatch=True), min_size=1, unique=True))
def test_agents_are_read_as_they_are_written(ids: list[str]) -> None:
    text = ",".join(f"{one}={one}=x" if n % 2 else one for n, one in enumerate(ids))
    agents = Settings.read(GOOD | {"AGENT_ID": text}, {}).agents
    assert [agent.agent_id for agent in agents] == ids
    assert [agent.logical_id for agent in agents[1::2]] == [f"{one}=x" for one in ids[1::2]]
    assert not any(agent.logical_id for agent in agents[::2])


@given(ENVIRONMENT, st.sampled_from(["CLIENT_TOKEN", "SERVER_URL"]), st.text(max_size=10))
def test_no_secret_is_in_any_settings_error_or_representation(
    environment: dict[str, str], name: str, around: str
) -> None:
    secret = around + SECRET_VALUE + around
    value = secret if name == "CLIENT_TOKEN" else f"https://user:{secret}@host/"
    try:
        said = repr(Settings.read(GOOD | environment | {name: value}, {}))
    except SettingsError as error:
        said = f"{error!r} {error.__cause__!r}"
    assert SECRET_VALUE not in said


@given(st.text(max_size=30) | st.none(), st.text(max_size=20))
def test_a_zone_is_judged_whatever_it_is(zone: str | None, region: str) -> None:
    elsewhere = in_another_region(zone, region)
    if elsewhere:
        assert zone
        assert re.match(r"[a-z]{2}-", zone)


@given(st.from_regex(r"[a-z]{2}(-[a-z]{2,9}){1,2}-[1-9]", fullmatch=True), st.data())
def test_a_region_s_own_zones_are_never_elsewhere(region: str, data: st.DataObject) -> None:
    suffix = data.draw(st.from_regex(r"[a-f]|-[a-z]{3}-1[a-c]|-wl1-[a-z]{3}-wlz-1", fullmatch=True))
    assert not in_another_region(region + suffix, region)
