"""What the doctor's findings say together, and its advice on AWS's errors."""

from __future__ import annotations

from handler.aws.errors import AwsError, ErrorKind
from handler.doctor.advice import aws_failed
from handler.doctor.backend import LIST, REACHABLE, TLS
from handler.doctor.clock import CLOCK
from handler.doctor.findings import Findings, Status, depends, failed, grouped, ok, skipped, warning
from handler.doctor.table import TABLE


class TestFindings:
    def test_it_is_healthy_as_long_as_nothing_failed(self) -> None:
        some = (ok(TLS, "yes"), warning(CLOCK, "6 s", "c", "d"), skipped(LIST, "no"))
        assert Findings("x", some).healthy
        assert not Findings("x", (*some, failed(TABLE, "f", "c", "d"))).healthy

    def test_it_is_returned_with_every_key_and_the_same_as_text(self) -> None:
        findings = Findings(
            "agent-1", (ok(TLS, "trusted"), failed(TABLE, "gone", "why", "mend it"))
        )
        told = findings.as_returned()
        assert told["healthy"] is False
        assert told["checks"] == [
            {"check": "tls", "status": "ok", "found": "trusted", "cause": "", "cure": ""},
            {
                "check": "idempotency_table",
                "status": "failed",
                "found": "gone",
                "cause": "why",
                "cure": "mend it",
            },
        ]
        assert str(told["text"]).splitlines() == [
            "agent-1: NOT healthy: idempotency_table",
            "ok       tls                      trusted",
            "failed   idempotency_table        gone",
            "         cause: why",
            "         cure: mend it",
        ]

    def test_warnings_are_named_where_it_is_healthy_and_where_it_is_not(self) -> None:
        late = warning(CLOCK, "6 s", "c", "d")
        assert Findings("x", (late,)).as_text().startswith("x: healthy; see also clock_skew\n")
        both = Findings("x", (late, failed(TABLE, "f", "c", "d"))).as_text()
        assert both.startswith("x: NOT healthy: idempotency_table; see also clock_skew\n")

    def test_a_dependent_says_on_what(self) -> None:
        finding = depends(LIST, REACHABLE)
        assert (finding.status, finding.found) == (
            Status.SKIPPED,
            "it depends on backend_reachable",
        )


class TestSeveralAgents:
    """Checks of one agent are told once for all agents of which they say the same."""

    def test_one_agent_s_are_told_as_they_are(self) -> None:
        found = [ok(TLS, "trusted"), ok(LIST, "2 instances are listed")]
        assert grouped({"a": found}) == found

    def test_what_is_alike_is_one(self) -> None:
        told = grouped({one: [ok(TLS, "trusted"), ok(LIST, "empty")] for one in "abcd"})
        assert [(one.check, one.found) for one in told] == [
            (TLS, "4 agents (a, b, c, ...): trusted"),
            (LIST, "4 agents (a, b, c, ...): empty"),
        ]

    def test_what_differs_names_its_agents_and_stays_with_its_check(self) -> None:
        refused = failed(TLS, "expired", "old", "renew it")
        told = grouped(
            {"a": [ok(TLS, "yes"), ok(LIST, "x")], "b": [refused, ok(LIST, "x")]}
            | {"c": [ok(TLS, "yes"), ok(LIST, "x")]}
        )
        assert [one.found for one in told] == [
            "2 agents (a, c): yes", "agent b: expired", "3 agents (a, b, c): x",
        ]  # fmt: skip
        assert (told[1].status, told[1].cure) == (Status.FAILED, "renew it")

    def test_a_check_that_failed_in_two_ways_is_named_once(self) -> None:
        two = grouped({one: [failed(TLS, f"{one}!", "c", "d")] for one in "ab"})
        assert Findings("x", tuple(two)).failures == ("tls",)


def test_throttled_is_a_warning() -> None:
    slow = AwsError("ThrottlingException", "m", ErrorKind.THROTTLED)
    assert aws_failed(TABLE, slow, "p").status is Status.WARNING
