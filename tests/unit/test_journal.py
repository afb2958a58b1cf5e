"""The log lines and the metrics of a termination run (contract section 2)."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from handler.aws.errors import ErrorKind
from handler.instances.journal import Journal
from handler.instances.model import Invalid
from handler.instances.outcome import Outcome, Settled, Summary, Trace
from handler.telemetry import COUNT, Metric, logger, metrics_to
from tests.fakes.build import AGENT, error, iid, instance, listing, marked

TRACE = Trace("Code", "running", "shutting-down", "req-1")


@pytest.fixture
def sent() -> list[Metric]:
    return []


@pytest.fixture
def journal(sent: list[Metric]) -> Journal:
    return Journal(sent.extend, "1.2.3")


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the logger says: its level, message and fields."""
    said: list[dict[str, Any]] = []
    for level in ("info", "warning", "error"):

        def say(message: str, *args: Any, level: str = level, extra: Any = None) -> None:
            said.append({"level": level, "message": message % args, **(extra or {})})

        monkeypatch.setattr(logger, level, say)
    return said


def settled(outcome: Outcome, waited: float | None = 320.0, **fields: Any) -> Settled:
    return Settled(marked(1, waited=waited), outcome, "why", **fields)


def account(journal: Journal, *done: Settled, placeholders: int = 0, **fields: Any) -> Summary:
    counts = Counter(one.outcome for one in done)
    counts[Outcome.INVALID] += placeholders
    summary = Summary(counts, True, False, placeholders=placeholders, **fields)
    journal.summary(summary, done, timedelta(seconds=0.25))
    return summary


def test_every_outcome_is_one_line_with_all_that_is_known(
    journal: Journal, lines: list[dict[str, Any]]
) -> None:
    journal.settled(settled(Outcome.TERMINATED, trace=TRACE))
    assert lines == [
        {
            "level": "info", "message": "instance terminated", "agent_id": AGENT.agent_id,
            "instance_id": iid(1), "reason": "zombie_timeout", "outcome": "terminated", "why": "why",
            "error_code": "Code", "previous_state": "running", "current_state": "shutting-down",
            "ec2_request_id": "req-1", "seconds_waited": 320.0,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "trace", "level"),
    [(Outcome.REFUSED, Trace(), "warning"), (Outcome.FAILED, Trace(), "warning"),
     (Outcome.UNREPORTED, Trace(), "warning"), (Outcome.DEFERRED, Trace(), "info"),
     (Outcome.DEFERRED, TRACE, "warning"), (Outcome.IGNORED, Trace(), "info")],
)  # fmt: skip
def test_what_somebody_has_to_look_at_is_a_warning(
    journal: Journal, lines: list[dict[str, Any]], outcome: Outcome, trace: Trace, level: str
) -> None:
    journal.settled(settled(outcome, trace=trace))
    assert lines[0]["level"] == level


def test_each_metric_is_sent_only_where_it_is_not_zero(
    journal: Journal, sent: list[Metric]
) -> None:
    done = [
        settled(Outcome.TERMINATED, took=7200.0),
        settled(Outcome.IGNORED, 9999.0, untagged=True),
    ]
    account(journal, *done, untagged=1, agents_failed=2)
    assert {name: value for name, _, value in sent} == {
        "InstancesListed": 2, "InstancesTerminated": 1, "InstancesIgnored": 1,
        "InstancesUntagged": 1, "AgentsFailed": 2, "OldestWait": 320.0, "ZombieHours": 2.0,
        "TimeToTerminate": 7200.0,
    }  # fmt: skip


@pytest.mark.parametrize("done", [(), (Outcome.REPLAYED,), (Outcome.REPLAYED, Outcome.REPLAYED)])
def test_a_run_that_changes_nothing_sends_nothing(
    journal: Journal, sent: list[Metric], done: tuple[Outcome, ...]
) -> None:
    """Custom metrics are billed by the hour in which they are sent."""
    account(journal, *map(settled, done), placeholders=3)
    assert sent == []


