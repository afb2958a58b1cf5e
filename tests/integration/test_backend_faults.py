"""A backend in every kind of trouble. After each: nothing wrongly ended, nothing lost.

`FAULTS` says what happens and what is logged. What is lost is the same everywhere, and checked after
each: nothing, since the next calm run finishes everything.
"""

from __future__ import annotations

import gzip
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration import checks
from tests.integration.conftest import TOKEN
from tests.integration.scripted import LIST, REPORT, Exchange, Fault, ScriptedBackend
from tests.integration.world import Account
from tools.ec2_emulator.faults import meanwhile

OUT_OF_TIME = (
    r"no answer from the backend|longer than (the run has|there was) time|did not come in time|"
    r"time was up"
)
"""How the handler may say that it has given up on a backend, by which of its limits came first."""


@dataclass(frozen=True)
class Trouble:
    """One line of the table.

    Attributes:
        name: of the fault.
        fault: what the backend does to every request of a call, until it is calm again.
        says: what the run's error, or the lost report's line, must say (a regular expression).
        tries: how many requests it costs.
        late: whether the run may end before the call does, which then goes on by itself.
        timeout: the run's time in seconds.
    """

    name: str
    fault: Fault
    says: str
    tries: int
    late: bool = False
    timeout: float = 55.0


def answers(status: int, body: bytes = b"", **headers: str) -> Fault:
    return lambda exchange: exchange.answer(status, body, **headers)


def says_nothing(exchange: Exchange) -> None:
    exchange.wait(30)
    exchange.hang_up()


def drips(exchange: Exchange) -> None:
    """Chunk by chunk, and never an end."""
    exchange.head(200, {"Transfer-Encoding": "chunked"})
    while not exchange.wait(0.05) and exchange.write(b"1\r\n \r\n"):
        pass
    exchange.hang_up()


def half_a_body(exchange: Exchange) -> None:
    exchange.head(200, {"Content-Length": "60"})
    exchange.write(b'{"instances": [], "success": t')
    exchange.hang_up()


def resets(exchange: Exchange) -> None:
    exchange.hang_up(reset=True)


def hangs_up(exchange: Exchange) -> None:
    exchange.hang_up()


def speaks_another_protocol(exchange: Exchange) -> None:
    exchange.write(b"SSH-2.0-OpenSSH_9.9\r\n")
    exchange.hang_up()


def error(text: str) -> bytes:
    return json.dumps({"error": text}).encode()


HTML = b"<html><head><title>Sign in</title></head><body>It works!</body></html>"
NOT_THE_LIST_NOR_A_REPORT = r"not JSON|this is not the backend's own answer"
NOT_OF_THE_SHAPE = r"not of the agreed shape|this is not the backend's own answer"

FAULTS = [
    Trouble("silent", says_nothing, OUT_OF_TIME, 4, late=True, timeout=4),
    Trouble("slow drip", drips, OUT_OF_TIME, 1, late=True, timeout=3),
    Trouble(
        "401",
        answers(401, error("Invalid client token")),
        r"HTTP 401 \(the client token is not accepted",
        1,
    ),
    Trouble(
        "403",
        answers(403, error("Client is not active")),
        r"HTTP 403 \(the client is inactive.*Client is not active",
        1,
    ),
    Trouble(
        "404",
        answers(404, error("Agent not found")),
        r"HTTP 404 \(the backend does not know this agent.*Agent not found",
        1,
    ),
    Trouble("429 always", answers(429, error("slow down")), r"HTTP 429 .*slow down", 4),
    Trouble("500 always", answers(500, error("1040: Too many connections")), r"HTTP 500 .*1040", 4),
    Trouble("502 with a proxy's page", answers(502, HTML, Content_Type="text/html"), "HTTP 502", 4),
    Trouble("501", answers(501), r"HTTP 501", 4),
    Trouble("half a body", half_a_body, r"no answer .*IncompleteRead", 4),
    Trouble("connection reset", resets, r"no answer .*(reset|aborted)", 4),
    Trouble("hangs up without an answer", hangs_up, r"no answer .*aborted", 4),
    Trouble("another protocol", speaks_another_protocol, r"no answer .*BadStatusLine", 4),
    Trouble(
        "HTML with 200",
        answers(200, HTML, Content_Type="text/html"),
        NOT_THE_LIST_NOR_A_REPORT,
        1,
    ),
    Trouble("200 with nothing in it", answers(200), NOT_THE_LIST_NOR_A_REPORT, 1),
    Trouble("204", answers(204), r"HTTP 204|this is not the backend's own answer", 1),
    Trouble("a JSON list", answers(200, b"[]"), NOT_OF_THE_SHAPE, 1),
    Trouble("null", answers(200, b"null"), NOT_OF_THE_SHAPE, 1),
    Trouble(
        "an error with 200",
        answers(200, b'{"success": false, "error": "try again"}'),
        NOT_OF_THE_SHAPE,
        1,
    ),
    Trouble(
        "instances is no list",
        answers(200, b'{"instances": {}, "auto_terminate_enabled": true}'),
        r"instances is an object, not a list|not the backend's own answer",
        1,
    ),
    Trouble(
        "auto_terminate_enabled is a word",
        answers(200, b'{"instances": [], "auto_terminate_enabled": "false"}'),
        r"auto_terminate_enabled|not the backend's own answer",
        1,
    ),
    Trouble("a million brackets", answers(200, b"[" * 1_000_000), NOT_THE_LIST_NOR_A_REPORT, 1),
    Trouble(
        "10 MB of garbage",
        answers(200, b"\xff\x00{" * 3_500_000),
        r"more than 1000000 entries|not the b",
        1,
    ),
    Trouble(
        "plain text that claims to be gzip",
        answers(200, b'{"instances": []}', Content_Encoding="gzip"),
        r"no answer .*(decode|gzip)",
        4,
    ),
    Trouble(
        "a gzip bomb",
        answers(200, gzip.compress(b" " * 20_000_000, 1), Content_Encoding="gzip"),
        r"larger than 16777216 bytes",
        1,
    ),
    Trouble(
        "a redirect",
        answers(302, Location="/somewhere/else"),
        r"HTTP 302 \(redirects are not followed",
        1,
    ),
]
BY_NAME = pytest.mark.parametrize("trouble", FAULTS, ids=[fault.name for fault in FAULTS])


