"""Whose credentials SAM's containers are given, by the engine's own word."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from docker.errors import DockerException  # type: ignore[import-untyped] # it has no types

from local.sam.engine import client

EVERY = 0.2
"""Seconds; a container of `sam local invoke` lives for seconds."""
LABEL = "sam.cli.container.type=lambda"


@contextmanager
def watching() -> Iterator[set[str]]:
    """The access keys of all containers of SAM's that are seen while the block runs, known at its end."""
    seen: set[str] = set()
    done = threading.Event()
    thread = threading.Thread(target=_watch, args=(seen, done), daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join(10)


def _watch(seen: set[str], done: threading.Event) -> None:
    with contextlib.closing(client()) as engine:
        while True:
            last = done.is_set()
            with contextlib.suppress(DockerException):  # one that has ended meanwhile
                for container in engine.containers.list(filters={"label": LABEL}):
                    for variable in container.attrs["Config"]["Env"]:
                        name, _, value = variable.partition("=")
                        if name == "AWS_ACCESS_KEY_ID":
                            seen.add(value)
            if last:
                return
            done.wait(EVERY)
