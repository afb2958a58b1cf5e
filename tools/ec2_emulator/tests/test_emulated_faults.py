"""Each fault as botocore sees it, and whether the effect happened all the same."""

import time

import pytest
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from tools.ec2_emulator import Emulator, ManualClock, faults
from tools.ec2_emulator.tests.sides import Clients


@pytest.fixture(scope="module")
def hasty(server: Emulator) -> Clients:
    """A client that does not wait."""
    return Clients(server.url, Config(retries={"total_max_attempts": 1}, read_timeout=0.2))


@pytest.fixture(scope="module")
def retrying(server: Emulator) -> Clients:
    return Clients(server.url, Config(retries={"total_max_attempts": 3, "mode": "standard"}))


def test_an_error_takes_the_place_of_the_call(emulator: Emulator, aws: Clients) -> None:
    instance_id = emulator.fleet.launch()
    emulator.faults.add("TerminateInstances", faults.error("IncorrectState", "Not now."))
    with pytest.raises(ClientError, match=r"\(IncorrectState\).*Not now\."):
        aws.ec2.terminate_instances(InstanceIds=[instance_id])
    assert emulator.fleet.live == [instance_id]
    aws.ec2.terminate_instances(InstanceIds=[instance_id])
    assert [call.outcome for call in emulator.calls] == ["IncorrectState", "ok"]


def test_an_error_can_come_after_the_effect(emulator: Emulator, aws: Clients) -> None:
    instance_id = emulator.fleet.launch()
    emulator.faults.add("TerminateInstances", faults.server_error(after_effect=True))
    with pytest.raises(ClientError, match="InternalError"):
        aws.ec2.terminate_instances(InstanceIds=[instance_id])
    assert emulator.fleet.live == []
    assert emulator.calls[0].effect


@pytest.mark.parametrize(
    ("fault", "status"),
    [(faults.throttled(), 503), (faults.server_error(), 500), (faults.server_error(503), 503)],
)
def test_a_fault_has_its_http_status(
    emulator: Emulator, aws: Clients, fault: faults.Fault, status: int
) -> None:
    emulator.faults.add("DescribeInstances", fault)
    with pytest.raises(ClientError) as caught:
        aws.ec2.describe_instances()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_botocore_retries_what_passes(emulator: Emulator, retrying: Clients) -> None:
    emulator.faults.add("DescribeInstances", faults.throttled())
    retrying.ec2.describe_instances()
    assert [call.outcome for call in emulator.calls] == ["RequestLimitExceeded", "ok"]


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_connection_drops_before_or_after_the_effect(
    emulator: Emulator, aws: Clients, after_effect: bool
) -> None:
    instance_id = emulator.fleet.launch()
    emulator.faults.add("TerminateInstances", faults.dropped(after_effect=after_effect))
    with pytest.raises(ConnectionClosedError):
        aws.ec2.terminate_instances(InstanceIds=[instance_id])
    assert emulator.fleet.live == ([] if after_effect else [instance_id])
    assert (emulator.calls[0].outcome, emulator.calls[0].effect) == ("dropped", after_effect)


def await_silence(emulator: Emulator) -> None:
    """The client may give up before a busy machine's server has come to its call."""
    limit = time.monotonic() + 10
    while not emulator.calls.count("TerminateInstances", "silent"):
        assert time.monotonic() < limit
        time.sleep(0.01)


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_silent_server_lets_the_client_time_out(
    emulator: Emulator, hasty: Clients, after_effect: bool
) -> None:
    instance_id = emulator.fleet.launch()
    emulator.faults.add("TerminateInstances", faults.silent(after_effect=after_effect))
    with pytest.raises(ReadTimeoutError):
        hasty.ec2.terminate_instances(InstanceIds=[instance_id])
    await_silence(emulator)
    assert emulator.fleet.live == ([] if after_effect else [instance_id])


def test_a_reset_wakes_what_is_silent_and_keeps_the_old_world_apart(
    emulator: Emulator, hasty: Clients, aws: Clients, clock: ManualClock
) -> None:
    emulator.faults.add("TerminateInstances", faults.silent(600))
    with pytest.raises(ReadTimeoutError):
        hasty.ec2.terminate_instances(InstanceIds=[emulator.fleet.launch()])
    await_silence(emulator)
    emulator.reset(clock=clock)
    again = emulator.fleet.launch()
    assert len(aws.ec2.describe_instances()["Reservations"]) == 1
    assert emulator.fleet.live == [again]
    assert len(emulator.calls) == 1


def test_truncated_xml_cannot_be_parsed(emulator: Emulator, aws: Clients) -> None:
    emulator.fleet.launch()
    emulator.faults.add("DescribeInstances", faults.truncated())
    with pytest.raises(ResponseParserError):
        aws.ec2.describe_instances()


