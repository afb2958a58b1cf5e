"""`make local`: the embedded stack, left up for `make invoke`, `make doctor` and `sam local`."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from local import state
from local.furnish import furnish
from local.reach import bridge_address, relayed
from local.sam import commands, files
from local.stack import Stack, run_stack

AGENT = "agent-1"
"""The agent that the sample events name."""
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TERMINAL_GONE = (OSError, SystemExit)
"""What printing raises then; the latter is rich's word for a broken pipe. The stack goes on."""


def up(console: Console, *, aws_port: int, backend_port: int, listen: str | None) -> None:
    """Start the stack with something to do on it, say how to use it, and wait for the end.

    Raises:
        StackError: a port is taken, or a stack of this folder is up already.
    """
    stop = threading.Event()
    for number in ENDINGS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup's
            signal.signal(number, lambda *_: stop.set())
    with (
        state.hold_folder() as folder,
        run_stack(aws_port=aws_port, backend_port=backend_port, agent_id=AGENT) as stack,
        reachable(stack, listen) as listens,
    ):
        zombies = furnish(stack)
        configuration = files.write(folder, stack.environment())
        state.write(state.STATE.name, json.dumps({"Parameters": stack.environment()}, indent=2))
        with contextlib.suppress(*TERMINAL_GONE):
            explain(console, stack, zombies)
            explain_sam(console, configuration, listens)
            say(console, "\nCtrl-C stops it.")
        stop.wait()
    with contextlib.suppress(*TERMINAL_GONE):
        say(console, "stopped; nothing is left behind")


@contextmanager
def reachable(stack: Stack, listen: str | None) -> Iterator[list[str]]:
    """Let containers reach the stack; yields the addresses that listen beside loopback."""
    ports = [urlsplit(url).port or 0 for url in (stack.aws_url, stack.backend_url)]
    with ExitStack() as opened:
        wanted = [address for address in (bridge_address(), listen) if address]
        listens = [each for each in wanted if opened.enter_context(relayed(each, ports))]
        if listen and listen not in listens:
            raise state.StackError(f"cannot listen on {listen}, ports {ports[0]} and {ports[1]}")
        yield listens


def explain(console: Console, stack: Stack, zombies: list[str]) -> None:
    """Print what is there and the commands that use it."""
    agent = f"{stack.backend_url}/api/agents/{stack.agent_id}"
    console.print("[bold]The stack is up.[/] Two zombies wait in it: " + ", ".join(zombies))
    console.print("\n[bold]The function's environment[/]")
    for name, value in stack.environment().items():
        say(console, f"  export {name}={value}")
    console.print("\n[bold]What the runbook's commands take[/]")
    say(console, f"  export CLIENT_TOKEN={stack.client.token}")
    say(console, f"  export CLIENT_ID={stack.client.client_id}")
    console.print("\n[bold]Ask the backend what it lists[/]")
    say(
        console,
        f"  curl -s -H 'Authorization: Bearer {stack.client.token}' {agent}/instances-to-terminate",
    )
    say(console, f"  curl -s {stack.backend_url}/operator/agents/{stack.agent_id}/instances")
    console.print("\n[bold]Run a function in this Python[/] (in another terminal)")
    say(console, "  make invoke EVENT=events/schedule.json")
    say(console, "  make invoke EVENT=events/housekeeping.json")
    say(console, "  make doctor")


def explain_sam(console: Console, configuration: Path, listens: list[str]) -> None:
    """Print how each function is run in Lambda's container, with each event."""
    console.print("\n[bold]Run a function in Lambda's container[/] (needs Docker)")
    say(console, "  Everything in it is local: the credentials are made up, AWS is this stack.")
    if listens:
        say(
            console,
            f"  Containers reach the stack through {', '.join(listens)}, and nobody else does.",
        )
    else:
        say(
            console,
            "  With Docker Desktop containers reach the stack as it is. On plain Linux Docker must be up before\n"
            "  the stack: then it listens on Docker's bridge as well. (Another address: make local LISTEN=...)",
        )
    say(console, f"  {commands.BUILD}    # first, and after each change of the code")
    for command in commands.invocations(configuration):
        say(console, f"  {command}")
    console.print("\n[bold]The same through a Lambda service[/] (one call at a time)")
    say(console, f"  {commands.service(configuration)}")
    for command in commands.calls():
        say(console, f"  {command}")


def say(console: Console, text: str) -> None:
    """Print it as it is, for whoever copies it."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def main() -> int:
    """Parse the command line; 1 where the stack cannot be started."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--aws-port", type=int, default=0, help="moto's port (default: a free one)")
    parser.add_argument("--backend-port", type=int, default=0, help="the backend's port")
    parser.add_argument("--listen", help="one more address of this machine that containers reach")
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "120")))
    try:
        up(
            console,
            aws_port=arguments.aws_port,
            backend_port=arguments.backend_port,
            listen=arguments.listen,
        )
    except state.StackError as error:
        say(console, str(error))
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