@BY_NAME
def test_trouble_with_the_list_fails_the_run_and_ends_nothing(
    account: Account, scripted: ScriptedBackend, trouble: Trouble
) -> None:
    ids = account.launch(2)
    bystander = account.launch(1)
    scripted.mark(*ids)
    scripted.always_meets(LIST, trouble.fault)

    account.fails(f"(?s){trouble.says}", timeout=trouble.timeout)

    assert scripted.count(LIST) == trouble.tries or trouble.late
    assert 1 <= scripted.count(LIST) <= trouble.tries
    assert scripted.reports == []
    assert {call.operation for call in account.aws.calls} <= {"GetParameter"}
    the_next_calm_run_finishes(account, scripted, ids, bystander)


@BY_NAME
@pytest.mark.usefixtures("lists_have_time")
def test_trouble_with_a_report_leaves_it_to_the_next_run(
    account: Account, scripted: ScriptedBackend, trouble: Trouble
) -> None:
    ids = account.launch(1)
    bystander = account.launch(1)
    scripted.mark(*ids)
    scripted.always_meets(REPORT, trouble.fault)

    done = account.run(timeout=trouble.timeout)

    assert checks.counts(done.returned) == {"listed": 1, "unreported": 1}
    line = done.outcome(ids[0])
    assert re.search(trouble.says, line["why"], re.DOTALL)
    assert line["level"] == "WARNING"
    # A report is made in rounds, as long as there is time: its row may be confirmed and unlisted.
    assert scripted.count(REPORT) in {trouble.tries, 3 * trouble.tries} or trouble.late
    assert account.state(ids[0]) == "terminated"
    if trouble.late:
        scripted.calm()
        finishes(account, scripted)
        assert scripted.successes(ids[0]) >= 1
        assert account.state(bystander[0]) == "running"
    else:
        the_next_calm_run_finishes(account, scripted, ids, bystander)


def the_next_calm_run_finishes(
    account: Account, scripted: ScriptedBackend, ids: list[str], bystanders: list[str]
) -> None:
    """Everything that was marked is terminated and reported, and nothing else is."""
    scripted.calm()
    before = len(scripted.reports)
    assert account.counts() == {"listed": len(ids), "terminated": len(ids)}
    assert [account.state(one) for one in ids] == ["terminated"] * len(ids)
    assert [account.state(one) for one in bystanders] == ["running"] * len(bystanders)
    told = scripted.reports[before:]
    assert sorted(report["instance_id"] for report in told) == sorted(ids)
    assert all(report["success"] for report in told)
    assert scripted.marked == {}
    assert account.counts() == {}


def finishes(account: Account, scripted: ScriptedBackend) -> None:
    """Calm runs do what is left; some may meet what an earlier run no longer waits for."""
    for _ in range(50):
        if account.run().returned["listed"] == 0:
            break
        time.sleep(0.1)
    assert scripted.marked == {}


