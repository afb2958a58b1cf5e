"""The log and the metrics, as they stand on standard output."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handler.instances.model import Ending, Invalid, State
from handler.instances.outcome import Outcome, Settled, Summary
from handler.settings import Settings
from handler.telemetry import CloudWatchJournal, logger
from tests.fakes.build import iid, instance, marked

AGENT = "agent-1"
Blob = dict[str, Any]


class Told:
    """What was told since the last look: metric blobs from stdout, lines from the logger."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def metrics(self) -> list[Blob]:
        out = self.capsys.readouterr().out.splitlines()
        return [json.loads(line) for line in out if '"_aws"' in line]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    return Told(capsys)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[Blob]:
    """The log's lines as they would be written."""
    found: list[Blob] = []

    class Keeping:
        def write(self, text: str) -> None:
            found.extend(json.loads(line) for line in text.splitlines() if line.strip())

        def flush(self) -> None: ...

    monkeypatch.setattr(logger.registered_handler, "stream", Keeping())
    return found


@pytest.fixture
def journal() -> CloudWatchJournal:
    environment = {
        "AWS_REGION": "us-east-1",
        "AGENT_ID": AGENT,
        "SERVER_URL": "https://backend.example",
        "CLIENT_TOKEN": "s3cret",
        "IDEMPOTENCY_TABLE": "reports",
    }
    return CloudWatchJournal(Settings.read(environment, {}), AGENT)


SOON = timedelta(milliseconds=12.34)


def summary(settled: Iterable[Settled], invalid: int = 0) -> Summary:
    return Summary.of(settled, invalid=invalid, auto_terminate_enabled=True, dry_run=False)


