"""`make local` and `make invoke` where something is in the way: a second stack, a closed terminal, a taken port."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.local.forked import run, stack_up

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a stack that is up; 127.0.0.2 stands for the address of Docker's bridge."""
    place = tmp_path_factory.mktemp("up")
    with stack_up(place, "--listen", "127.0.0.2"):
        yield place


def answer(printed: str) -> dict[str, Any]:
    """What the function returned, or its error; the log stands before it."""
    returned: dict[str, Any] = json.loads(f"\n{printed}"[printed.rindex("\n{\n") + 1 :])
    return returned


def event(name: str) -> str:
    return str(Path(__file__).parents[2] / "events" / name)


def read(place: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place / "build" / "local" / name).read_text())
    return found


def left_in(place: Path) -> list[str]:
    return sorted(p.name for p in (place / "build" / "local").iterdir() if p.name != "lock")


def test_a_second_stack_of_a_folder_says_so_and_takes_nothing_from_the_first(up: Path) -> None:
    before = left_in(up)
    code, printed = run(up, "local.up")
    assert code == 1
    assert "a stack of this folder is up already" in printed
    assert left_in(up) == before == ["container.json", "function.json", "samconfig.toml"]


def test_an_event_runs_the_function_that_it_is_for_or_the_one_that_is_named(up: Path) -> None:
    code, printed = run(up, "local.run", event("schedule.json"))
    returned = answer(printed)
    assert (code, returned["listed"], returned["terminated"]) == (0, 2, 2)
    _, printed = run(up, "local.run", event("housekeeping.json"))
    assert answer(printed)["images_deregistered"] == 1
    named = ("--function", "HousekeepingFunction")
    _, printed = run(up, "local.run", event("dry-run.json"), *named)
    assert answer(printed)["dry_run"] is True


@pytest.mark.parametrize(
    ("number", "terminal"),
    [
        (signal.SIGHUP, True),
        (signal.SIGHUP, False),
        (signal.SIGTERM, True),
        (signal.SIGINT, True),
    ],
)
def test_a_stack_that_is_told_to_end_leaves_no_file(
    tmp_path: Path, number: signal.Signals, terminal: bool
) -> None:
    with stack_up(tmp_path, terminal=terminal) as stack:
        stack.send(number)
        assert stack.code() == 0, stack.output
    assert left_in(tmp_path) == []


def test_files_of_a_killed_stack_are_not_taken_for_a_stack_and_the_next_one_starts(
    tmp_path: Path,
) -> None:
    with stack_up(tmp_path) as stack:
        stack.send(signal.SIGKILL)
        stack.code()
    assert "function.json" in left_in(tmp_path)
    code, printed = run(tmp_path, "local.run", event("schedule.json"))
    assert (code, "no stack is up" in printed) == (1, True)
    (tmp_path / "build" / "local" / "function.json").unlink()
    with stack_up(tmp_path):
        assert read(tmp_path, "function.json")


def test_what_it_cannot_listen_on_is_one_line_and_no_hang(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for option in ("--aws-port", "--backend-port"):
            found = run(tmp_path, "local.up", option, str(port))
            assert found == (1, f"port {port} cannot be used: Address already in use\n")
            assert left_in(tmp_path) == []
    code, printed = run(tmp_path, "local.up", "--listen", "192.0.2.1")
    assert code == 1
    assert re.fullmatch(r"cannot listen on 192\.0\.2\.1, ports \d+ and \d+\n", printed)


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


def test_a_run_that_fails_shows_its_log_and_the_error(up: Path) -> None:
    (up / "wrong.json").write_text('{"agent_id": "another"}')
    code, printed = run(up, "local.run", "wrong.json")
    assert (code, answer(printed)["errorType"]) == (1, "EventError")
    logged = [json.loads(line) for line in printed.splitlines() if line.startswith('{"')]
    assert [line["level"] for line in logged] == ["ERROR"]


def test_an_event_file_that_is_no_json_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    code, printed = run(tmp_path, "local.run", "broken.json")
    assert (code, "broken.json" in printed) == (2, True)
