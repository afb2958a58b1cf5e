"""What a stack that is up leaves for others in `build/local/`: who uses it, and how it is reached.

One stack at a time uses the folder. It holds a lock that the kernel lets go of however the process ends, so
that files which a killed stack left behind are known as such.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "build" / "local"
STATE = FOLDER / "function.json"
"""The function's variables in this process' network: what `make invoke` and `make doctor` read."""
LOCK = FOLDER / "lock"


class StackError(Exception):
    """A stack cannot be started, or is not up; the message says what to do."""


@contextmanager
def hold_folder() -> Iterator[Path]:
    """Use the folder while the block runs; what is in it then goes.

    Raises:
        StackError: another stack uses it.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(
                f"a stack of this folder is up already: use it (its variables: {STATE}), or end it with Ctrl-C"
            ) from None
        _empty()
        try:
            yield FOLDER
        finally:
            _empty()


def write(name: str, text: str) -> Path:
    """A file in the folder; whoever looks for it sees all of it, or none."""
    unfinished = FOLDER / f"{name}.unfinished"
    unfinished.write_text(text)
    return unfinished.replace(FOLDER / name)


def running_variables() -> Mapping[str, str] | None:
    """The function's variables for the stack that is up; `None` if none is."""
    with contextlib.suppress(OSError), LOCK.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            variables: dict[str, str] = json.loads(STATE.read_text())["Parameters"]
            return variables
    return None


def _empty() -> None:
    for path in FOLDER.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path != LOCK:
            path.unlink(missing_ok=True)
