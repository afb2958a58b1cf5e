"""The table of the backend's faults, which has its own tests, as a part of the full run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration import test_backend_faults
from tests.reliability import table
from tests.reliability.table import Record

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(
    not table.SOAK, reason="its tests run beside these anyway; SOAK=1 tells of them"
)
def test_every_fault_of_the_backends_table_ends_as_it_says(record_property: Record) -> None:
    file = test_backend_faults.__file__
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", file],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4_000:]
    result = (
        "of the list: the run fails, says why, ends nothing; "
        "of a report: unreported; the next calm run finishes it"
    )
    for trouble in test_backend_faults.FAULTS:
        table.add(record_property, "backend", f"any call: {trouble.name}", 2, result)