@pytest.mark.parametrize("call", [LIST, REPORT])
def test_a_backend_that_is_down_is_waited_for_by_the_next_run(
    account: Account, scripted: ScriptedBackend, call: str
) -> None:
    ids = account.launch(1)
    scripted.mark(*ids)
    if call == LIST:
        scripted.down()
        account.fails(r"no answer from the backend to GET .*Connection refused")
        assert account.state(ids[0]) == "running"
    else:
        account.aws.faults.add("TerminateInstances", meanwhile(scripted.down))
        done = account.run()
        assert checks.counts(done.returned) == {"listed": 1, "unreported": 1}
        assert "Connection refused" in done.outcome(ids[0])["why"]
    the_next_calm_run_finishes(account, scripted, ids, [])


@pytest.mark.parametrize("call", [LIST, REPORT])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(answers(500, error("restarting")), id="500 once"),
        pytest.param(answers(429, Retry_After="0"), id="429 with a small Retry-After"),
        pytest.param(
            answers(503, Retry_After="soon"),
            id="503 with an odd Retry-After",
        ),
        pytest.param(resets, id="a reset"),
    ],
)
def test_trouble_that_passes_costs_a_request_and_nothing_else(
    account: Account, scripted: ScriptedBackend, call: str, fault: Fault
) -> None:
    (one,) = account.launch()
    scripted.mark(one)
    scripted.meets(call, fault)
    assert account.counts() == {"listed": 1, "terminated": 1}
    assert scripted.count(call) == 2
    assert scripted.successes(one) == 1


def test_one_instances_report_that_is_refused_leaves_the_others_alone(
    account: Account, scripted: ScriptedBackend
) -> None:
    ids = account.launch(6)
    scripted.mark(*ids)
    scripted.meets(REPORT, answers(400, error("no")), answers(422, error("no")))
    assert account.counts() == {"listed": 6, "terminated": 4, "unreported": 2}
    assert account.counts() == {"listed": 2, "terminated": 2}
    assert [scripted.successes(one) for one in ids] == [1] * 6


def test_a_report_whose_acknowledgement_was_lost_is_made_again_and_counted_once(
    account: Account, scripted: ScriptedBackend
) -> None:
    """The backend recorded it and cannot tell; whether it lists it again is its own affair."""
    (one,) = account.launch()
    scripted.mark(one)

    def records_and_is_not_heard(exchange: Exchange) -> None:
        exchange.genuine_body()
        half_a_body(exchange)

    scripted.meets(REPORT, records_and_is_not_heard)
    assert account.counts() == {"listed": 1, "terminated": 1}
    scripted.mark(one)
    assert account.counts() == {"listed": 1, "replayed": 1}
    assert scripted.successes(one) == 2


@pytest.mark.parametrize("call", [LIST, REPORT])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_never_takes_the_token_to_another_host(
    account: Account, scripted: ScriptedBackend, call: str, status: int
) -> None:
    ids = account.launch(1)
    scripted.mark(*ids)
    with ScriptedBackend("") as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        scripted.always_meets(call, answers(status, Location=f"{elsewhere}/api/agents/x/{call}"))
        if call == LIST:
            account.fails(r"redirects are not followed: set SERVER_URL")
        else:
            assert account.counts() == {"listed": 1, "unreported": 1}
        assert other.seen == []
    the_next_calm_run_finishes(account, scripted, ids, [])


def test_a_list_of_100_000_entries_is_gone_through_to_its_end(
    account: Account, scripted: ScriptedBackend
) -> None:
    ids = account.launch(3)
    scripted.mark(*ids)
    scripted.extra = [
        {"instance_id": f"i-{number:017x}", "az": "eu-west-1a", "reason": "zombie_timeout"}
        for number in range(50_000)
    ] + [{"instance_id": number} for number in range(49_997)]
    assert account.counts(timeout=250) == {
        "listed": 100_000,
        "terminated": 3,
        "ignored": 50_000,
        "invalid": 49_997,
    }
    assert [scripted.successes(one) for one in ids] == [1] * 3


def test_cookies_are_not_kept(account: Account, scripted: ScriptedBackend) -> None:
    (one,) = account.launch()
    scripted.mark(one)
    scripted.meets(LIST, lambda exchange: exchange.genuine(Set_Cookie="session=of-another; Path=/"))
    account.run()
    account.run()
    assert [headers.get("cookie") for _, headers in scripted.seen] == [None] * 3


def test_a_netrc_file_does_not_replace_the_token(
    account: Account, scripted: ScriptedBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login root password hunter2\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    (one,) = account.launch()
    scripted.mark(one)
    assert account.counts(NETRC=str(tmp_path / ".netrc")) == {"listed": 1, "terminated": 1}
    assert {headers["authorization"] for _, headers in scripted.seen} == {f"Bearer {TOKEN}"}
