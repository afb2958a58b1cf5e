"""The newcomer's first command, as it is run."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": "src", "COLUMNS": "120"}


@pytest.mark.timeout(120)
def test_every_check_of_the_demo_holds() -> None:
    done = subprocess.run(
        # The set-up is taken as done: made anew, it would pull the floor from under the other tests.
        ["make", "-o", ".venv/.ready", "-o", "setup", "demo"],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✗" not in done.stdout
    assert len(re.findall(r"\bholds\b", done.stdout)) >= 3


@pytest.mark.timeout(120)
def test_the_local_stack_runs_the_function_and_leaves_nothing_behind() -> None:
    state = ROOT / "build" / "local-env.json"
    stack = subprocess.Popen(
        [sys.executable, "-m", "local.up"],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not state.exists():
            assert stack.poll() is None, stack.communicate()
            time.sleep(0.1)
        done = subprocess.run(
            [sys.executable, "-m", "local.up", "--invoke", "events/schedule.json"],
            cwd=ROOT,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        stack.send_signal(signal.SIGINT)
    out, err = stack.communicate(timeout=30)
    assert stack.returncode == 0, err
    returned = json.loads(done.stdout[done.stdout.rindex("\n{") :])
    assert (returned["listed"], returned["terminated"]) == (2, 2)
    assert "export SERVER_URL=http://127.0.0.1:" in out
    assert not state.exists()
