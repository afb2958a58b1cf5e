"""`make doctor`: the doctor examines the stack that `make local` started, or one of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from handler.termination import lambda_handler
from local.invoke import invoke
from local.stack import run_stack
from local.state import running_variables

EVENT = Path(__file__).parent.parent / "events" / "doctor.json"


@contextmanager
def environment() -> Iterator[Mapping[str, str]]:
    """The function's environment on the stack that is up; else on one for as long as it takes."""
    running = running_variables()
    if running is not None:
        print("examining the stack that `make local` started")
        yield running
        return
    print("no stack is up: starting one with two zombies on it")
    with run_stack() as stack:
        stack.operator.add_zombies(stack.agent_id, stack.launch("a", count=2), age_seconds=400)
        yield stack.environment()


def main() -> int:
    """Invoke the doctor and show what it says; 1 if something is to be mended."""
    with environment() as variables:
        event: dict[str, Any] = json.loads(EVENT.read_text())
        told = invoke(lambda_handler, variables, event).returned
    print(told["text"])
    return 0 if told["healthy"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
