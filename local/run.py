"""`make invoke`: the real handler, in this process, on the stack that `make local` started."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from local.events import HANDLERS, TIMEOUTS, functions_for, read
from local.invoke import Invocation, invoke
from local.state import running_variables


def run(console: Console, event: Path, function: str, variables: Mapping[str, str]) -> int:
    """Invoke the handler; print its log, its metrics and its answer, or its error. 1 if it fails."""
    wrote = Invocation()
    error: Exception | None = None
    try:
        invoke(HANDLERS[function], variables, read(event), timeout=TIMEOUTS[function], into=wrote)
    except Exception as raised:  # noqa: BLE001 - whatever Lambda would show as the function's error
        error = raised
    for line in [*wrote.lines, *wrote.emf]:
        console.print(json.dumps(line), highlight=False, markup=False, soft_wrap=True)
    if error is not None:
        told = {"errorType": type(error).__name__, "errorMessage": str(error)}
        console.print_json(json.dumps(told))
        return 1
    console.print_json(json.dumps(wrote.returned))
    return 0


def main() -> int:
    """Parse the command line; 1 if there is no stack or the run fails, 2 if the event cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("event", type=Path, help="a file of events/, or one of your own")
    parser.add_argument(
        "--function", choices=sorted(HANDLERS), help="default: the one that the event is for"
    )
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "120")))
    try:
        read(arguments.event)
    except (OSError, ValueError) as error:
        parser.error(f"{arguments.event}: {error}")
    variables = running_variables()
    if variables is None:
        console.print("no stack is up: run `make local` in another terminal first")
        return 1
    function = arguments.function or functions_for(arguments.event)[0]
    return run(console, arguments.event, function, variables)


if __name__ == "__main__":
    raise SystemExit(main())
