"""A whole examination: all well, nothing changed, everything wrong at once, AWS out of reach."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient

from handler.termination import lambda_handler
from local.invoke import invoke
from local.stack import MANAGED, TABLE
from tests.integration.certificates import Authority
from tests.integration.doctor.clinic import (
    AFTER_THE_LIST,
    BEHIND_THE_TOKEN,
    CHECKS,
    Clinic,
    deaf,
    mute,
    unused,
)
from tests.integration.scripted import LIST, ScriptedBackend
from tools.ec2_emulator import Emulator

_NUMBERS = itertools.count()


def test_a_healthy_stack_is_all_ok(clinic: Clinic) -> None:
    told = clinic.examine()
    assert told.of("ok") == set(CHECKS), told.invocation.returned["text"]
    assert told.invocation.returned["healthy"] is True
    assert "would be terminated" in told.checks["marked_instances"]["found"]
    assert told.checks["schedule"]["found"].endswith("is enabled: rate(1 minute)")
    (line,) = [line for line in told.invocation.lines if line["message"] == "doctor"]
    assert (line["healthy"], line["failed"]) == (True, [])


def test_an_examination_changes_nothing(clinic: Clinic) -> None:
    zombie = clinic.zombie()
    items = clinic.stack.aws("dynamodb").scan(TableName=TABLE)["Items"]
    clinic.examine()
    assert clinic.stack.state(zombie) == "running"
    assert clinic.stack.operator.events(clinic.stack.agent_id) == []
    assert clinic.stack.aws("dynamodb").scan(TableName=TABLE)["Items"] == items
    (row,) = [
        r for r in clinic.stack.operator.instances(clinic.stack.agent_id) if r["id"] == zombie
    ]
    assert row["termination_attempted_at"] is None


READS = {
    "GetParameter",
    "DescribeInstances",
    "GetItem",
    "GetSchedule",
    "GetMetricData",
    "DescribeSpotInstanceRequests",
}


def test_every_call_reads_or_cannot_have_an_effect(
    clinic: Clinic, aws: Emulator, scripted: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, dict[str, Any]]] = []
    real = BaseClient._make_api_call  # type: ignore[attr-defined] # all operations pass here

    def record(client: BaseClient, operation: str, given: dict[str, Any]) -> Any:
        calls.append((operation, given))
        return real(client, operation, given)

    one = aws.fleet.launch(tags=MANAGED, spot="persistent")
    scripted.mark(one)
    clinic.give(scripted.token)
    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", record)
        told = clinic.examine(SERVER_URL=scripted.url, AWS_ENDPOINT_URL_EC2=aws.url)
    assert told.of("ok") == set(CHECKS), told.invocation.returned["text"]
    assert {call for call, _ in scripted.seen} == {LIST}
    tried = {operation: given for operation, given in calls if operation not in READS}
    dry, never = (
        {"TerminateInstances", "CancelSpotInstanceRequests"},
        {"PutItem", "UpdateItem", "DeleteItem"},
    )
    assert set(tried) == dry | never
    assert all(tried[operation]["DryRun"] is True for operation in dry)
    impossible = "attribute_exists(#id) AND attribute_not_exists(#id)"
    assert all(tried[operation]["ConditionExpression"] == impossible for operation in never)


def test_it_foresees_what_a_dry_run_does(clinic: Clinic) -> None:
    """The same guards, told before and counted after."""
    clinic.zombie(DoNotTerminate="")
    clinic.zombie(ManagedBy="Terraform")
    elsewhere = f"i-{next(_NUMBERS):017x}"
    clinic.stack.operator.add_zombies(
        clinic.stack.agent_id, [elsewhere], az="eu-west-1a", age_seconds=400
    )
    told = clinic.examine().checks["marked_instances"]
    dry = invoke(
        lambda_handler,
        clinic.stack.environment(DRY_RUN="true", REQUESTS_CA_BUNDLE=str(clinic.bundle)),
    ).returned
    assert dry["listed"] > 3
    assert f"of {dry['listed']} listed" in told["found"]
    assert f"{dry['planned']} would be terminated" in told["found"]
    assert told["found"].count("would be refused") == dry["refused"] == 1
    assert told["found"].count("would be ignored") == dry["ignored"] == 2
    assert "eu-west-1a is not in us-east-1" in told["found"]
    assert told["status"] == "warning"


def test_everything_wrong_at_once_is_told_at_once(clinic: Clinic, aws: Emulator) -> None:
    aws.policy.denied_actions |= {"ec2:DescribeInstances", "dynamodb:PutItem"}
    told = clinic.examine(
        SERVER_URL="https://backend.invalid",
        AUTO_TERMINATE_ENABLED="false",
        AWS_ENDPOINT_URL_EC2=aws.url,
        AWS_ENDPOINT_URL_DYNAMODB=aws.url,
        SCHEDULE_NAME="not/there",
    )
    assert told.of("failed") == {
        "backend_reachable",
        "auto_terminate_function",
        "ec2_describe",
        "idempotency_table",
        "schedule",
    }


def test_a_bundle_that_shuts_out_aws(clinic: Clinic, tmp_path: Path) -> None:
    """AWS's SDK takes REQUESTS_CA_BUNDLE for its own: one's own CA alone is not enough."""
    with ScriptedBackend("", tls=Authority(tmp_path).server("127.0.0.1")) as elsewhere:
        clinic.examine(AWS_ENDPOINT_URL_SCHEDULER=elsewhere.url).only(
            "schedule",
            "certificate verify failed",
            "REQUESTS_CA_BUNDLE holds for AWS's SDK as well",
            skipped=set(),
        )


@pytest.mark.parametrize(
    ("service", "check", "skipped"),
    [
        ("SSM", "token", BEHIND_THE_TOKEN | AFTER_THE_LIST),
        ("EC2", "ec2_describe", {"ec2_terminate", "ec2_spot_requests", "marked_instances"}),
    ],
)
def test_an_endpoint_that_is_no_address(
    clinic: Clinic, service: str, check: str, skipped: set[str]
) -> None:
    """The SDK raises a ValueError: one check's, not the end of the examination."""
    broken: Any = {f"AWS_ENDPOINT_URL_{service}": "nonsense"}
    clinic.examine(**broken).only(
        check, "Invalid endpoint", "address that it is given", skipped=skipped
    )


@pytest.mark.parametrize(
    ("peer", "code", "cause"),
    [
        (deaf, "ConnectTimeoutError", "in a VPC there is most often no way to it"),
        (mute, "ReadTimeoutError", "was reached, and does not answer in time"),
        (unused, "EndpointConnectionError", "nothing listens there"),
    ],
)
def test_an_aws_that_does_not_answer_is_told_by_how_far_a_call_gets(
    clinic: Clinic,
    peer: Callable[[], AbstractContextManager[str]],
    code: str,
    cause: str,
) -> None:
    with peer() as address:
        told = clinic.examine(AWS_ENDPOINT_URL_EC2=f"http://{address}")
    skipped = {"ec2_terminate", "ec2_spot_requests", "marked_instances"}
    told.only("ec2_describe", code, cause, skipped=skipped)


def test_under_sam_local_nobody_misses_schedule_and_metrics(clinic: Clinic) -> None:
    told = clinic.examine(AWS_SAM_LOCAL="true", SCHEDULE_NAME="not/there")
    assert told.of("failed") == told.of("warning") == set()
    assert told.of("skipped") == {"schedule", "last_run", "last_hour"}
    assert all("`sam local`" in told.checks[name]["found"] for name in told.of("skipped"))
