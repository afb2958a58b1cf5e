"""The lists: their shape, their entries, and all agents' side by side."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from handler.backend.errors import BackendError
from handler.backend.wire import is_acknowledged, read_envelope, said_by
from handler.deadline import Deadline
from handler.instances.listing import INVALID_TOLD, failure, fetch, read_list
from handler.instances.model import REPLICA, ZOMBIE, Agent, AgentList
from tests.fakes.build import AGENT, NOW, iid, listing
from tests.fakes.clock import FakeClock


def read(*entries: Any, enabled: Any = True) -> AgentList:
    body = json.dumps({"instances": entries, "auto_terminate_enabled": enabled}).encode()
    return read_list(AGENT, read_envelope(body), NOW)


def entry(number: int = 1, **fields: Any) -> dict[str, Any]:
    return {"instance_id": iid(number), "reason": ZOMBIE, "az": "us-east-1a"} | fields


def test_an_invalid_entry_holds_its_machine_all_the_same() -> None:
    found = read(
        entry(1), entry(2, seconds_waiting="320"), entry(1), entry(instance_id="manual-1a")
    )
    assert [one.instance_id for one in found.marked] == [iid(1)]
    assert found.held == {iid(1), iid(2)}


def test_placeholders_crowd_out_no_invalid_entry() -> None:
    many = [entry(instance_id=f"manual-{n:08x}") for n in range(INVALID_TOLD + 5)]
    found = read(*many, entry(instance_id="i-odd"), "text")
    assert (found.placeholders, found.invalid) == (INVALID_TOLD + 5, 2)
    assert [(one.instance_id, one.reason) for one in found.told if not one.placeholder] == [
        ("i-odd", ZOMBIE),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("enabled", "on"), [(True, True), (False, False), (1, True), (0, False), (None, False)]
)
def test_the_switch_is_a_boolean_a_digit_or_null(*, enabled: Any, on: bool) -> None:
    assert read(enabled=enabled).enabled is on


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"[]", "it is a list, not an object"),
        (b"{}", "instances is missing; auto_terminate_enabled is missing"),
        (
            b'{"instances": {}, "auto_terminate_enabled": 2}',
            "instances is an object, not a list; auto",
        ),
        (b'{"instances": []}', "auto_terminate_enabled is missing"),
        (
            b'{"instances": [], "auto_terminate_enabled": "true"}',
            "auto_terminate_enabled is a text",
        ),
        (b"{" * 1_000_001, "more than 1000000 entries"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_another_shape_is_an_error_that_names_what_is_wrong(body: bytes, says: str) -> None:
    with pytest.raises(BackendError, match=says):
        read_envelope(body)


@pytest.mark.parametrize(
    ("fields", "waited"),
    [
        ({"seconds_waiting": 320}, 320.0),
        ({"seconds_waiting": None, "seconds_since_marked": 5.5}, 5.5),
        ({}, None),
        ({"seconds_waiting": -5}, None),
        ({"seconds_waiting": float("nan")}, None),
        ({"seconds_waiting": float("inf")}, None),
        ({"seconds_waiting": 10**400}, None),
        ({"seconds_waiting": 0}, 0.0),
    ],
)
def test_an_unknown_wait_is_none_and_not_zero(fields: dict[str, Any], waited: float | None) -> None:
    (one,) = read(entry(**fields)).marked
    assert one.waited == waited


def test_nulls_and_unknown_fields_are_lived_with() -> None:
    (one,) = read(entry(reason=None, az=None, instance_type=None, more={"a": 1})).marked
    assert (one.reason, one.zone) == ("unknown", None)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (7, "no object"),
        ({}, "no text"),
        ({"instance_id": "i-xyz"}, "no EC2 instance id"),
        ({"instance_id": iid(1) + "\n"}, "no EC2 instance id"),
        (entry(az=5), "az of another type"),
        (entry(seconds_waiting="soon"), "seconds_waiting of another type"),
        (entry(seconds_waiting=True), "seconds_waiting of another type"),
    ],
)
def test_an_entry_that_is_none_is_told_with_its_fault(raw: Any, why: str) -> None:
    found = read(raw)
    assert (found.marked, found.invalid) == ((), 1)
    assert why in found.told[0].why


@pytest.mark.parametrize("one", ["manual-1a2b3c4d", "emergency-1a2b3c4d", "replica-1a2b3c4d"])
def test_a_placeholder_is_no_fault_to_mend(one: str) -> None:
    found = read({"instance_id": one})
    assert (found.invalid, found.placeholders, found.told[0].placeholder) == (0, 1, True)


def test_a_second_entry_is_invalid_unless_it_is_of_the_other_kind() -> None:
    found = read(entry(), entry(), entry(reason=REPLICA), entry(reason=REPLICA))
    assert [one.reason for one in found.marked] == [ZOMBIE, REPLICA]
    assert found.invalid == 2


def test_of_many_invalid_entries_a_few_are_told_and_all_counted() -> None:
    found = read(*[{}] * 100_000, entry())
    assert (len(found.told), found.invalid, len(found.marked)) == (INVALID_TOLD, 100_000, 1)
    assert all(len(one.shown) <= 200 for one in read({"instance_id": "x" * 10**6}).told)


@pytest.mark.parametrize(
    ("body", "acknowledged"),
    [(b'{"success": true}', True), (b'{"success": 1}', True), (b'{"success": false}', False),
     (b'{"success": "true"}', False), (b"<html>", False), (b"", False), (b"[]", False)],
)  # fmt: skip
def test_only_the_backend_s_own_word_acknowledges(body: bytes, *, acknowledged: bool) -> None:
    assert is_acknowledged(body) is acknowledged


def test_only_its_own_complaint_is_shown() -> None:
    assert said_by(b'{"error": "Agent not found"}') == ": Agent not found"
    assert said_by(b"<html>Bearer secret</html>") == said_by(b'{"error": 5}') == ""


# ---- all agents ----

SIXTY = [Agent(f"agent-{n}") for n in range(60)]


def fetched(
    answer: Callable[[Agent, Callable[[], float]], AgentList], agents: list[Agent] = SIXTY
) -> Any:
    clock = FakeClock(55)
    return fetch(agents, answer, Deadline(lambda: clock.left), 8, clock), clock


def test_lists_come_in_the_agents_order_and_begin_with_another_each_minute() -> None:
    asked: list[Agent] = []

    def answer(agent: Agent, _: Callable[[], float]) -> AgentList:
        asked.append(agent)
        return listing(agent=agent)

    found, clock = fetched(answer)
    assert [one.agent for one in found.lists] == SIXTY
    first = asked[0]
    clock.pass_by(60)
    asked.clear()
    fetch(SIXTY, answer, Deadline(lambda: 55.0), 1, clock)
    assert asked[0] == SIXTY[(SIXTY.index(first) + 1) % 60]


def test_one_agent_s_failure_is_its_own() -> None:
    def answer(agent: Agent, _: Callable[[], float]) -> AgentList:
        if agent is SIXTY[7]:
            raise BackendError("HTTP 404", 404)
        return listing(agent=agent)

    found, _ = fetched(answer)
    assert len(found.lists) == 59
    assert [(agent, str(error)) for agent, error in found.failed] == [(SIXTY[7], "HTTP 404")]


def test_where_all_fail_each_is_told() -> None:
    def answer(agent: Agent, _: Callable[[], float]) -> AgentList:
        raise BackendError(f"HTTP 500 for {agent.agent_id}")

    found, _ = fetched(answer)
    assert found.lists == ()
    assert [agent for agent, _ in found.failed] == SIXTY


def test_one_agent_s_failure_is_the_run_s_as_it_is() -> None:
    error = BackendError("HTTP 404", 404)
    assert failure([(SIXTY[0], error)]) is error


def test_the_run_s_failure_names_each_reason_once_and_whose_it_is() -> None:
    failed = [(one, BackendError("late")) for one in SIXTY[:5]]
    failed.append((SIXTY[5], BackendError("HTTP 404")))
    assert str(failure(failed)) == (
        "no agent's list could be had: agent-0, agent-1, agent-2 and 2 more: late; agent-5: HTTP 404"
    )


def test_an_agent_of_many_gets_a_share_of_the_time_and_one_alone_all_of_it() -> None:
    shares: list[float] = []

    def answer(agent: Agent, left: Callable[[], float]) -> AgentList:
        shares.append(left())
        return listing(agent=agent)

    fetched(answer)
    assert max(shares) == pytest.approx(4.0)
    shares.clear()
    fetched(answer, SIXTY[:1])
    assert shares == [pytest.approx(11.0)]  # a fifth of 55 s
