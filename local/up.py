"""`make local`: the embedded stack, left up; `make invoke`: the real handler on it."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path

from rich.console import Console

from handler.termination import lambda_handler
from local.invoke import invoke
from local.stack import Stack, run_stack

STATE = Path(__file__).parent.parent / "build" / "local-env.json"
"""What `sam local invoke --env-vars` reads, and `make invoke`."""
AGENT = "agent-1"
"""The agent that the sample events name."""


def up(console: Console, *, aws_port: int, backend_port: int) -> None:
    """Start the stack with two zombies on it, say how to use it, and wait for Ctrl-C."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with run_stack(aws_port=aws_port, backend_port=backend_port, agent_id=AGENT) as stack:
        zombies = stack.launch("a", count=2)
        stack.operator.add_zombies(stack.agent_id, zombies, age_seconds=400)
        environment = stack.environment()
        STATE.parent.mkdir(exist_ok=True)
        STATE.write_text(json.dumps({"Parameters": environment}, indent=2))
        explain(console, stack, environment, zombies)
        try:
            stop.wait()
        finally:
            STATE.unlink(missing_ok=True)
    console.print("stopped; nothing is left behind")


def explain(
    console: Console, stack: Stack, environment: dict[str, str], zombies: list[str]
) -> None:
    """Print what is there and the commands that use it."""
    agent = f"{stack.backend_url}/api/agents/{stack.agent_id}"
    console.print("[bold]The stack is up.[/] Two zombies wait in it: " + ", ".join(zombies))
    console.print("\n[bold]The function's environment[/]")
    for name, value in environment.items():
        console.print(f"  export {name}={value}", highlight=False, soft_wrap=True)
    console.print("\n[bold]Ask the backend what it lists[/]")
    console.print(
        f"  curl -s -H 'Authorization: Bearer {stack.client.token}' {agent}/instances-to-terminate",
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        f"  curl -s {stack.backend_url}/operator/agents/{stack.agent_id}/instances",
        highlight=False,
        soft_wrap=True,
    )
    console.print("\n[bold]Run the function[/] (in another terminal)")
    console.print("  make invoke EVENT=events/schedule.json")
    console.print(
        "  sam build && sam local invoke TerminationFunction --event events/schedule.json \\\n"
        f"      --env-vars {STATE.relative_to(Path.cwd())} --docker-network host",
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        "  (needs Docker; SAM passes only variables that the template names, so add\n"
        f"  AWS_ENDPOINT_URL={stack.aws_url} to the function's in the template first)",
        highlight=False,
        soft_wrap=True,
    )
    console.print("\nCtrl-C stops it.")


def invoke_on_it(console: Console, event: Path) -> int:
    """Invoke the handler on the running stack; print its log, its metrics and its answer."""
    if not STATE.exists():
        console.print("no stack is up: run `make local` in another terminal first")
        return 1
    environment = json.loads(STATE.read_text())["Parameters"]
    invocation = invoke(lambda_handler, environment, json.loads(event.read_text()))
    for line in [*invocation.lines, *invocation.emf]:
        console.print(json.dumps(line), highlight=False, soft_wrap=True)
    console.print_json(json.dumps(invocation.returned))
    return 0


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--invoke", type=Path, metavar="EVENT", help="invoke with this event file")
    parser.add_argument("--aws-port", type=int, default=0, help="moto's port (default: a free one)")
    parser.add_argument("--backend-port", type=int, default=0, help="the backend's port")
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "120")))
    if arguments.invoke:
        return invoke_on_it(console, arguments.invoke)
    up(console, aws_port=arguments.aws_port, backend_port=arguments.backend_port)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
