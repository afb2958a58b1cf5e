"""This project's programs in processes of their own, forked from one that has imported them: that is most of their start."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(["local.up", "local.run"])


@dataclass
class Program:
    """One process, and the file that its output goes to, errors too."""

    process: ForkServerProcess
    written: Path

    @property
    def output(self) -> str:
        return self.written.read_text()

    def send(self, number: signal.Signals) -> None:
        assert self.process.pid
        os.kill(self.process.pid, number)

    def code(self) -> int:
        """What it ends with."""
        self.process.join(60)
        assert self.process.exitcode is not None, self.output
        return self.process.exitcode


@contextmanager
def started(place: Path, module: str, *arguments: str, terminal: bool = True) -> Iterator[Program]:
    """A program while the block runs.

    Args:
        place: stands for the project's folder, and is where it runs.
        module: its `main` is called.
        arguments: its command line.
        terminal: whether somebody takes what it prints.
    """
    written = place / f"output-{uuid.uuid4()}"
    process = FORKING.Process(target=_main, args=(place, module, arguments, written, terminal))
    process.start()
    try:
        yield Program(process, written)
    finally:
        process.kill()
        process.join()


def _main(
    place: Path, module: str, arguments: tuple[str, ...], written: Path, terminal: bool
) -> None:
    os.setsid()
    output = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    if not terminal:
        reader, output = os.pipe()
        os.close(reader)
    for number in (1, 2):
        os.dup2(output, number)
    os.chdir(place)
    os.environ["COLUMNS"] = "120"
    state: Any = importlib.import_module("local.state")
    state.FOLDER = place / "build" / "local"
    state.STATE, state.LOCK = state.FOLDER / "function.json", state.FOLDER / "lock"
    sys.argv = [module, *arguments]
    raise SystemExit(importlib.import_module(module).main())


@contextmanager
def stack_up(place: Path, *arguments: str, terminal: bool = True) -> Iterator[Program]:
    """A stack that others can use."""
    with started(place, "local.up", *arguments, terminal=terminal) as stack:
        while not (place / "build" / "local" / "function.json").exists():
            assert stack.process.is_alive(), stack.output
            time.sleep(0.02)
        yield stack


def run(place: Path, module: str, *arguments: str) -> tuple[int, str]:
    """A program's exit status and what it printed."""
    with started(place, module, *arguments) as program:
        code = program.code()
        assert "Traceback" not in program.output
        return code, program.output
