"""The runbook's commands, and the migration guide's, that need no account: run on the local stack as they are written."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from handler.doctor.examination import CHECKS
from tests.support import runbook

ROOT = runbook.ROOT
COMMANDS = runbook.TEXT + (ROOT / "docs" / "migration.md").read_text()
LOCAL = [one for one in runbook.blocks(COMMANDS) if re.search(r"^curl ", one, re.MULTILINE)]
NEEDED = (
    "Makefile", "src", "local", "backend", "events", ".venv", "requirements-dev.txt",
    ".python-version",
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with a build folder of its own: other tests start a local stack as well."""
    place = tmp_path_factory.mktemp("project")
    for name in NEEDED:
        (place / name).symlink_to(ROOT / name)
    return place


@pytest.fixture(scope="module")
def environment(place: Path) -> Iterator[dict[str, str]]:
    """The variables that the runbook's commands name, on a stack that is up."""
    base = {**os.environ, "PYTHONPATH": "src", "COLUMNS": "120"}
    stack = subprocess.Popen(
        [sys.executable, "-m", "local.up"],
        cwd=place,
        env=base,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert stack.stdout is not None
    told = ""
    for line in stack.stdout:
        told += line
        if "Ctrl-C" in line:
            break
    given = dict(re.findall(r"export (\w+)=(\S+)", told))
    yield {**base, **given}
    stack.send_signal(signal.SIGINT)
    stack.communicate(timeout=30)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("commands", LOCAL, ids=lambda body: body.split("\n")[0][:60])
def test_a_local_command_works_as_it_is_written(
    commands: str, place: Path, environment: dict[str, str]
) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    _switch_on(environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout
    assert '"error"' not in done.stdout
    assert '"detail"' not in done.stdout


def _switch_on(environment: dict[str, str]) -> None:
    """What stops everything has stopped it for the tests that follow as well."""
    agent = f"{environment['SERVER_URL']}/operator/agents/{environment['AGENT_ID']}"
    requests.patch(agent, json={"auto_terminate_enabled": True}, timeout=10).raise_for_status()


def test_the_doctor_s_answer_is_as_the_runbook_says(
    place: Path, environment: dict[str, str]
) -> None:
    done = subprocess.run(
        ["make", "doctor"], cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "examining the stack that `make local` started" in done.stdout
    assert all(check.name in done.stdout for check in CHECKS)
    assert "healthy" in done.stdout


def test_there_are_such_commands() -> None:
    assert len(LOCAL) >= 8
