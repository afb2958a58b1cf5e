"""What the doctor makes of what it finds: pure judgements, each by its table."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.aws.errors import AwsError, ErrorKind
from handler.doctor.advice import advice
from handler.doctor.authorization import say
from handler.doctor.findings import (
    Check,
    Diagnosis,
    Status,
    depends,
    failed,
    judge_skew,
    least_skew,
    ok,
    warning,
)
from handler.doctor.judge_aws import (
    judge_cancellation,
    judge_dry_run,
    judge_last_run,
    judge_schedule,
    judge_table,
    pick,
)
from handler.doctor.ports import (
    TableFault,
    TableTrouble,
)
from handler.doctor.recent_runs import Minute, Schedule, judge_runs, look_back, window_of
from handler.instances.guard import GROUP_TAG
from handler.instances.ports import Accepted
from tests.fakes.build import NOW, OURS, iid, instance, policy

SECOND = timedelta(seconds=1)
EVERY_MINUTE = Schedule(enabled=True, expression="rate(1 minute)")
DENIED = AwsError("AccessDeniedException", "no", ErrorKind.REFUSED, denied=True)


def ago(minutes: float, count: int = 1, errors: int = 0) -> Minute:
    return Minute(NOW - timedelta(minutes=minutes), count, errors)


class TestTheDiagnosis:
    def test_it_is_healthy_as_long_as_nothing_failed(self) -> None:
        some = (ok(Check.TLS, "yes"), warning(Check.CLOCK, "6 s", "c", "d"), depends(Check.LIST))
        assert Diagnosis("x", some).healthy
        assert not Diagnosis("x", (*some, failed(Check.TABLE, "f", "c", "d"))).healthy

    def test_it_is_returned_with_every_key_and_the_same_as_text(self) -> None:
        diagnosis = Diagnosis(
            "agent-1", (ok(Check.TLS, "trusted"), failed(Check.TABLE, "gone", "why", "mend it"))
        )
        told = diagnosis.as_returned()
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
        late = warning(Check.CLOCK, "6 s", "c", "d")
        assert Diagnosis("x", (late,)).as_text().startswith("x: healthy; see also clock_skew\n")
        both = Diagnosis("x", (late, failed(Check.TABLE, "f", "c", "d"))).as_text()
        assert both.startswith("x: NOT healthy: idempotency_table; see also clock_skew\n")

    def test_a_dependent_says_on_what(self) -> None:
        finding = depends(Check.LIST, Check.BACKEND)
        assert (finding.status, finding.found) == (
            Status.SKIPPED,
            "it depends on backend_reachable",
        )


class TestTheClock:
    @pytest.mark.parametrize(
        ("stated", "sent", "received", "skew"),
        [
            (0.0, 0.0, 0.0, 0.0),
            (0.0, 0.9, 0.9, 0.0),  # a date is cut to the second
            (0.0, 0.0, 8.0, 0.0),  # a slow answer is no skew
            (3.0, 0.0, 8.0, 0.0),
            (10.0, 0.0, 2.0, 8.0),
            (-10.0, 0.0, 2.0, -9.0),
            (-0.5, 0.0, 0.1, 0.0),
        ],
    )
    def test_only_what_nothing_else_explains_is_skew(
        self, stated: float, sent: float, received: float, skew: float
    ) -> None:
        found = least_skew(NOW + stated * SECOND, NOW + sent * SECOND, NOW + received * SECOND)
        assert found == pytest.approx(skew)

    @given(st.floats(-300, 300), st.floats(0, 10), st.floats(0, 10))
    def test_the_true_skew_is_never_less(self, true: float, there: float, back: float) -> None:
        sent = NOW
        answered = sent + there * SECOND
        stated = (answered + true * SECOND).replace(microsecond=0)
        found = least_skew(stated, sent, answered + back * SECOND)
        assert abs(found) <= abs(true) + 1e-5
        assert found * true >= 0

    @pytest.mark.parametrize(
        ("skew", "status"),
        [
            (0, Status.OK),
            (5, Status.OK),
            (-5, Status.OK),
            (5.1, Status.WARNING),
            (-5.1, Status.WARNING),
            (60, Status.WARNING),
            (60.1, Status.FAILED),
            (-61, Status.FAILED),
            (86400, Status.FAILED),
        ],
    )
    def test_it_warns_over_5_seconds_and_fails_over_60(self, skew: float, status: Status) -> None:
        assert judge_skew(skew).status is status

    def test_it_says_in_which_direction(self) -> None:
        assert "70 s ahead of ours" in judge_skew(70).found
        assert "70 s behind ours" in judge_skew(-70).found


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

    def test_runs_that_fail_are_told_from_runs_that_are_not_started(self) -> None:
        failing = judge_runs([ago(1, 1, 1)], NOW, EVERY_MINUTE)
        absent = judge_runs([ago(20)], NOW, EVERY_MINUTE)
        assert "end in an error" in failing.cause
        assert "does not get through" in absent.cause
        assert "Undelivered" in absent.cure

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

    def test_metrics_that_may_not_be_read_are_skipped_with_the_permission(self) -> None:
        finding = judge_last_run(DENIED, NOW, EVERY_MINUTE)
        assert finding.status is Status.SKIPPED
        assert "cloudwatch:GetMetricData" in finding.cure


class TestTheSchedule:
    @pytest.mark.parametrize(
        ("found", "status", "says"),
        [
            (EVERY_MINUTE, Status.OK, "rate(1 minute)"),
            (Schedule(False, "rate(1 minute)"), Status.FAILED, "disabled"),
            (None, Status.FAILED, "there is no schedule g/n"),
            (DENIED, Status.SKIPPED, "g/n"),
            (AwsError("X", "m", ErrorKind.NO_ANSWER), Status.FAILED, "X: m"),
        ],
    )
    def test_it_is_to_be_there_and_enabled(
        self, found: Schedule | AwsError | None, status: Status, says: str
    ) -> None:
        finding = judge_schedule(found, "g/n")
        assert finding.status is status
        assert says in finding.found
        assert finding.cure or status is Status.OK


class TestEc2:
    def test_the_dry_run_is_tried_on_a_marked_instance_if_there_is_one(self) -> None:
        running = [instance(1), instance(2), instance(3)]
        assert pick(running, policy(), {iid(2)}) == running[1]
        assert pick(running, policy(), set()) == running[0]

    @pytest.mark.parametrize("tag", ["DoNotTerminate", GROUP_TAG])
    def test_it_is_not_tried_on_what_the_guards_keep(self, tag: str) -> None:
        kept = instance(1, tags=OURS | {tag: ""})
        assert pick([kept], policy(), {iid(1)}) is None
        assert pick([kept, instance(2)], policy(), {iid(1)}) == instance(2)

    def test_an_accepted_dry_run_is_a_permission(self) -> None:
        finding = judge_dry_run(instance(1), Accepted({}, None), None)
        assert finding.status is Status.OK
        assert iid(1) in finding.found

    @pytest.mark.parametrize(
        ("decoded", "says"),
        [
            ("no policy of x allows it", "no policy of x allows it"),
            (None, "You may not."),
            (DENIED, "not decoded, since sts:DecodeAuthorizationMessage did not work"),
        ],
    )
    def test_a_denial_gives_its_reason_as_far_as_it_can_be_had(
        self, decoded: str | AwsError | None, says: str
    ) -> None:
        denied = AwsError("UnauthorizedOperation", "You may not.", ErrorKind.REFUSED, denied=True)
        finding = judge_dry_run(instance(1), denied, decoded)
        assert finding.status is Status.FAILED
        assert says in finding.cause
        assert "ec2:TerminateInstances" in finding.cure

    def test_an_instance_that_ended_meanwhile_proves_nothing(self) -> None:
        gone = AwsError("InvalidInstanceID.NotFound", "m", ErrorKind.MISSING)
        assert judge_dry_run(instance(1), gone, None).status is Status.SKIPPED
        gone = AwsError("InvalidSpotInstanceRequestID.NotFound", "m", ErrorKind.MISSING)
        assert judge_cancellation("sir-1", gone, None).status is Status.SKIPPED


@pytest.mark.parametrize(
    ("decoded", "says"),
    [
        (
            (
                '{"allowed": false, "explicitDeny": false, "matchedStatements": {"items": []},'
                '"context": {"principal": {"arn": "arn:role"}, "action": "ec2:TerminateInstances",'
                '"resource": "arn:i-1", "conditions": {"items": [{"key": "aws:ResourceTag/ManagedBy",'
                '"values": {"items": [{"value": "Other"}]}}, {"key": "ec2:Region", "values": {}}]}}}'
            ),
            (
                "no policy of arn:role allows ec2:TerminateInstances on arn:i-1; the instance's tags as "
                "IAM saw them: ManagedBy=Other"
            ),
        ),
        (
            (
                '{"explicitDeny": true, "matchedStatements": {"items": [{"statementId": "NotAtNight"}]},'
                '"context": {"action": "a", "resource": "r"}}'
            ),
            (
                "the caller is denied a on r by the statement NotAtNight; the instance's tags as IAM saw "
                "them: none"
            ),
        ),
        ("a form of the future", "a form of the future"),
        ('{"context": 1}', '{"context": 1}'),
    ],
)
def test_a_decoded_reason_is_a_sentence(decoded: str, says: str) -> None:
    assert say(decoded) == says


class TestTheTable:
    @pytest.mark.parametrize(
        ("fault", "error", "says"),
        [
            (TableFault.MISSING, AwsError("R", "m", ErrorKind.REFUSED), "IDEMPOTENCY_TABLE"),
            (TableFault.SCHEMA, AwsError("V", "m", ErrorKind.REFUSED), "as the template does"),
            (TableFault.DENIED, DENIED, "allow dynamodb:PutItem on the table"),
            (TableFault.OTHER, AwsError("T", "m", ErrorKind.NO_ANSWER), "interface endpoint"),
        ],
    )
    def test_what_it_does_not_take_has_its_cure(
        self, fault: TableFault, error: AwsError, says: str
    ) -> None:
        finding = judge_table(TableTrouble(fault, "PutItem", error), "reports")
        assert finding.status is Status.FAILED
        assert finding.found == f"reports, PutItem: {error}"
        assert says in finding.cure

    def test_throttled_is_a_warning(self) -> None:
        slow = AwsError("ThrottlingException", "m", ErrorKind.THROTTLED)
        trouble = TableTrouble(TableFault.OTHER, "PutItem", slow)
        assert judge_table(trouble, "reports").status is Status.WARNING


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_of_aws_error_has_advice(kind: ErrorKind) -> None:
    assert all(advice(AwsError("C", "m", kind), "s3:Get"))


def test_a_denial_s_advice_is_the_permission() -> None:
    told = advice(DENIED, "dynamodb:GetItem")
    assert "dynamodb:GetItem" in told.cause
    assert "dynamodb:GetItem" in told.cure
