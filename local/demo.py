"""`make demo`: the acceptance scenarios on embedded parts, for a person to watch."""

from __future__ import annotations

import sys
from collections.abc import Callable

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from local.demo_agents import too_few_tags, two_agents
from local.demo_housekeeping import old_images_and_snapshots
from local.scene import LOGICAL_ID, Scene
from local.stack import new_agent, run_stack
from local.tags import first_server, manual_replica, new_server


def manual_replica_disabled(scene: Scene) -> None:
    """Scenario 1 of the guide: a replica that is no longer wanted ends at once."""
    operator, agent = scene.stack.operator, scene.stack.agent_id
    primary = scene.launch("a", first_server("primary"))
    operator.register_primary(agent, primary, az="us-east-1a")
    replica = scene.launch("b", manual_replica("replica", LOGICAL_ID, primary))
    scene.say("manual replica on; the replica is ready; manual replica off")
    operator.enable_manual_replica(agent, replica, az="us-east-1b")
    operator.replica_ready(agent, replica)
    scene.check(
        "one active replica is marked as terminated", operator.disable_manual_replica(agent) == 1
    )
    returned = scene.run()
    scene.check("the replica is terminated in EC2", scene.state("replica") == "terminated")
    scene.check("the primary goes on running", scene.state("primary") == "running")
    scene.check("the run counts one termination", returned["terminated"] == 1)
    scene.check(
        "the database has termination_confirmed",
        bool(scene.row("replica", "replicas")["termination_confirmed"]),
    )
    scene.show_rows("replicas", "status", "termination_confirmed", "terminated_at")
    scene.check("it is not listed again", scene.listed() == [])


def replica_promoted(scene: Scene) -> None:
    """Scenario 2: the old primary becomes a zombie, and ends after its wait."""
    operator, agent = scene.stack.operator, scene.stack.agent_id
    primary = scene.launch("a", new_server("old primary", LOGICAL_ID))
    operator.register_primary(agent, primary, az="us-east-1a")
    replica = scene.launch("b", manual_replica("replica", LOGICAL_ID, primary))
    operator.enable_manual_replica(agent, replica, az="us-east-1b")
    operator.replica_ready(agent, replica)
    scene.say("the replica is promoted: the old primary is a zombie")
    operator.promote_replica(agent, replica)
    scene.say("4 minutes pass (terminate_wait_seconds is 300)")
    operator.age(agent, 240)
    scene.run()
    scene.check("nothing happens before the wait is over", scene.state("old primary") == "running")
    scene.say("another 80 seconds pass")
    operator.age(agent, 80)
    returned = scene.run()
    scene.check("the zombie is terminated in EC2", scene.state("old primary") == "terminated")
    scene.check("the new primary goes on running", scene.state("replica") == "running")
    scene.check("the run counts one termination", returned["terminated"] == 1)
    row = scene.row("old primary", "instances")
    scene.check(
        "the database has it terminated and confirmed",
        row["instance_status"] == "terminated" and bool(row["termination_confirmed"]),
    )
    scene.show_rows("instances", "instance_status", "termination_confirmed", "terminated_at")
    scene.check("the next run has nothing to do", scene.run()["listed"] == 0)


def auto_terminate_off(scene: Scene) -> None:
    """Scenario 3: with auto-terminate off nothing is listed and nothing ends."""
    operator, agent = scene.stack.operator, scene.stack.agent_id
    primary = scene.launch("a", new_server("old primary", LOGICAL_ID))
    operator.register_primary(agent, primary, az="us-east-1a")
    replica = scene.launch("b", manual_replica("replica", LOGICAL_ID, primary))
    operator.enable_manual_replica(agent, replica, az="us-east-1b")
    operator.replica_ready(agent, replica)
    scene.say("auto-terminate off; the replica is promoted; 10 minutes pass")
    operator.set_auto_terminate(agent, enabled=False)
    operator.promote_replica(agent, replica)
    operator.age(agent, 600)
    scene.check("the backend lists nothing", scene.listed() == [])
    returned = scene.run()
    scene.check("the zombie goes on running", scene.state("old primary") == "running")
    scene.check("the run did nothing", returned["listed"] == returned["terminated"] == 0)
    scene.check("the run says why", returned["auto_terminate_enabled"] is False)
    scene.show_rows("instances", "instance_status", "termination_confirmed")
    scene.say("auto-terminate on")
    operator.set_auto_terminate(agent, enabled=True)
    scene.run()
    scene.check("now the zombie ends", scene.state("old primary") == "terminated")


SCENES: list[tuple[str, Callable[[Scene], None]]] = [
    ("1  Manual replica on, ready, off", manual_replica_disabled),
    ("2  Replica promoted, zombie times out", replica_promoted),
    ("3  Auto-terminate off", auto_terminate_off),
    ("4  Two agents in one run, one of them switched off", two_agents),
    ("5  Machines that bear too few tags", too_few_tags),
    ("6  Old images and snapshots", old_images_and_snapshots),
]


def main() -> int:
    """Play every scene; 1 if a check fails."""
    console = Console(width=112) if not sys.stdout.isatty() else Console()
    scenes = []
    with run_stack() as stack:
        console.print(
            f"[dim]AWS is moto's server at {stack.aws_url}, the backend is at {stack.backend_url} "
            "on SQLite; the handler is the real one.\n"
            "▸ is what somebody, or time, does; ✓ is what must hold then. The machines bear the tags of the "
            "original agent's.[/]"
        )
        for title, play in SCENES:
            console.print(Panel(title, style="bold"))
            agent = new_agent(stack.aws_url, stack.backend_url, stack.operator)
            scene = Scene(title, agent, console)
            scenes.append(scene)
            play(scene)
    table = Table("scenario", "checks", "result", title="\nThe acceptance scenarios")
    for scene in scenes:
        held = sum(holds for _, holds in scene.checks)
        good = held == len(scene.checks)
        table.add_row(
            scene.title,
            f"{held}/{len(scene.checks)}",
            "[green]holds[/]" if good else "[red]FAILS[/]",
        )
    console.print(table)
    return 0 if all(holds for scene in scenes for _, holds in scene.checks) else 1


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