def values(blobs: Iterable[Blob]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for blob in blobs:
        for metric in blob["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
            value = blob[metric["Name"]]
            found.setdefault(metric["Name"], []).extend(
                value if isinstance(value, list) else [value]
            )
    return found


def units(blobs: Iterable[Blob]) -> dict[str, str]:
    return {
        metric["Name"]: metric["Unit"]
        for blob in blobs
        for metric in blob["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    }


def of(outcome: Outcome, number: int = 1, waited: float | None = 5.0, **fields: Any) -> Settled:
    return Settled(marked(number, waited=waited), outcome, "because", **fields)


def test_nothing_listed_is_nothing_sent(
    journal: CloudWatchJournal, told: Told, lines: list[Blob]
) -> None:
    """Contract section 2: custom metrics are billed by the hour in which they are sent."""
    journal.summary(summary([]), [], SOON)
    assert told.metrics() == []
    assert [line["message"] for line in lines] == ["run finished"]


def test_the_metrics_are_the_contract_s(journal: CloudWatchJournal, told: Told) -> None:
    settled = [of(outcome, n) for n, outcome in enumerate(Outcome) if outcome.key != "invalid"]
    journal.summary(summary(settled, invalid=2), settled, SOON)
    blobs = told.metrics()
    found = values(blobs)
    assert {name: value for name, value in found.items() if name != "OldestWait"} == {
        "InstancesListed": [12.0], "InstancesTerminated": [1.0], "InstancesAlreadyGone": [1.0],
        "TerminationsPlanned": [1.0], "TerminationsPending": [1.0], "ReportsReplayed": [1.0],
        "TerminationsRefused": [1.0], "TerminationFailures": [1.0], "ReportFailures": [1.0],
        "InstancesIgnored": [1.0], "InstancesDeferred": [1.0], "InvalidEntries": [2.0],
    }  # fmt: skip
    assert units(blobs)["OldestWait"] == "Seconds"
    assert {u for name, u in units(blobs).items() if name != "OldestWait"} == {"Count"}


def test_a_metric_that_is_zero_is_not_sent(journal: CloudWatchJournal, told: Told) -> None:
    settled = [of(Outcome.IGNORED)]
    journal.summary(summary(settled), settled, SOON)
    assert values(told.metrics()) == {"InstancesListed": [1.0], "InstancesIgnored": [1.0]}


def test_the_dimensions_are_service_and_agent_and_nothing_else(
    journal: CloudWatchJournal, told: Told
) -> None:
    settled = [of(Outcome.TERMINATED, n, took=1.0) for n in range(250)]
    journal.summary(summary(settled), settled, SOON)
    journal.fuse_blown("why")
    journal.stuck(instance(1, State.SHUTTING_DOWN), 1000)
    journal.came_back(iid(1), "sir-12345678")
    blobs = told.metrics()
    assert len(blobs) >= 5
    for blob in blobs:
        (definition,) = blob["_aws"]["CloudWatchMetrics"]
        assert [sorted(one) for one in definition["Dimensions"]] == [["agent_id", "service"]]
        assert definition["Namespace"] == "SpotOptimizer"
        assert (blob["agent_id"], blob["service"]) == (AGENT, "spot-cleanup")
        assert "i-0" not in json.dumps(blob)


def test_250_values_of_one_metric_go_in_blobs_of_a_hundred(
    journal: CloudWatchJournal, told: Told
) -> None:
    """ec2.md, "Powertools": a limit that is broken fails silently on the server."""
    settled = [of(Outcome.TERMINATED, n, took=float(n)) for n in range(250)]
    journal.summary(summary(settled), settled, SOON)
    blobs = told.metrics()
    for blob in blobs:
        metrics = blob["_aws"]["CloudWatchMetrics"][0]["Metrics"]
        assert len(metrics) <= 100
        assert all(len(blob[metric["Name"]]) <= 100 for metric in metrics)
    found = values(blobs)
    assert sorted(found["TimeToTerminate"]) == [float(n) for n in range(250)]
    assert found["InstancesTerminated"] == [250.0]
    assert found["InstancesListed"] == [250.0]


@pytest.mark.parametrize("outcome", list(Outcome), ids=lambda o: o.key)
def test_the_time_to_terminate_comes_with_terminated_only(
    journal: CloudWatchJournal, told: Told, outcome: Outcome
) -> None:
    settled = [of(outcome, took=7.0)]
    journal.summary(summary(settled), settled, SOON)
    found = values(told.metrics())
    assert found.get("TimeToTerminate") == ([7.0] if outcome is Outcome.TERMINATED else None)


def test_an_unknown_time_to_terminate_is_not_sent(journal: CloudWatchJournal, told: Told) -> None:
    settled = [of(Outcome.TERMINATED)]
    journal.summary(summary(settled), settled, SOON)
    assert "TimeToTerminate" not in values(told.metrics())


WAITING = {"terminated", "planned", "pending", "refused", "failed", "unreported", "deferred"}


@pytest.mark.parametrize("outcome", list(Outcome), ids=lambda o: o.key)
def test_the_oldest_wait_is_of_those_who_still_waited(
    journal: CloudWatchJournal, told: Told, outcome: Outcome
) -> None:
    """Quirk 4: a confirmed replica is listed for ever, with an ever larger wait."""
    settled = [of(outcome, 1, 9_000.0), of(Outcome.DEFERRED, 2, 5.0)]
    journal.summary(summary(settled), settled, SOON)
    expected = 9_000.0 if outcome.key in WAITING else 5.0
    assert values(told.metrics())["OldestWait"] == [expected]


def test_an_unknown_wait_is_no_wait(journal: CloudWatchJournal, told: Told) -> None:
    settled = [of(Outcome.DEFERRED, 1, None), of(Outcome.DEFERRED, 2, 3.0)]
    journal.summary(summary(settled), settled, SOON)
    assert values(told.metrics())["OldestWait"] == [3.0]


def test_an_entry_s_line_is_its_audit_trail(journal: CloudWatchJournal, lines: list[Blob]) -> None:
    journal.settled(
        Settled(
            marked(1),
            Outcome.FAILED,
            "UnauthorizedOperation: no",
            "UnauthorizedOperation",
            "running",
            "running",
            "req-1",
        )
    )
    (line,) = lines
    told = ("level", "instance_id", "reason", "outcome", "why", "error_code", "previous_state")
    assert [line[key] for key in told] == [
        "WARNING", iid(1), "zombie_timeout", "failed", "UnauthorizedOperation: no",
        "UnauthorizedOperation", "running",
    ]  # fmt: skip
    assert (line["current_state"], line["ec2_request_id"], line["seconds_waited"]) == (
        "running", "req-1", 320.0,
    )  # fmt: skip


@pytest.mark.parametrize("outcome", list(Outcome), ids=lambda o: o.key)
def test_every_outcome_is_one_line(
    journal: CloudWatchJournal, lines: list[Blob], outcome: Outcome
) -> None:
    journal.settled(of(outcome))
    assert [line["outcome"] for line in lines] == [outcome.key]


@pytest.mark.parametrize("outcome", list(Outcome), ids=lambda o: o.key)
def test_what_calls_for_a_person_is_a_warning(
    journal: CloudWatchJournal, lines: list[Blob], outcome: Outcome
) -> None:
    journal.settled(of(outcome))
    loud = outcome.key in {"refused", "failed", "unreported"}
    assert lines[0]["level"] == ("WARNING" if loud else "INFO")


def test_what_is_not_known_is_not_on_the_line(
    journal: CloudWatchJournal, lines: list[Blob]
) -> None:
    journal.settled(of(Outcome.IGNORED, waited=None))
    assert not {"error_code", "ec2_request_id", "seconds_waited"} & set(lines[0])


def test_acceptance_names_its_instances_and_request(
    journal: CloudWatchJournal, lines: list[Blob]
) -> None:
    journal.accepted((iid(1), iid(2)), "req-1")
    assert (lines[0]["instance_ids"], lines[0]["ec2_request_id"]) == ([iid(1), iid(2)], "req-1")


def test_an_invalid_entry_is_shown(journal: CloudWatchJournal, lines: list[Blob]) -> None:
    journal.invalid(Invalid("{'x': 1}", "instance_id: Field required"))
    (line,) = lines
    assert (line["outcome"], line["entry"]) == ("invalid", "{'x': 1}")


def test_a_blown_fuse_is_one_error_and_one_metric(
    journal: CloudWatchJournal, lines: list[Blob], told: Told
) -> None:
    journal.fuse_blown("5 of 9")
    assert [(line["level"], line["why"]) for line in lines] == [("ERROR", "5 of 9")]
    assert values(told.metrics()) == {"FuseBlown": [1.0]}


def test_a_stuck_instance_is_a_warning_and_a_metric(
    journal: CloudWatchJournal, lines: list[Blob], told: Told
) -> None:
    ending = Ending(by_api=True, at=datetime.now(UTC))
    journal.stuck(instance(1, State.SHUTTING_DOWN, ending=ending), 901.4)
    assert [(line["level"], line["instance_id"], line["seconds"]) for line in lines] == [
        ("WARNING", iid(1), 901)
    ]
    assert values(told.metrics()) == {"InstancesStuck": [1.0]}


def test_an_instance_that_came_back_is_a_warning_and_a_metric(
    journal: CloudWatchJournal, lines: list[Blob], told: Told
) -> None:
    journal.came_back(iid(2), "sir-12345678")
    assert (lines[0]["level"], lines[0]["spot_request"]) == ("WARNING", "sir-12345678")
    assert values(told.metrics()) == {"InstancesCameBack": [1.0]}


def test_the_summary_s_line_is_what_is_returned(
    journal: CloudWatchJournal, lines: list[Blob]
) -> None:
    counted = Summary(
        2, Counter({Outcome.TERMINATED: 2}), auto_terminate_enabled=True, dry_run=False
    )
    journal.summary(counted, [], SOON)
    assert lines[-1]["summary"] == counted.as_returned()
    assert lines[-1]["summary"]["terminated"] == 2
    assert lines[-1]["backend_ms"] == 12.3
