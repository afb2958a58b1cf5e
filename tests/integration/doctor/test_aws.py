"""Faults of permissions, table and schedule."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import parse_qs

import pytest

from local.stack import MANAGED, TABLE
from tests.integration.doctor.clinic import (
    CHECKS,
    Clinic,
    Stub,
    Told,
)
from tools.ec2_emulator import Emulator


class TestEc2:
    def test_the_emulated_stack_is_healthy_too(self, emulated: Callable[..., Told]) -> None:
        assert emulated().of("ok") == set(CHECKS)

    def test_describe_spot_requests_denied(
        self, emulated: Callable[..., Told], aws: Emulator
    ) -> None:
        """A run leaves instances from Spot requests alone then."""
        aws.fleet.launch(tags=MANAGED, spot="persistent")
        aws.policy.denied_actions.add("ec2:DescribeSpotInstanceRequests")
        emulated().only(
            "ec2_spot_requests",
            "UnauthorizedOperation",
            "lacks ec2:DescribeSpotInstanceRequests",
            skipped=set(),
        )

    def test_cancel_spot_requests_denied(
        self, emulated: Callable[..., Told], aws: Emulator
    ) -> None:
        aws.fleet.launch(tags=MANAGED, spot="persistent")
        aws.policy.encoded_messages = False
        aws.policy.denied_actions.add("ec2:CancelSpotInstanceRequests")
        emulated().only(
            "ec2_spot_requests",
            "EC2's DryRun would not cancel sir-",
            "is not authorized to perform: ec2:CancelSpotInstanceRequests",
            skipped=set(),
        )

    def test_a_request_that_would_launch_nothing_needs_no_cancelling(
        self, emulated: Callable[..., Told], aws: Emulator
    ) -> None:
        aws.fleet.launch(tags=MANAGED, spot="one-time")
        aws.policy.denied_actions.add("ec2:CancelSpotInstanceRequests")
        told = emulated()
        assert told.of("ok") == set(CHECKS)
        assert "none of 1 Spot requests" in told.checks["ec2_spot_requests"]["found"]

    def test_terminate_instances_denied_with_the_decoded_reason(
        self, emulated: Callable[..., Told], aws: Emulator
    ) -> None:
        aws.policy.denied_actions.add("ec2:TerminateInstances")
        decoded = {
            "allowed": False,
            "explicitDeny": False,
            "matchedStatements": {"items": []},
            "context": {
                "principal": {"arn": "arn:aws:sts::123456789012:assumed-role/termination/run"},
                "action": "ec2:TerminateInstances",
                "resource": "arn:aws:ec2:us-east-1:123456789012:instance/i-1",
                "conditions": {"items": []},
            },
        }
        asked: list[str] = []

        def answer(body: str) -> tuple[int, str]:
            asked.extend(parse_qs(body)["EncodedMessage"])
            return 200, (
                '<DecodeAuthorizationMessageResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
                "<DecodeAuthorizationMessageResult><DecodedMessage><![CDATA["
                f"{json.dumps(decoded)}]]></DecodedMessage></DecodeAuthorizationMessageResult>"
                "</DecodeAuthorizationMessageResponse>"
            )

        with Stub(answer) as sts:
            told = emulated(sts.url)
        told.only(
            "ec2_terminate",
            "UnauthorizedOperation",
            "no policy of arn:aws:sts::123456789012:assumed-role/termination/run allows "
            "ec2:TerminateInstances on arn:aws:ec2:us-east-1:123456789012:instance/i-1",
            skipped=set(),
        )
        assert len(asked[0]) == 128, "the coded message, and nothing around it"

    def test_terminate_instances_denied_and_the_reason_not_to_be_decoded(
        self, emulated: Callable[..., Told], aws: Emulator
    ) -> None:
        aws.policy.required_tags["ManagedBy"] = "Somebody"
        refusal = (
            '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender'
            "</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
        )
        with Stub(lambda _: (403, refusal)) as sts:
            emulated(sts.url).only(
                "ec2_terminate",
                "UnauthorizedOperation",
                "sts:DecodeAuthorizationMessage did not work: AccessDenied",
                skipped=set(),
            )

    def test_without_an_instance_to_try_on_it_is_skipped(self, clinic: Clinic) -> None:
        told = clinic.examine(REQUIRED_TAGS="ManagedBy=Nobody")
        assert told.of("failed") == set()
        assert told.of("skipped") == {"ec2_terminate"}
        assert "no running instance bears ManagedBy=Nobody" in told.checks["ec2_terminate"]["found"]


class TestTheTable:
    def test_another_key(self, clinic: Clinic) -> None:
        name = f"odd-{clinic.function}"
        clinic.stack.aws("dynamodb").create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        clinic.examine(IDEMPOTENCY_TABLE=name).only(
            "idempotency_table",
            "ValidationException",
            "named id",
            skipped={"housekeeping_references"},
        )

    @pytest.mark.parametrize("action", ["GetItem", "PutItem", "UpdateItem", "DeleteItem"])
    def test_an_action_that_is_denied(self, clinic: Clinic, aws: Emulator, action: str) -> None:
        aws.policy.denied_actions.add(f"dynamodb:{action}")
        clinic.examine(AWS_ENDPOINT_URL_DYNAMODB=aws.url).only(
            "idempotency_table",
            f"{TABLE}, {action}: AccessDeniedException",
            f"lacks dynamodb:{action}",
            skipped={"housekeeping_references"},
        )
        assert aws.tables[TABLE].items == {}


class TestTheSchedule:
    def test_deleted(self, bare: Clinic) -> None:
        bare.zombie()
        bare.examine().only(
            "schedule",
            bare.schedule,
            "was deleted",
            skipped={"last_run"},
        )

    def test_a_slow_one_has_its_last_run_looked_for_further_back(self, bare: Clinic) -> None:
        bare.zombie()
        bare.make_schedule(rate="rate(1 hour)")
        bare.count_run(minutes_ago=100)
        told = bare.examine()
        assert told.of("ok") == set(CHECKS), told.invocation.returned["text"]
        assert "runs of the function in the last 3 hours" in told.checks["last_run"]["found"]

    def test_not_named(self, clinic: Clinic) -> None:
        told = clinic.examine(SCHEDULE_NAME=None)
        assert told.of("skipped") == {"schedule"}
        assert told.of("failed") == set()

    def test_not_to_be_seen(self, clinic: Clinic) -> None:
        def deny(_: str) -> tuple[int, str]:
            return 403, '{"__type": "AccessDeniedException", "Message": "no"}'

        with Stub(deny) as refusing:
            told = clinic.examine(AWS_ENDPOINT_URL_SCHEDULER=refusing.url)
        assert told.of("skipped") == {"schedule"}
        assert "AccessDeniedException" in told.checks["schedule"]["found"]
        assert "scheduler:GetSchedule" in told.checks["schedule"]["cure"]

    def test_no_run_in_the_last_five_minutes(self, bare: Clinic) -> None:
        bare.zombie()
        bare.make_schedule()
        bare.count_run(minutes_ago=12)
        bare.examine().only(
            "last_run",
            "last good run 1",
            "does not get through to the function",
            skipped=set(),
        )

    def test_runs_that_only_fail(self, bare: Clinic) -> None:
        bare.zombie()
        bare.make_schedule()
        bare.count_run(minutes_ago=2, error=True)
        bare.examine().only("last_run", "1 with an error", "end in an error", skipped=set())
