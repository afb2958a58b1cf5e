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
    assert len(re.findall(r"\bholds\b", done.stdout)) == 6
    printed = set(map(_without_what_differs, done.stdout.splitlines()))
    (told,) = re.findall(r"```\n(▸.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = [_without_what_differs(line) for line in told.splitlines()]
    assert len(lines) > 5
    assert set(lines) <= printed, "the README shows what is printed"


def _without_what_differs(line: str) -> str:
    """Columns are as wide as what stands in them, and a second may have passed."""
    return re.sub(r"\d+ s\b", "0 s", " ".join(line.split()))
