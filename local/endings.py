"""A process that is told to end, or whose terminal is closed, ends as it does on Ctrl-C: all is cleaned up."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn


def end_tidily() -> None:
    """From now on SIGTERM and SIGHUP raise `SystemExit`, as Ctrl-C raises `KeyboardInterrupt`."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup's
            signal.signal(number, _end)


def _end(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
