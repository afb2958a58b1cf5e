"""Runs tests on a changed copy of the project, each time in a fresh process that has the libraries already."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from enum import StrEnum
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from tools.mutants.reach import Found, Lines, Reach
from tools.mutants.warm import Server

ROOT = Path(__file__).resolve().parents[2]
SOURCES = "src"
NOT_COPIED = shutil.ignore_patterns(".?*", "build")
ENVIRONMENT = {"CI": "true", "HYPOTHESIS_EXAMPLES": "25"}
"""The same examples each time, and few: the tests' own profiles read these (`tests/fakes/profile.py`)."""
LIBRARIES = [
    *("pytest", "hypothesis", "time_machine", "boto3", "requests", "aws_lambda_powertools"),
    *(
        "moto.server",
        "samtranslator.translator.translator",
        "fastapi",
        "uvicorn",
        "sqlalchemy",
        "pymysql",
    ),
]
"""Imported once, by the process that all others are forked from: most of what a small test takes."""

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(LIBRARIES)


class Verdict(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    TIMED_OUT = "killed by the time limit"
    SURVIVED = "survived"
    UNREACHED = "reached by no test"


class Copy:
    """A copy of the project, or of another copy and its bytecode, that one process at a time runs tests in."""

    def __init__(self, folder: Path, original: Path | None = None) -> None:
        self.folder = folder / "project"
        self._orders: Connection | None = None
        shutil.copytree(original or ROOT, self.folder, ignore=NOT_COPIED, symlinks=True)

    def reach(self, tests: Sequence[str], limit: float) -> Found:
        """What each of the tests runs, and its seconds; raises unless all of them pass as things are."""
        found = self.folder / "reach.json"
        if self._run([*tests, "--timeout", "0"], limit, found) != 0:
            log = (self.folder / "log").read_text()
            raise RuntimeError(f"the tests do not pass without any change:\n{log[-3000:]}")
        read = json.loads(found.read_text())
        return Found(
            {test: _sets(by_file) for test, by_file in read["lines"].items()},
            read["seconds"],
            _sets(read["imported"]),
        )

    def verdict(
        self, file: str, changed: str, tests: Sequence[str], limit: float, *, at_import: bool = True
    ) -> Verdict:
        """Whether any of the tests fails with the file so changed.

        What an import may run is tried in a process that imports it anew. All else takes effect in a fork of one
        that has collected the tests, if there is one (`serve`): most of what a mutant takes.
        """
        if not tests:
            return Verdict.UNREACHED
        path = self.folder / SOURCES / file
        original = path.read_text()
        path.write_text(changed)
        try:
            if at_import or self._orders is None:
                code = self._run([*tests, "--exitfirst"], limit)
            else:
                self._orders.send((path, list(tests), limit))
                code = self._orders.recv()
        finally:
            path.write_text(original)
        if code is None:
            return Verdict.TIMED_OUT
        return Verdict.SURVIVED if code == 0 else Verdict.KILLED

    def serve(self, tests: Sequence[str]) -> None:
        """Start the process that collects the tests once; it ends with this one."""
        ours, theirs = _forks.Pipe()
        arguments = [*tests, "--exitfirst", "--basetemp", str(self.folder.parent / "tmp")]
        _forks.Process(
            target=_pytest, args=(self.folder, arguments, None, theirs), daemon=True
        ).start()
        theirs.close()
        ours.recv()
        self._orders = ours

    def _run(self, arguments: list[str], limit: float, found: Path | None = None) -> int | None:
        """Pytest's exit code; None after so many seconds."""
        process = _forks.Process(target=_pytest, args=(self.folder, arguments, found))
        process.start()
        process.join(limit)
        if process.is_alive():
            process.kill()
            process.join()
            return None
        return process.exitcode


def _sets(by_file: Mapping[str, Sequence[int]]) -> Lines:
    return {file: set(ran) for file, ran in by_file.items()}


def _pytest(
    folder: Path, arguments: list[str], found: Path | None, orders: Connection | None = None
) -> None:
    """In the new process: nothing of the original project may be imported from here on."""
    os.chdir(folder)
    sys.dont_write_bytecode = found is None  # two changes in one second would share it
    os.environ |= ENVIRONMENT
    sys.path[:] = [
        str(folder),
        *(one for one in sys.path if one and Path(one) not in (ROOT, ROOT / SOURCES)),
    ]
    reach = Reach(f"{folder / SOURCES}{os.sep}")
    with (folder / "log").open("w") as log, redirect_stdout(log), redirect_stderr(log):
        plugins: list[object] = [reach] if found else [Server(orders)] if orders else []
        code = pytest.main(
            ["-q", "-p", "no:xdist", "-p", "no:randomly", *arguments], plugins=plugins
        )
    if found:
        found.write_text(
            json.dumps(
                {"lines": reach.lines, "seconds": reach.seconds, "imported": reach.imported},
                default=sorted,
            )
        )
    os._exit(int(code))  # threads that a mutant has left hanging must not hold the process
