"""Every sample event in Lambda's container, beside a stack of its own: what `make sam-local` runs.

It runs where the containers' network is. The first event of each function goes through `sam local invoke`, by
the command that `make local` prints; the others through `sam local start-lambda`, since its container stays.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from local.endings import end_tidily
from local.events import EVENTS, HOUSEKEEPING, TERMINATION, files, functions_for, read
from local.sam import commands
from local.sam import files as sam_files
from local.sam.credentials import watching
from local.sam.scene import Scene, States
from local.sam.service import Service, start_lambda
from local.stack import Stack, run_stack
from local.up import AGENT, reachable

PASTED = {TERMINATION: "schedule.json", HOUSEKEEPING: "housekeeping.json"}


@dataclass(frozen=True)
class Record:
    """One event and what came of it."""

    event: str
    function: str
    by: str
    credentials: list[str]
    returned: dict[str, Any]
    before: States
    after: States

    @property
    def failed(self) -> bool:
        """Whether the function raised: SAM itself ends well all the same."""
        return "errorType" in self.returned

    def what_changed(self) -> str:
        """Each machine and image whose state is another one now."""
        changed = [
            f"{name}: {self.before[name]} → {state}"
            for name, state in self.after.items()
            if state != self.before[name]
        ]
        return "\n".join(changed) or "nothing"

    def answer(self) -> str:
        """What was returned, in a few words."""
        if self.failed:
            return f"{self.returned.get('errorType')}: {self.returned.get('errorMessage')}"
        if "checks" in self.returned:
            return str(self.returned["text"].partition("\n")[0])
        plain = {k: v for k, v in self.returned.items() if isinstance(v, int) and v}
        return ", ".join(f"{name} {value}" for name, value in plain.items())


def play(stack: Stack, folder: Path) -> Iterator[Record]:
    """Invoke with each event in turn, each with something to do."""
    configuration = sam_files.write(folder, stack.environment())
    scene = Scene(stack)
    for function, name in PASTED.items():
        yield _one(
            scene, EVENTS / name, function, "invoke", lambda e, f: paste(configuration, e, f)
        )
    with ExitStack() as opened:
        services: dict[str, Service] = {}
        for function in PASTED:
            services[function] = opened.enter_context(start_lambda(function, configuration))
        for event in files():
            for function in functions_for(event):
                if event.name != PASTED[function]:
                    yield _one(
                        scene,
                        event,
                        function,
                        "start-lambda",
                        lambda e, f: services[f].invoke(read(e)),
                    )


def paste(configuration: Path, event: Path, function: str) -> dict[str, Any]:
    """Run the printed command in a shell whose credentials must not be used; what the function returned."""
    shell = {
        **sam_files.sam_environment(os.environ),
        "AWS_ACCESS_KEY_ID": "THE-SHELL-S",
        "AWS_SECRET_ACCESS_KEY": "THE-SHELL-S",
        "AWS_PROFILE": "the-shell-s",
        "TMPDIR": str(configuration.parent),  # where SAM leaves files of its own
    }
    done = subprocess.run(
        ["bash", "-c", commands.invocation(configuration, event, function)],
        cwd=sam_files.ROOT,
        env=shell,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    try:
        returned: dict[str, Any] = json.loads(lines[-1])
    except (IndexError, ValueError):
        returned = {"errorType": "sam", "errorMessage": f"{done.stdout}{done.stderr}"[-2000:]}
    return returned


def _one(
    scene: Scene,
    event: Path,
    function: str,
    by: str,
    invoke: Callable[[Path, str], dict[str, Any]],
) -> Record:
    scene.prepare(function)
    before = scene.states(function)
    with watching() as credentials:
        returned = invoke(event, function)
    after = scene.states(function)
    return Record(event.name, function, by, sorted(credentials), returned, before, after)


def show(console: Console, records: list[Record]) -> None:
    """One row for each event and function."""
    table = Table("event", "function", "by", "returned", "what changed")
    for record in records:
        style = "red" if record.failed else None
        table.add_row(
            record.event,
            record.function,
            record.by,
            record.answer(),
            record.what_changed(),
            style=style,
        )
    console.print(table)


def main() -> int:
    """Play all; 1 if a function failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path, help="write what was seen to this file, as JSON")
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "150")))
    records: list[Record] = []
    end_tidily()
    with (
        tempfile.TemporaryDirectory(prefix="spot-sam-") as folder,
        run_stack(agent_id=AGENT) as stack,
        reachable(stack, None),
    ):
        began = time.monotonic()
        for record in play(stack, Path(folder)):
            console.print(
                f"[dim]{time.monotonic() - began:6.1f} s  {record.event} → {record.function}[/]"
            )
            records.append(record)
    show(console, records)
    if arguments.records:
        arguments.records.write_text(json.dumps([asdict(record) for record in records], indent=2))
    return 1 if any(record.failed for record in records) else 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
