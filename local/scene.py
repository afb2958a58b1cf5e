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
LOGICAL_ID = "web-1"


@dataclass
class Scene:
    """One scenario: its agents, its machines by name, and what was checked.

    Attributes:
        agents: agent id → its logical id; the stack's own agent is the first.
    """

    title: str
    stack: Stack
    console: Console
    agents: dict[str, str] = field(default_factory=dict)
    machines: dict[str, str] = field(default_factory=dict)
    checks: list[tuple[str, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.agents[self.stack.agent_id] = LOGICAL_ID

    def check(self, what: str, holds: bool) -> None:  # noqa: FBT001 - it reads as a sentence
        """Note whether it holds, and say so."""
        self.checks.append((what, holds))
        self.console.print(f"  {'[green]✓[/]' if holds else '[bold red]✗[/]'} {what}")

    def say(self, text: str) -> None:
        """Tell what the operator, or time, does."""
        self.console.print(f"[bold cyan]▸[/] {text}")

    def launch(self, zone: str, tags: dict[str, str]) -> str:
        """Launch a machine, to be known by its tag `Name`, and show what it bears."""
        (instance_id,) = self.stack.launch(zone, tags=tags)
        name = tags["Name"]
        self.machines[name] = instance_id
        names = {one: what for what, one in self.machines.items()}
        bears = ", ".join(
            f"{key}={names.get(value, value)}" for key, value in tags.items() if key != "Name"
        )
        shown = f"  {name} is launched: {bears or 'no tags of ours'}"
        self.console.print(shown, style="dim", highlight=False, soft_wrap=True)
        return instance_id

    def run(self, **variables: str) -> Row:
        """Invoke the real handler, and show the world before and after."""
        listed = {agent: self.listed(agent) for agent in self.agents}
        before = {name: self.stack.state(one) for name, one in self.machines.items()}
        seen = {agent: len(self.stack.operator.events(agent)) for agent in self.agents}
        agent_ids = ",".join(f"{agent}={logical}" for agent, logical in self.agents.items())
        environment = self.stack.environment(AGENT_ID=agent_ids, **variables)
        invocation = invoke(lambda_handler, environment)
        table = Table("machine", "backend lists it", "EC2 before", "EC2 after", "outcome")
        for name, instance_id in self.machines.items():
            outcomes = [
                line["outcome"]
                for line in invocation.lines
                if line.get("instance_id") == instance_id and "outcome" in line
            ]
            table.add_row(
                name,
                self._told(instance_id, listed),
                self.coloured(before[name]),
                self.coloured(self.stack.state(instance_id)),
                ", ".join(outcomes) or "-",
            )
        self.console.print(table)
        names = {one: name for name, one in self.machines.items()}
        for agent in self.agents:
            events = self.stack.operator.events(agent)
            for event in reversed(events[: len(events) - seen[agent]]):
                error = event["details"]["error"] or ""
                for instance_id, name in names.items():
                    error = error.replace(instance_id, f"({name})")
                self.console.print(
                    f"  {self._who(agent)} reported: {event['event_type']}, "
                    f"{names[event['instance_id']]}{f': {error}' if error else ''}",
                    highlight=False,
                    soft_wrap=True,
                )
        counts = {key: value for key, value in invocation.returned.items() if value}
        self.console.print(f"  the run returned: {counts}")
        return invocation.returned

    def listed(self, agent: str | None = None) -> list[Row]:
        """What the backend tells an agent, by default the stack's own, to terminate."""
        answer = requests.get(
            f"{self.stack.backend_url}/api/agents/{agent or self.stack.agent_id}/instances-to-terminate",
            headers={"Authorization": f"Bearer {self.stack.client.token}"},
            timeout=10,
        )
        answer.raise_for_status()
        rows: list[Row] = answer.json()["instances"]
        return rows

    def state(self, name: str) -> str:
        """What EC2 shows of a machine."""
        return self.stack.state(self.machines[name])

    def row(self, name: str, table: str, agent: str | None = None) -> Row:
        """The database's row of a machine."""
        rows = getattr(self.stack.operator, table)(agent or self.stack.agent_id)
        key = "id" if table == "instances" else "instance_id"
        found: Row = next(r for r in rows if r[key] == self.machines[name])
        return found

    def show_rows(self, table: str, *columns: str) -> None:
        """Print rows of the database, with the machines' names."""
        shown = Table("machine", *columns, title=f"database: {table}", title_justify="left")
        names = {one: name for name, one in self.machines.items()}
        key = "id" if table == "instances" else "instance_id"
        for agent in self.agents:
            for row in getattr(self.stack.operator, table)(agent):
                shown.add_row(names[row[key]], *(str(row[column]) for column in columns))
        self.console.print(shown)

    def _told(self, instance_id: str, listed: dict[str, list[Row]]) -> str:
        entries = {
            agent: entry
            for agent, rows in listed.items()
            for entry in rows
            if entry["instance_id"] == instance_id
        }
        if not entries:
            return "no"
        entry = next(iter(entries.values()))
        to = (
            f", to {' and '.join(self.agents[agent] for agent in entries)}"
            if len(self.agents) > 1
            else ""
        )
        return f"{entry['reason']}, {self.waited(entry)} s{to}"

    def _who(self, agent: str) -> str:
        return f"the agent of {self.agents[agent]}" if len(self.agents) > 1 else "the agent"

    @staticmethod
    def waited(entry: Row) -> int:
        """Seconds since it was marked."""
        return round(entry.get("seconds_waiting") or entry.get("seconds_since_marked") or 0)

    @staticmethod
    def coloured(state: str) -> str:
        """A state in its colour."""
        return f"[{STATES.get(state, 'yellow')}]{state}[/]"
