"""Starts what is measured in a process of its own, and asks it for figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from benchmarks.settings import ROOT
from tests.support import built as artifact


@dataclass(frozen=True)
class Code:
    """What runs: a Python, and where it imports from.

    Args:
        python: the interpreter.
        path: folders to import from, this repository's own after them.
    """

    python: str
    path: Sequence[str]

    @classmethod
    def deployed(cls, built: artifact.Artifact) -> Self:
        """The artifact, on a Python that holds only what Lambda's image has."""
        path = [str(built.function()), str(built.layer / "python")]
        return cls(str(artifact.runtime_python()), path)

    @classmethod
    def sources(cls) -> Self:
        """The sources, with this environment's packages: no build is needed."""
        return cls(sys.executable, [str(ROOT / "src")])


@dataclass(frozen=True)
class Figures:
    """What one order cost.

    Attributes:
        walls: seconds, one for each time.
        cpus: seconds of cpu of the whole process, its threads included.
        returned: what the last one returned.
        peak: bytes of memory, the most since the process began.
        written: bytes on its standard output.
    """

    walls: list[float]
    cpus: list[float]
    returned: Any
    peak: int
    written: int


class Measured:
    """A process that does one thing as often as it is told, and says what it took."""

    def __init__(self, module: str, environment: Mapping[str, str], code: Code) -> None:
        read, write = os.pipe()
        self._module = module
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        path = os.pathsep.join([*code.path, str(ROOT)])
        self._process = subprocess.Popen(
            [code.python, "-m", "benchmarks.child", module, str(write)],
            env={**keep, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **environment},
            stdin=subprocess.PIPE,
            stdout=self._output,
            pass_fds=[write],
            text=True,
        )
        os.close(write)
        self._answers = os.fdopen(read)

    def __enter__(self) -> Self:
        try:
            self._answer()
        except ChildFailedError:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:  # it may be in the middle of something long
            self._process.kill()
        self._end()

    def _end(self) -> None:
        self._process.communicate()
        self._answers.close()
        self._output.close()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def do(self, times: int = 1, *, pause: float = 0.0) -> Figures:
        """Have it done so many times, with so many seconds of rest before each."""
        assert self._process.stdin is not None  # noqa: S101 - it was made with a pipe
        before = self._written()
        self._process.stdin.write(f"{times} {pause}\n")
        self._process.stdin.flush()
        return Figures(**self._answer(), written=self._written() - before)

    def output(self) -> str:
        """All that it has written."""
        return os.pread(self._output.fileno(), self._written(), 0).decode()

    def _written(self) -> int:
        return os.fstat(self._output.fileno()).st_size

    def _answer(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            raise ChildFailedError(f"{self._module} ended; its error is above")
        answer: dict[str, Any] = json.loads(line)
        return answer


class ChildFailedError(Exception):
    """The measured process ended before it answered."""
