"""`make sam-local`, for real: each sample event in Lambda's container, beside a local stack.

Skipped, with the reason, where containers cannot be run; with `REQUIRE_SAM_LOCAL=1` that fails.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.events import EVENTS, HOUSEKEEPING, TERMINATION, files, functions_for
from local.sam.engine import running_engine, why_no_own_engine

ROOT = Path(__file__).parents[2]
RUNNING = {"primary": "running", "zombie 1": "running", "zombie 2": "running"}
ENDED = {"primary": "running", "zombie 1": "terminated", "zombie 2": "terminated"}
BOTH = {"newest": "available", "old": "available"}
NEWEST = {"newest": "available", "old": "gone"}

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder with a short name: the engine's sockets lie in it, and their paths must not be long."""
    path = Path(tempfile.mkdtemp(prefix="sl-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def played(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """What came of each event and function, by their names."""
    need(why_not())
    done = subprocess.run(
        [sys.executable, "-m", "local.sam", "--records", str(folder / "records.json")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "src", "TMPDIR": str(folder), "COLUMNS": "150"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    records = json.loads((folder / "records.json").read_text())
    return {(record["event"], record["function"]): record for record in records}


def need(lacking: str | None) -> None:
    """Skip what cannot be tested here, or fail where it must be."""
    if lacking and os.environ.get("REQUIRE_SAM_LOCAL") == "1":
        pytest.fail(f"REQUIRE_SAM_LOCAL=1, but {lacking}")
    if lacking:
        pytest.skip(lacking)


def why_not() -> str | None:
    if platform.python_version_tuple()[:2] != ("3", "13"):
        return "the functions are built for Python 3.13, and there is none"
    return None if running_engine() else why_no_own_engine()


def test_every_event_was_played_for_each_function_that_it_is_for(
    played: dict[tuple[str, str], dict[str, Any]],
) -> None:
    meant = {(event.name, function) for event in files() for function in functions_for(event)}
    assert set(played) == meant


@pytest.mark.parametrize(
    "event",
    ["the job's own", "agent.json", "empty.json", "eventbridge-rule.json", "eventbridge-scheduler.json"],
)  # fmt: skip
def test_each_function_ends_what_it_should_and_nothing_else(
    played: dict[tuple[str, str], dict[str, Any]], event: str
) -> None:
    own = {TERMINATION: "schedule.json", HOUSEKEEPING: "housekeeping.json"}
    of_machines, of_images = (
        played[name if event == "the job's own" else event, function]
        for function, name in own.items()
    )
    assert (of_machines["before"], of_machines["after"]) == (RUNNING, ENDED)
    returned = of_machines["returned"]
    assert (returned["listed"], returned["terminated"], returned["dry_run"]) == (2, 2, False)
    assert (of_images["before"], of_images["after"]) == (BOTH, NEWEST)
    assert of_images["returned"]["images_deregistered"] == 1


def test_a_dry_run_changes_nothing_and_says_what_it_would_do(
    played: dict[tuple[str, str], dict[str, Any]],
) -> None:
    of_machines, of_images = (
        played["dry-run.json", function] for function in (TERMINATION, HOUSEKEEPING)
    )
    assert of_machines["after"] == of_machines["before"] == RUNNING
    assert (of_machines["returned"]["planned"], of_machines["returned"]["terminated"]) == (2, 0)
    assert of_images["after"] == of_images["before"] == BOTH
    assert of_images["returned"]["planned"] == 1


def test_the_doctor_finds_nothing_wrong_with_it_and_changes_nothing(
    played: dict[tuple[str, str], dict[str, Any]],
) -> None:
    record = played["doctor.json", TERMINATION]
    assert record["after"] == record["before"] == RUNNING
    assert record["returned"]["healthy"] is True, record["returned"]["text"]
    assert record["returned"]["checks"]


def test_the_shell_s_credentials_reach_no_container(
    played: dict[tuple[str, str], dict[str, Any]],
) -> None:
    """The printed commands are pasted into a shell that has some (session.paste)."""
    assert [record["credentials"] for record in played.values()] == [["local"]] * len(played)


def test_nothing_is_left_behind(
    played: dict[tuple[str, str], dict[str, Any]], folder: Path
) -> None:
    assert [path.name for path in folder.iterdir()] == ["records.json"]
    assert processes_that_name(folder) == []


SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
"""All of them by `make soak`: each costs half a minute."""
UNBUILT = """
from local.sam import __main__ as sam
sam.build = lambda: 0  # what was played before is built
raise SystemExit(sam.run("local.sam.session", []))
"""


@pytest.mark.parametrize("number", SIGNALS if os.environ.get("SOAK") == "1" else SIGNALS[:1])
def test_nothing_is_left_behind_by_one_that_is_told_to_end(
    number: signal.Signals, played: dict[tuple[str, str], dict[str, Any]]
) -> None:
    """Ctrl-C reaches every process of the terminal, the others this one alone."""
    with tempfile.TemporaryDirectory(prefix="sl-") as name:
        playing = subprocess.Popen(
            [sys.executable, "-c", UNBUILT],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": "src", "TMPDIR": name, "COLUMNS": "150"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert playing.stdout is not None
        told = ""
        while "schedule.json" not in told:  # the first container has come and gone
            line = playing.stdout.readline()
            assert line, told
            told += line
        if number == signal.SIGINT:
            os.killpg(playing.pid, number)
        else:
            playing.send_signal(number)
        told += playing.communicate(timeout=60)[0]
        assert playing.returncode == 128 + number, told
        assert processes_that_name(Path(name)) == []
        assert list(Path(name).iterdir()) == []
    assert list(Path("/sys/fs/cgroup").rglob("spot-sam-local-*")) == []


def processes_that_name(folder: Path) -> list[str]:
    """Command lines of processes of this machine that name the folder, but this one's own."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it has ended meanwhile
            continue
        if str(folder) in told and int(process.name) != os.getpid():
            found.append(told)
    return found


def test_the_readme_has_a_row_for_each_event_that_names_its_functions() -> None:
    text = (EVENTS / "README.md").read_text()
    rows = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `")}
    assert set(rows) == {event.name for event in files()}
    for event in files():
        named = {
            function for function in (TERMINATION, HOUSEKEEPING) if function in rows[event.name]
        }
        assert named == set(functions_for(event)), event.name
