"""One scene of the demo: machines by name, what is shown of them, and what is checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from handler.termination import lambda_handler
from local.invoke import invoke
from local.stack import Stack

Row = dict[str, Any]
STATES = {"running": "green", "terminated": "red", "shutting-down": "red"}


@dataclass
class Scene:
    """One scenario: its machines by name, and what was checked."""

    title: str
    stack: Stack
    console: Console
    machines: dict[str, str] = field(default_factory=dict)
    checks: list[tuple[str, bool]] = field(default_factory=list)

    def check(self, what: str, holds: bool) -> None:  # noqa: FBT001 - it reads as a sentence
        """Note whether it holds, and say so."""
        self.checks.append((what, holds))
        self.console.print(f"  {'[green]✓[/]' if holds else '[bold red]✗[/]'} {what}")

    def say(self, text: str) -> None:
        """Tell what the operator, or time, does."""
        self.console.print(f"[bold cyan]▸[/] {text}")

    def launch(self, name: str, zone: str) -> str:
        """Launch a machine, to be known by its name."""
        (instance_id,) = self.stack.launch(zone)
        self.machines[name] = instance_id
        return instance_id

    def run(self) -> Row:
        """Invoke the real handler, and show the world before and after."""
        listed = self.listed()
        before = {name: self.stack.state(one) for name, one in self.machines.items()}
        seen_events = len(self.stack.operator.events(self.stack.agent_id))
        invocation = invoke(lambda_handler, self.stack.environment())
        events = self.stack.operator.events(self.stack.agent_id)
        table = Table(
            "machine", "instance", "backend lists it", "EC2 before", "EC2 after", "outcome"
        )
        for name, instance_id in self.machines.items():
            entry = next((e for e in listed if e["instance_id"] == instance_id), None)
            outcomes = [
                line["outcome"]
                for line in invocation.lines
                if line.get("instance_id") == instance_id and "outcome" in line
            ]
            table.add_row(
                name,
                instance_id,
                f"{entry['reason']}, {self.waited(entry)} s" if entry else "no",
                self.coloured(before[name]),
                self.coloured(self.stack.state(instance_id)),
                ", ".join(outcomes) or "-",
            )
        self.console.print(table)
        for event in reversed(events[: len(events) - seen_events]):
            self.console.print(f"  reported: {event['event_type']} {event.get('instance_id', '')}")
        counts = {key: value for key, value in invocation.returned.items() if value}
        self.console.print(f"  the run returned: {counts}")
        return invocation.returned

    def listed(self) -> list[Row]:
        """What the backend tells the agent to terminate."""
        answer = requests.get(
            f"{self.stack.backend_url}/api/agents/{self.stack.agent_id}/instances-to-terminate",
            headers={"Authorization": f"Bearer {self.stack.client.token}"},
            timeout=10,
        )
        answer.raise_for_status()
        rows: list[Row] = answer.json()["instances"]
        return rows

    def state(self, name: str) -> str:
        """What EC2 shows of a machine."""
        return self.stack.state(self.machines[name])

    def row(self, name: str, table: str) -> Row:
        """The database's row of a machine."""
        rows = getattr(self.stack.operator, table)(self.stack.agent_id)
        found: Row = next(r for r in rows if r["instance_id"] == self.machines[name])
        return found

    def show_rows(self, table: str, *columns: str) -> None:
        """Print rows of the database."""
        shown = Table(*columns, title=f"database: {table}", title_justify="left")
        for row in getattr(self.stack.operator, table)(self.stack.agent_id):
            shown.add_row(*(str(row[column]) for column in columns))
        self.console.print(shown)

    @staticmethod
    def waited(entry: Row) -> int:
        """Seconds since it was marked."""
        return round(entry.get("seconds_waiting") or entry.get("seconds_since_marked") or 0)

    @staticmethod
    def coloured(state: str) -> str:
        """A state in its colour."""
        return f"[{STATES.get(state, 'yellow')}]{state}[/]"
