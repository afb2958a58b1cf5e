"""`make doctor`: the doctor examines the stack that `make local` started, or one of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from handler.termination import lambda_handler
from local.invoke import invoke
from local.stack import run_stack
from local.state import running_variables

EVENT = Path(__file__).parent.parent / "events" / "doctor.json"
STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red", "skipped": "dim"}


@contextmanager
def environment(console: Console) -> Iterator[Mapping[str, str]]:
    """The function's environment on the stack that is up; else on one for as long as it takes."""
    running = running_variables()
    if running is not None:
        console.print("examining the stack that `make local` started")
        yield running
        return
    console.print("no stack is up: starting one with two zombies on it")
    with run_stack() as stack:
        stack.operator.add_zombies(stack.agent_id, stack.launch("a", count=2), age_seconds=400)
        yield stack.environment()


def show(console: Console, checks: Sequence[Mapping[str, str]]) -> None:
    """Every check as a row; what was found is printed as it is, whatever characters it holds."""
    table = Table("check", "status", "found", "cause and cure")
    for one in checks:
        style = STYLES[one["status"]]
        advice = Text()
        if one["cause"]:
            advice.append(one["cause"])
        if one["cure"]:
            advice.append("\n" if one["cause"] else "").append("cure: ", style="bold")
            advice.append(one["cure"])
        table.add_row(one["check"], Text(one["status"], style=style), Text(one["found"]), advice)
    console.print(table)


def main() -> int:
    """Invoke the doctor and show what it says; 1 if something is to be mended."""
    width = None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "140"))
    console = Console(width=width)
    with environment(console) as variables:
        event: dict[str, Any] = json.loads(EVENT.read_text())
        told = invoke(lambda_handler, variables, event).returned
    show(console, told["checks"])
    healthy = bool(told["healthy"])
    verdict = told["text"].partition("\n")[0]
    console.print(Text(verdict, style="bold green" if healthy else "bold red"))
    return 0 if healthy else 1


if __name__ == "__main__":
    raise SystemExit(main())
