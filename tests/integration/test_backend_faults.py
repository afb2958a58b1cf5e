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
    Trouble("500 always", answers(500, error("1040: Too many connections")), r"HTTP 500 .*1040", 4),
    Trouble("half a body", half_a_body, r"no answer .*IncompleteRead", 4),
    Trouble("connection reset", resets, r"no answer .*(reset|aborted)", 4),
    Trouble("hangs up without an answer", hangs_up, r"no answer .*aborted", 4),
    Trouble("another protocol", speaks_another_protocol, r"no answer .*BadStatusLine", 4),
    Trouble("HTML with 200", answers(200, HTML), NOT_THE_LIST_NOR_A_REPORT, 1),
    Trouble("an error with 200", answers(200, error("try again")), NOT_OF_THE_SHAPE, 1),
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
]
"""Trouble on the way; what each status and each shape means stands in tests/unit/test_backend_api.py, test_listing.py."""


@pytest.mark.parametrize("trouble", FAULTS, ids=[fault.name for fault in FAULTS])
@pytest.mark.usefixtures("lists_have_time")
def test_trouble_ends_nothing_with_the_list_and_loses_no_report(
    account: Account, scripted: ScriptedBackend, trouble: Trouble
) -> None:
    (one,), (bystander,) = account.launch(), account.launch()
    scripted.mark(one)
    scripted.always_meets(LIST, trouble.fault)

    account.fails(f"(?s){trouble.says}", timeout=trouble.timeout)

    assert scripted.count(LIST) == trouble.tries or trouble.late
    assert 1 <= scripted.count(LIST) <= trouble.tries
    assert scripted.reports == []
    assert {call.operation for call in account.aws.calls} <= {"GetParameter"}

    scripted.calm()
    scripted.always_meets(REPORT, trouble.fault)
    done = account.run(timeout=trouble.timeout)

    assert checks.counts(done.returned) == {"listed": 1, "unreported": 1}
    line = done.outcome(one)
    assert re.search(trouble.says, line["why"], re.DOTALL)
    assert line["level"] == "WARNING"
    # A report is made in rounds, as long as there is time: its row may be confirmed and unlisted.
    assert scripted.count(REPORT) in {trouble.tries, 3 * trouble.tries} or trouble.late
    assert account.state(one) == "terminated"
    if trouble.late:
        scripted.calm()
        finishes(account, scripted)
        assert scripted.successes(one) >= 1
        assert account.state(bystander) == "running"
    else:
        the_next_calm_run_finishes(account, scripted, [one], [bystander])


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


def test_trouble_that_passes_costs_a_request_and_nothing_else(
    account: Account, scripted: ScriptedBackend
) -> None:
    (one,) = account.launch()
    scripted.mark(one)
    for call in (LIST, REPORT):
        scripted.meets(call, answers(500, error("restarting")))
    assert account.counts() == {"listed": 1, "terminated": 1}
    assert (scripted.count(LIST), scripted.count(REPORT)) == (2, 2)
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


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_never_takes_the_token_to_another_host(
    account: Account, scripted: ScriptedBackend, status: int
) -> None:
    ids = account.launch(1)
    scripted.mark(*ids)
    with ScriptedBackend("") as other:
        elsewhere = f"{other.url.replace('127.0.0.1', 'localhost')}/api/agents/x"
        for call in (LIST, REPORT):
            scripted.always_meets(call, answers(status, Location=f"{elsewhere}/{call}"))
            if call == LIST:
                account.fails(r"redirects are not followed: set SERVER_URL")
                scripted.calm()
            else:
                assert account.counts() == {"listed": 1, "unreported": 1}
        assert other.seen == []
    the_next_calm_run_finishes(account, scripted, ids, [])


def test_a_long_list_is_gone_through_to_its_end(
    account: Account, scripted: ScriptedBackend
) -> None:
    ids = account.launch(3)
    scripted.mark(*ids)
    scripted.extra = [
        {"instance_id": f"i-{number:017x}", "az": "eu-west-1a", "reason": "zombie_timeout"}
        for number in range(5_000)
    ] + [{"instance_id": number} for number in range(4_997)]
    assert account.counts() == {
        "listed": 10_000,
        "terminated": 3,
        "ignored": 5_000,
        "invalid": 4_997,
    }
    assert [scripted.successes(one) for one in ids] == [1] * 3


def test_a_netrc_file_does_not_replace_the_token(
    account: Account, scripted: ScriptedBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login root password hunter2\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    (one,) = account.launch()
    scripted.mark(one)
    assert account.counts(NETRC=str(tmp_path / ".netrc")) == {"listed": 1, "terminated": 1}
    assert {headers["authorization"] for _, headers in scripted.seen} == {f"Bearer {TOKEN}"}
