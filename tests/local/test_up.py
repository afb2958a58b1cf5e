"""`make local` and `make invoke` where something is in the way: a second stack, a closed terminal, a taken port."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("src", "local", "backend", "events")
ENVIRONMENT = {**os.environ, "PYTHONPATH": "src", "COLUMNS": "120"}

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The project with a build folder of its own: other tests start a local stack as well."""
    return project(tmp_path)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Such a project with a stack that is up; 127.0.0.2 stands for the address of Docker's bridge."""
    place = project(tmp_path_factory.mktemp("up"))
    with stack_up(place, "--listen", "127.0.0.2"):
        yield place


def project(folder: Path) -> Path:
    for name in NEEDED:
        (folder / name).symlink_to(ROOT / name)
    return folder


@contextmanager
def stack_up(place: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A stack that has said how it is used."""
    stack = subprocess.Popen(
        [sys.executable, "-m", "local.up", *more],
        cwd=place,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        state = place / "build" / "local" / "function.json"
        while not state.exists():
            assert stack.poll() is None, stack.communicate()
            time.sleep(0.05)
        yield stack
    finally:
        stack.kill()
        stack.wait()
        if stack.stdout is not None:
            stack.stdout.close()


def run(place: Path, module: str, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *more],
        cwd=place,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What the function returned, or its error; the log stands before it."""
    returned: dict[str, Any] = json.loads(f"\n{done.stdout}"[done.stdout.rindex("\n{\n") + 1 :])
    return returned


def read(place: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place / "build" / "local" / name).read_text())
    return found


def left_in(place: Path) -> list[str]:
    return sorted(p.name for p in (place / "build" / "local").iterdir() if p.name != "lock")


def test_a_second_stack_of_a_folder_says_so_and_takes_nothing_from_the_first(up: Path) -> None:
    before = left_in(up)
    second = run(up, "local.up")
    assert second.returncode == 1
    assert "a stack of this folder is up already" in second.stdout
    assert "Traceback" not in second.stderr
    assert left_in(up) == before == ["container.json", "function.json", "samconfig.toml"]


def test_the_schedule_s_event_ends_the_two_zombies(up: Path) -> None:
    done = run(up, "local.run", "events/schedule.json")
    assert done.returncode == 0, done.stdout + done.stderr
    returned = answer(done)
    assert (returned["listed"], returned["terminated"]) == (2, 2)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_stack_that_is_told_to_end_leaves_no_file(place: Path, number: signal.Signals) -> None:
    with stack_up(place) as stack:
        stack.send_signal(number)
        told, _ = stack.communicate(timeout=30)
        assert stack.returncode == 0, told
    assert left_in(place) == []


def test_a_stack_whose_terminal_is_gone_leaves_no_file(place: Path) -> None:
    with stack_up(place) as stack:
        assert stack.stdout is not None
        stack.stdout.close()
        stack.send_signal(signal.SIGHUP)
        assert stack.wait(30) == 0
    assert left_in(place) == []


def test_files_of_a_killed_stack_are_not_taken_for_a_stack_and_the_next_one_starts(
    place: Path,
) -> None:
    with stack_up(place) as stack:
        stack.kill()
        stack.wait()
    assert "function.json" in left_in(place)
    done = run(place, "local.run", "events/schedule.json")
    assert (done.returncode, "no stack is up" in done.stdout) == (1, True)
    (place / "build" / "local" / "function.json").unlink()
    with stack_up(place):
        assert read(place, "function.json")


@pytest.mark.parametrize("option", ["--aws-port", "--backend-port"])
def test_a_taken_port_is_one_line_and_no_hang(place: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(place, "local.up", option, str(port))
    assert done.returncode == 1
    assert done.stdout == f"port {port} cannot be used: Address already in use\n"
    assert "Traceback" not in done.stderr
    assert left_in(place) == []


def test_an_address_that_is_not_this_machine_s_is_one_line(place: Path) -> None:
    done = run(place, "local.up", "--listen", "192.0.2.1")
    assert done.returncode == 1
    assert re.fullmatch(r"cannot listen on 192\.0\.2\.1, ports \d+ and \d+\n", done.stdout)


def test_a_container_s_address_listens_beside_loopback_and_no_other_does(up: Path) -> None:
    port = int(read(up, "function.json")["Parameters"]["SERVER_URL"].rpartition(":")[2])
    for address in ("127.0.0.1", "127.0.0.2"):
        with socket.create_connection((address, port), timeout=10) as there:
            there.sendall(b"GET /operator/agents HTTP/1.0\r\n\r\n")
            assert there.recv(100).startswith(b"HTTP/1.1 200")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.3", port), timeout=10)


def test_the_container_s_variables_name_the_machine_as_a_container_sees_it(up: Path) -> None:
    own, container = read(up, "function.json")["Parameters"], read(up, "container.json")
    for name in ("SERVER_URL", "AWS_ENDPOINT_URL"):
        assert container[name] == own[name].replace("127.0.0.1", "host.docker.internal")
    assert {container[name] for name in container if "KEY" in name or "SESSION" in name} == {
        "local"
    }
    assert all(isinstance(value, str) for value in container.values())


def test_the_housekeeping_event_runs_the_housekeeping_function(up: Path) -> None:
    done = run(up, "local.run", "events/housekeeping.json")
    assert answer(done)["images_deregistered"] == 1
    other = run(up, "local.run", "events/dry-run.json", "--function", "HousekeepingFunction")
    assert answer(other)["dry_run"] is True


def test_a_run_that_fails_shows_its_log_and_the_error_and_no_traceback(up: Path) -> None:
    (up / "wrong.json").write_text('{"agent_id": "another"}')
    done = run(up, "local.run", "wrong.json")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert answer(done)["errorType"] == "EventError"
    logged = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"')]
    assert [line["level"] for line in logged] == ["ERROR"]


def test_an_event_file_that_is_no_json_is_one_line(place: Path) -> None:
    (place / "broken.json").write_text("{")
    done = run(place, "local.run", "broken.json")
    assert done.returncode == 2
    assert "broken.json" in done.stderr
    assert "Traceback" not in done.stderr
