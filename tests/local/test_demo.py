"""The newcomer's first command, as it is run."""

import os
import re
import subprocess
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