def test_a_body_can_break_off(emulator: Emulator, aws: Clients) -> None:
    instance_id = emulator.fleet.launch()
    emulator.faults.add("TerminateInstances", faults.cut())
    with pytest.raises(ResponseParserError):
        aws.ec2.terminate_instances(InstanceIds=[instance_id])
    assert emulator.fleet.live == []


def test_an_answer_can_be_a_proxys(emulator: Emulator, aws: Clients) -> None:
    emulator.faults.add("DescribeInstances", faults.raw(502, "<html>Bad Gateway<br></html>"))
    with pytest.raises(ClientError, match=r"\(502\).*Bad Gateway"):
        aws.ec2.describe_instances()


def test_a_foreign_page_with_200_is_read_as_an_empty_answer(
    emulator: Emulator, aws: Clients
) -> None:
    page = "<html><body>Sign in</body></html>"
    emulator.faults.add("DescribeInstances", faults.raw(200, page))
    emulator.faults.add("PutItem", faults.raw(200, "{}"))
    assert set(aws.ec2.describe_instances()) == {"ResponseMetadata"}
    put = aws.dynamodb.put_item(TableName="none", Item={"id": {"S": "a"}})
    assert set(put) == {"ResponseMetadata"}


def test_json_in_the_place_of_xml_cannot_be_parsed(emulator: Emulator, aws: Clients) -> None:
    emulator.faults.add("DescribeInstances", faults.raw(200, "{}"))
    with pytest.raises(ResponseParserError):
        aws.ec2.describe_instances()


@pytest.mark.parametrize("after", ["soon", "-1", "1e400", "Tue, 31 Feb 99999 00:00:00 GMT", ""])
def test_a_retry_after_can_be_odd(emulator: Emulator, aws: Clients, after: str) -> None:
    emulator.faults.add(
        "DescribeInstances",
        faults.raw(503, "<p>busy</p>", {"Retry-After": after, "Content-Type": "text/plain"}),
    )
    with pytest.raises(ClientError) as caught:
        aws.ec2.describe_instances()
    headers = caught.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert (headers["retry-after"], headers["content-type"]) == (after, "text/plain")


def test_a_later_page_can_fail(emulator: Emulator, aws: Clients) -> None:
    for _ in range(7):
        emulator.fleet.launch()
    emulator.faults.add(
        "DescribeInstances", faults.server_error(), when=faults.later_page, times=None
    )
    pages = iter(
        aws.ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5})
    )
    assert len(next(pages)["Reservations"]) == 5
    with pytest.raises(ClientError, match="InternalError"):
        next(pages)


def test_something_can_happen_between_two_calls(emulator: Emulator, aws: Clients) -> None:
    instance_id = emulator.fleet.launch()
    emulator.faults.add(
        "TerminateInstances", faults.meanwhile(lambda: emulator.fleet.forget(instance_id))
    )
    aws.ec2.describe_instances(InstanceIds=[instance_id])
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        aws.ec2.terminate_instances(InstanceIds=[instance_id])


def outcomes(emulator: Emulator, aws: Clients, calls: int) -> list[bool]:
    """For each of some calls whether it went well."""
    for _ in range(calls):
        try:
            aws.ec2.describe_instances()
        except ClientError:
            continue
    return [call.outcome == "ok" for call in emulator.calls][-calls:]


def test_a_rule_counts_the_calls_that_match_it(emulator: Emulator, aws: Clients) -> None:
    rule = emulator.faults.add("DescribeInstances", faults.throttled(), nth=2, times=2)
    aws.ec2.describe_spot_instance_requests()
    assert outcomes(emulator, aws, 4) == [True, False, False, True]
    assert rule.fired == 2


def test_a_rule_can_stand_for_a_service_or_for_all(emulator: Emulator, aws: Clients) -> None:
    emulator.faults.add("ec2:*", faults.throttled())
    emulator.faults.add("*", faults.error("ThrottlingException"))
    with pytest.raises(ClientError, match="ThrottlingException"):
        aws.ssm.get_parameter(Name="/token")
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        aws.ec2.describe_instances()


def test_chance_is_the_same_in_every_run(
    emulator: Emulator, aws: Clients, clock: ManualClock
) -> None:
    runs = []
    for seed in (1, 1, 2):
        emulator.reset(clock=clock)
        emulator.faults.add("*", faults.throttled(), probability=0.5, seed=seed, times=None)
        runs.append(outcomes(emulator, aws, 16))
    assert runs[0] == runs[1] != runs[2]
    assert True in runs[0]
    assert False in runs[0]


def test_latency_is_added_to_the_operations_that_have_it(emulator: Emulator, aws: Clients) -> None:
    emulator.latency["DescribeInstances"] = 0.2
    started = time.perf_counter()
    aws.ec2.describe_instances()
    assert time.perf_counter() - started >= 0.2
