"""The commands that `make local` prints for `sam local`: each works when it is pasted, as it is written."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from local.events import EVENTS, files, functions_for
from local.stack import CREDENTIALS

PORT = 3001
"""Of `sam local start-lambda`; SAM's own default."""
BUILD = "make sam-build"
SAM = ".venv/bin/sam"
"""`make setup` puts it on nobody's PATH."""


def safely() -> str:
    """What goes before `sam`: the shell's credentials and profile must get neither to SAM nor to the container."""
    dummies = " ".join(f"{name}={value}" for name, value in CREDENTIALS.items())
    return f"env -u AWS_PROFILE -u AWS_DEFAULT_PROFILE {dummies}"


def invocations(configuration: Path) -> list[str]:
    """`sam local invoke`, for each function and each event that is for it."""
    return [
        invocation(configuration, event, function)
        for event in files()
        for function in functions_for(event)
    ]


def invocation(configuration: Path, event: Path, function: str) -> str:
    """`sam local invoke`, for one function and event."""
    what = f"{function} --event {_shown(event)} --config-file {shlex.quote(str(configuration))}"
    return f"{safely()} \\\n    {SAM} local invoke {what}"


def service(configuration: Path) -> str:
    """`sam local start-lambda`: a Lambda service on this machine, for both functions."""
    where = f"--port {PORT} --config-file {shlex.quote(str(configuration))}"
    return f"{safely()} \\\n    {SAM} local start-lambda {where}"


def calls() -> list[str]:
    """A call of that service, for each function and each event that is for it."""
    at = f"http://127.0.0.1:{PORT}/2015-03-31/functions"
    return [
        f"curl -sS -d @{_shown(event)} {at}/{function}/invocations"
        for event in files()
        for function in functions_for(event)
    ]


def _shown(event: Path) -> str:
    return os.path.relpath(event, EVENTS.parent)
