"""What the proof has found, each as the smallest run that showed it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.reliability.gate import BackendFault
from tests.reliability.world import LAMBDA_SECONDS, MANAGED, World
from tools.ec2_emulator import faults
from tools.ec2_emulator.faults import Fault

FOREIGN = "i-0f0f0f0f0f0f0f0f0"


def marked(world: World, count: int = 1) -> list[str]:
    ids = [world.launch() for _ in range(count)]
    world.mark_zombies(*ids)
    return ids


@pytest.mark.parametrize("operation", ["DescribeInstances", "TerminateInstances"])
@pytest.mark.parametrize("fault", [faults.cut(), faults.truncated()], ids=["cut", "half"])
def test_half_an_answer_from_ec2_does_not_end_the_run(
    world: World, operation: str, fault: Fault
) -> None:
    ids = marked(world, 2)
    world.aws.faults.add(operation, fault)
    assert world.run().error is None
    world.calm(2)
    assert world.confirmed() == set(ids)


def test_half_an_answer_from_cloudtrail_is_asked_for_again(world: World) -> None:
    (ours,) = marked(world)
    world.mark_zombies(FOREIGN, theirs=True)
    world.set_quirks(foreign_zombies=True)
    world.aws.faults.add("LookupEvents", faults.cut())
    assert world.run(MISSING_INSTANCE_POLICY="verify").counts == {
        "listed": 2,
        "terminated": 1,
        "ignored": 1,
    }
    assert world.state(ours) == "terminated"


def test_other_tenants_zombies_do_not_keep_ours_from_being_terminated(world: World) -> None:
    world.set_quirks(foreign_zombies=True)
    world.mark_zombies(
        *(f"i-0f0f0f0f0f0f{number:05x}" for number in range(100)), theirs=True, age=500
    )
    (ours,) = marked(world)
    for _ in range(3):
        world.run(MISSING_INSTANCE_POLICY="verify")
        world.clock.advance(60)
    assert world.state(ours) == "terminated"


def test_other_tenants_zombies_do_not_keep_ours_from_being_proven(world: World) -> None:
    world.set_quirks(foreign_zombies=True)
    world.mark_zombies(
        *(f"i-0f0f0f0f0f0f{number:05x}" for number in range(100)), theirs=True, age=9_000
    )
    (ours,) = marked(world)
    world.aws.fleet.interrupt(ours)
    world.clock.advance(4_000)  # EC2 has forgotten it
    for _ in range(4):
        world.run(MISSING_INSTANCE_POLICY="verify")
        world.clock.advance(60)
    assert world.confirmed() == {ours}


def test_what_cloudtrail_does_not_know_is_not_asked_about_again_the_next_minute(
    world: World,
) -> None:
    world.set_quirks(foreign_zombies=True)
    world.mark_zombies(FOREIGN, theirs=True)
    world.run(MISSING_INSTANCE_POLICY="verify")
    world.clock.advance(60)
    assert world.run(MISSING_INSTANCE_POLICY="verify").asked("LookupEvents") == []


def test_an_instance_with_many_failed_attempts_is_still_known_to_have_lived_here(
    world: World,
) -> None:
    (ours,) = marked(world)
    for _ in range(51):
        world.aws.trail.called(
            "TerminateInstances", "ec2.amazonaws.com", [ours], "OperationNotPermitted"
        )
        world.clock.advance(PAUSE_BETWEEN_ATTEMPTS)
    world.aws.fleet.interrupt(ours)
    world.clock.advance(4_000)  # EC2 has forgotten it
    assert world.run(MISSING_INSTANCE_POLICY="verify").counts == {"listed": 1, "already_gone": 1}


PAUSE_BETWEEN_ATTEMPTS = 301


def test_nothing_is_terminated_whose_spot_request_ec2_did_not_cancel(world: World) -> None:
    world.aws.fleet.relaunch_seconds = 10
    one = world.launch(spot="persistent")
    world.mark_zombies(one)
    request = world.instances[one].spot_request_id or ""
    world.aws.quirks.odd_cancellations[request] = "active"
    assert "terminated" not in world.run().counts
    assert world.state(one) == "running"


@pytest.mark.parametrize("call", ["instances-to-terminate", "termination-report"])
def test_a_token_that_the_answer_repeats_is_not_logged(world: World, call: str) -> None:
    marked(world)
    world.gate.script.append(BackendFault(call, "echo"))  # type: ignore[arg-type]
    run = world.run()
    assert world.token not in json.dumps(run.wrote.lines)
    assert world.token not in str(run.error)


def test_a_token_that_the_answer_repeats_is_not_logged_in_part(world: World) -> None:
    world.gate.script.append(BackendFault("instances-to-terminate", "echo", padding=160))
    run = world.run()
    assert world.token[:20] not in json.dumps(run.wrote.lines)


def test_a_token_that_is_repeated_with_a_200_is_not_logged_either(world: World) -> None:
    marked(world)
    world.gate.script.append(BackendFault("termination-report", "echo", status=200))
    run = world.run()
    assert run.counts == {"listed": 1, "unreported": 1}
    assert world.token[:20] not in json.dumps(run.wrote.lines)


@pytest.mark.parametrize("policy", ["report_terminated", "verify"])
def test_a_replica_that_ec2_does_not_show_yet_is_not_reported_as_gone(
    world: World, policy: str
) -> None:
    world.aws.fleet.lag = 2  # a longer one is beyond what the function can know
    one = world.launch(launch_time=world.clock())
    world.mark_replicas(one, age=5)
    world.run(MISSING_INSTANCE_POLICY=policy)
    world.calm(2, MISSING_INSTANCE_POLICY=policy)
    assert world.state(one) == "terminated"


def test_no_record_is_written_for_reports_that_there_is_no_time_for(world: World) -> None:
    world.mark_zombies(*(f"i-0f0f0f0f0f0f{number:05x}" for number in range(200)))
    world.gate.script.append(BackendFault("termination-report", "slow", times=8, seconds=20))
    run = world.run()
    assert run.counts["unreported"] > 100
    over = LAMBDA_SECONDS - 2
    began = run.calls[0].at
    late = [
        call
        for operation in ("PutItem", "TransactWriteItems")
        for call in run.asked(operation)
        if call.at - began > over
    ]
    assert len(late) <= 2


def test_what_ended_before_it_was_marked_has_no_time_to_terminate(world: World) -> None:
    one = world.launch()
    world.aws.fleet.terminate(one)
    world.clock.advance(1_000)
    world.mark_zombies(one, age=400)
    run = world.run()
    assert run.counts == {"listed": 1, "terminated": 1}
    assert "TimeToTerminate" not in run.wrote.metrics


def test_a_run_with_a_slow_ec2_ends_before_lambda_kills_it(world: World) -> None:
    marked(world)
    first = Fault("dropped", action=lambda: world.clock.sleep(9))
    then = Fault("meanwhile", action=lambda: world.clock.sleep(9))
    lost = Fault("dropped", action=lambda: world.clock.sleep(9.5))
    world.aws.faults.add("DescribeInstances", first)
    world.aws.faults.add("DescribeInstances", then)
    world.aws.faults.add("TerminateInstances", lost, times=None)
    run = world.run()
    assert run.took < LAMBDA_SECONDS


def test_nothing_is_terminated_after_a_run_has_deferred_it(world: World) -> None:
    (one,) = marked(world)
    world.run(timeout=LAMBDA_SECONDS, DRY_RUN="true")  # what takes long the first time is over
    world.aws.faults.add("TerminateInstances", faults.silent(1.0))
    run = world.run(timeout=1.0)
    assert run.counts == {"listed": 1, "deferred": 1}
    world.set_auto_terminate(enabled=False)
    time.sleep(1.5)
    world.run()
    assert world.state(one) == "running"


def test_a_refused_zombie_is_no_peer_while_it_is_hidden(world: World) -> None:
    first, second = (world.launch(tags={**MANAGED, "LogicalAgentId": "workload"}) for _ in range(2))
    world.mark_zombies(first)
    world.aws.fleet.stop(second)
    assert world.run(REQUIRE_RUNNING_PEER="true").counts == {"listed": 1, "refused": 1}
    world.clock.advance(60)
    third = world.launch(tags={**MANAGED, "LogicalAgentId": "workload"})
    world.mark_zombies(third)
    assert world.run(REQUIRE_RUNNING_PEER="true").counts == {"listed": 1, "refused": 1}
    assert world.state(third) == "running"


def test_a_member_that_waits_in_a_hook_makes_its_group_smaller_once(world: World) -> None:
    member, _ = world.launch(asg="web"), world.launch(asg="web")
    world.aws.fleet.groups["web"].hook = True
    world.mark_replicas(member)
    assert world.run(ASG_MEMBERS="terminate_and_shrink").counts["terminated"] == 1
    world.set_quirks(confirmed_replicas_return=True)
    for _ in range(3):
        world.clock.advance(3700)
        assert world.run(ASG_MEMBERS="terminate_and_shrink").counts["listed"] == 1
    assert world.aws.fleet.groups["web"].desired == 1


# A server that says what the reference backend would not.


@contextmanager
def scripted(listing: bytes, respond: Callable[[socket.socket], None]) -> Iterator[str]:
    """Answers GET with these bytes, and lets `respond` answer everything else."""

    def serve(connection: socket.socket) -> None:
        with connection:
            request = connection.recv(65_536)
            while b"\r\n\r\n" not in request:
                request += connection.recv(65_536)
            try:
                if listing and request.startswith(b"GET"):
                    connection.sendall(listing)
                else:
                    respond(connection)
            except OSError:
                return

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def answer(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def test_a_redirect_to_nowhere_costs_one_report_and_not_the_run(world: World) -> None:
    one = world.launch()
    entry = {"instance_id": one, "reason": "zombie_timeout"}
    listing = json.dumps({"instances": [entry], "auto_terminate_enabled": True}).encode()
    moved = answer("302 Found", b"moved", "Location: http://[")
    with scripted(answer("200 OK", listing), lambda c: c.sendall(moved)) as url:
        run = world.run(SERVER_URL=url)
    assert run.counts == {"listed": 1, "unreported": 1}


def test_a_redirects_body_is_bounded_like_any_other(world: World) -> None:
    sent: list[int] = []
    chunk = b"10000\r\n" + bytes(65_536) + b"\r\n"

    def flood(connection: socket.socket) -> None:
        connection.sendall(
            b"HTTP/1.1 302 Found\r\nLocation: /x\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(1_600):  # 100 MiB
            connection.sendall(chunk)
            sent.append(len(chunk))
        connection.sendall(b"0\r\n\r\n")

    with scripted(b"", flood) as url:
        assert world.run(SERVER_URL=url).error is not None
    assert sum(sent) < 80 * 1024 * 1024
