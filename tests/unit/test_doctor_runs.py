"""Whether the last good run is too long ago, by its schedule: a judgement by its table."""

from __future__ import annotations

from datetime import timedelta

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from handler.doctor import runs
from handler.doctor.dependencies import Part, Schedule
from handler.doctor.findings import Finding, Status
from handler.doctor.runs import Minute, judge_runs, look_back
from handler.doctor.schedule import window_of
from tests.fakes.build import NOW
from tests.fakes.dependencies import Service, dependencies

EVERY_MINUTE = Schedule(enabled=True, expression="rate(1 minute)")


def ago(minutes: float, count: int = 1, errors: int = 0) -> Minute:
    return Minute(NOW - timedelta(minutes=minutes), count, errors)


class TestTheLastRun:
    @pytest.mark.parametrize(
        ("expression", "minutes"),
        [
            ("rate(1 minute)", 5),
            ("rate(2 minutes)", 6),
            ("rate(15 minutes)", 45),
            ("rate(1 hour)", 180),
            ("rate(1 day)", 3 * 24 * 60),
            ("cron(0 * * * ? *)", None),
            ("at(2026-01-01T00:00:00)", None),
        ],
    )
    def test_three_runs_are_due_in_the_window_five_minutes_at_the_least(
        self, expression: str, minutes: int | None
    ) -> None:
        window = None if minutes is None else timedelta(minutes=minutes)
        assert window_of(Schedule(True, expression)) == window

    @pytest.mark.parametrize(
        ("schedule", "minutes"),
        [
            (None, 60),
            (EVERY_MINUTE, 60),
            (Schedule(True, "rate(1 hour)"), 181),
            (Schedule(True, "cron(0 * * * ? *)"), 60),
        ],
    )
    def test_runs_are_looked_for_an_hour_back_or_further_than_the_window(
        self, schedule: Schedule | None, minutes: int
    ) -> None:
        assert look_back(schedule) == timedelta(minutes=minutes)

    @pytest.mark.parametrize(
        ("runs", "status", "says"),
        [
            (
                [ago(1), ago(2)],
                Status.OK,
                "last good run a minute ago (2 runs of the function in the last 60 minutes",
            ),
            ([ago(5.9, 2, 1)], Status.OK, "1 with an error"),
            ([ago(6.1)], Status.FAILED, "none was started in the last 5 minutes"),
            ([], Status.FAILED, "no run of the function in the last 60 minutes"),
            ([ago(1, 1, 1), ago(31)], Status.FAILED, "last good run 30 minutes ago"),
            (
                [ago(1, 3, 3)],
                Status.FAILED,
                "last good run over 60 minutes ago (3 runs of the function",
            ),
        ],
    )
    def test_a_good_run_must_be_younger_than_the_window(
        self, runs: list[Minute], status: Status, says: str
    ) -> None:
        finding = judge_runs(runs, NOW, EVERY_MINUTE)
        assert finding.status is status
        assert says in finding.found

    def test_a_slow_schedule_has_more_time(self) -> None:
        slow = Schedule(True, "rate(15 minutes)")
        assert judge_runs([ago(40)], NOW, slow).status is Status.OK
        assert judge_runs([ago(47)], NOW, slow).status is Status.FAILED

    def test_under_a_disabled_schedule_it_is_nobody_s_fault(self) -> None:
        finding = judge_runs([ago(21)], NOW, Schedule(False, "rate(1 minute)"))
        assert finding.status is Status.SKIPPED
        assert "it depends on schedule; last good run 20 minutes ago" in finding.found

    @pytest.mark.parametrize("unknown", [None, Schedule(True, "cron(0 * * * ? *)")])
    def test_without_a_known_rate_it_only_warns(self, unknown: Schedule | None) -> None:
        absent = judge_runs([], NOW, unknown)
        assert absent.status is Status.WARNING
        assert "not known here" in absent.cause
        failing = judge_runs([ago(1, 1, 1)], NOW, unknown)
        assert (failing.status, "end in an error" in failing.cause) == (Status.WARNING, True)
        assert judge_runs([ago(1)], NOW, unknown).status is Status.OK


@pytest.mark.parametrize("check", [runs.last_run, runs.last_hour], ids=["last_run", "last_hour"])
class TestMetricsThatCannotBeRead:
    def examine(self, check: Part, error: Exception) -> Finding:
        it = dependencies()
        it.environment.services["cloudwatch"] = Service(get_metric_data=error)  # type: ignore[attr-defined] # a fake's
        (finding,) = check.examine(it)
        return finding

    def test_denied_they_are_skipped_with_the_code_and_the_permission(self, check: Part) -> None:
        denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetMetricData")
        finding = self.examine(check, denied)
        assert finding.status is Status.SKIPPED
        assert finding.found.startswith("AccessDenied: ")
        assert "cloudwatch:GetMetricData" in finding.cure

    def test_unanswered_they_are_a_failure_with_the_code(self, check: Part) -> None:
        finding = self.examine(check, ConnectTimeoutError(endpoint_url="u"))
        assert finding.status is Status.FAILED
        assert finding.found.startswith("ConnectTimeoutError: ")


def test_the_last_hour_is_this_stack_s_in_one_call() -> None:
    """moto takes metrics of any namespace for the same, CloudWatch does not."""
    it = dependencies(POWERTOOLS_METRICS_NAMESPACE="Fleet", POWERTOOLS_SERVICE_NAME="stack-2")
    runs.last_hour.examine(it)
    ((operation, given),) = it.client("cloudwatch").asked
    assert operation == "get_metric_data"
    assert given["EndTime"] - given["StartTime"] == timedelta(hours=1)
    metrics = [query["MetricStat"]["Metric"] for query in given["MetricDataQueries"]]
    assert {one["Namespace"] for one in metrics} == {"Fleet"}
    assert all(one["Dimensions"] == [{"Name": "service", "Value": "stack-2"}] for one in metrics)