def test_placeholders_are_no_invalid_entries(journal: Journal, sent: list[Metric]) -> None:
    account(journal, settled(Outcome.REFUSED), placeholders=3)
    assert "InvalidEntries" not in {name for name, _, _ in sent}


def test_the_oldest_wait_leaves_out_what_does_not_wait_and_what_is_unknown(
    journal: Journal, sent: list[Metric]
) -> None:
    account(
        journal,
        settled(Outcome.DEFERRED, None),
        settled(Outcome.ALREADY_GONE, 50.0),
        *(settled(one, 10**6) for one in (Outcome.REPLAYED, Outcome.IGNORED)),
    )
    assert [value for name, _, value in sent if name == "OldestWait"] == [50.0]


def test_the_last_line_has_the_summary_and_the_version(
    journal: Journal, lines: list[dict[str, Any]]
) -> None:
    summary = account(journal)
    assert lines == [
        {
            "level": "info", "message": "run finished", "summary": summary.as_returned(),
            "backend_ms": 250.0, "version": "1.2.3",
        }
    ]  # fmt: skip


def test_what_happened_meanwhile_is_counted(
    journal: Journal, sent: list[Metric], lines: list[dict[str, Any]]
) -> None:
    journal.look_up_failed("instances", error(ErrorKind.REFUSED, "UnauthorizedOperation"))
    journal.fuse_blown("too many")
    journal.came_back(iid(1), "sir-1")
    journal.stuck(instance(3), 901.2)
    journal.overdue([iid(1), iid(2)], 3600)
    account(journal)
    assert {(name, value) for name, _, value in sent} == {
        ("LookUpFailures", 1), ("FuseBlown", 1), ("InstancesCameBack", 1), ("InstancesOverdue", 2),
        ("InstancesStuck", 1),
    }  # fmt: skip
    assert lines[0]["error_code"] == "UnauthorizedOperation"
    (line,) = [one for one in lines if "stuck" in one["message"]]
    assert (line["instance_id"], line["seconds"]) == (iid(3), 901)


def test_invalid_entries_are_told_and_placeholders_at_info(
    journal: Journal, lines: list[dict[str, Any]]
) -> None:
    told = (Invalid(AGENT, "x", "bad"), Invalid(AGENT, "manual-1", "none", placeholder=True))
    journal.list_received(listing(told=told, invalid=50, placeholders=30))
    assert [(one["level"], one["message"], one.get("count")) for one in lines] == [
        ("warning", "entry invalid", None), ("warning", "more entries invalid", 49),
        ("info", "entry invalid", None), ("info", "more entries invalid", 29),
    ]  # fmt: skip


def test_an_invalid_entry_s_line_has_the_fields_of_every_outcome(
    journal: Journal, lines: list[dict[str, Any]]
) -> None:
    bad = Invalid(AGENT, "x", "why", instance_id="x", reason="zombie_timeout")
    journal.list_received(listing(told=(bad, Invalid(AGENT, "5", "why")), invalid=2))
    assert [
        (one["agent_id"], one["instance_id"], one["reason"], one["outcome"]) for one in lines
    ] == [
        (AGENT.agent_id, "x", "zombie_timeout", "invalid"),
        (AGENT.agent_id, None, None, "invalid"),
    ]


def test_metrics_have_the_dimension_service_alone(capsys: pytest.CaptureFixture[str]) -> None:
    metrics_to("Space", "stack")([("One", COUNT, float(n)) for n in range(250)])
    blobs = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sum(len(blob["One"]) for blob in blobs) == 250
    for blob in blobs:
        (directive,) = blob["_aws"]["CloudWatchMetrics"]
        assert directive["Dimensions"] == [["service"]]
        assert (directive["Namespace"], blob["service"]) == ("Space", "stack")


def test_nothing_to_say_is_nothing_sent(capsys: pytest.CaptureFixture[str]) -> None:
    metrics_to("Space", "stack")([])
    assert capsys.readouterr().out == ""
