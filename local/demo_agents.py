"""The demo's fourth and fifth scene: whose a machine is, and what its tags say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.quirks import Quirks
from local.scene import LOGICAL_ID
from local.tags import first_server, manual_replica, new_server, polled_replica

if TYPE_CHECKING:
    from local.scene import Scene


def two_agents(scene: Scene) -> None:
    """Scenario 4: one run for two agents, of which one is switched off."""
    operator, web = scene.stack.operator, scene.stack.agent_id
    mail = operator.create_agent(scene.stack.client.client_id)
    scene.agents[mail] = "mail-1"
    scene.say("two agents in one region; one run acts for both, and mail-1's is switched off")
    operator.set_auto_terminate(mail, enabled=False)
    for agent, logical_id in scene.agents.items():
        left_behind = scene.launch("a", new_server(f"{logical_id}'s zombie", logical_id))
        operator.add_zombies(agent, [left_behind], age_seconds=400)
    scene.say("as the original does, the backend lists a region's zombies to every agent")
    operator.set_quirks(Quirks(foreign_zombies=True))
    scene.run()
    scene.check("web-1's zombie is terminated", scene.state("web-1's zombie") == "terminated")
    scene.check("mail-1's goes on running", scene.state("mail-1's zombie") == "running")
    scene.check(
        "nobody reports it, which would hide it from its owner",
        scene.row("mail-1's zombie", "instances", mail)["termination_attempted_at"] is None,
    )
    scene.say("mail-1's agent is switched on")
    operator.set_auto_terminate(mail, enabled=True)
    scene.run()
    scene.check("now it is terminated, too", scene.state("mail-1's zombie") == "terminated")
    scene.check(
        "its own agent has reported it, and nobody else",
        (len(operator.events(mail)), len(operator.events(web))) == (1, 1),
    )
    operator.set_quirks(Quirks())


def too_few_tags(scene: Scene) -> None:
    """Scenario 5: a first server, the polling worker's replica, and a promoted one."""
    operator, agent = scene.stack.operator, scene.stack.agent_id
    first = scene.launch("a", first_server("first server"))
    operator.add_zombies(agent, [first], age_seconds=400)
    primary = scene.launch("a", new_server("primary", LOGICAL_ID))
    operator.register_primary(agent, primary, az="us-east-1a")
    polled = scene.launch("b", polled_replica("worker's replica", primary))
    operator.enable_manual_replica(agent, polled, az="us-east-1b")
    operator.disable_manual_replica(agent)
    scene.say("the first server is a zombie since the first switch; the replica is not wanted")
    returned = scene.run()
    scene.check(
        "the first server is nobody's: it runs on", scene.state("first server") == "running"
    )
    scene.check("it is counted, for the alarm", returned["untagged"] == 1)
    scene.check("the replica is refused", scene.state("worker's replica") == "running")
    scene.say(
        "the operator tags the first server, and sets UNTAGGED_REPLICAS=terminate; 5 minutes pass"
    )
    tags = new_server("first server", LOGICAL_ID)
    scene.stack.ec2.create_tags(
        Resources=[first], Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
    )
    operator.age(agent, 301)
    scene.run(UNTAGGED_REPLICAS="terminate")
    scene.check("the first server ends", scene.state("first server") == "terminated")
    scene.check("so does the replica", scene.state("worker's replica") == "terminated")
    replica = scene.launch("b", manual_replica("promoted replica", LOGICAL_ID, primary))
    operator.enable_manual_replica(agent, replica, az="us-east-1b")
    operator.replica_ready(agent, replica)
    scene.say("a replica is promoted; 6 minutes later auto-switch is switched on")
    operator.promote_replica(agent, replica)
    operator.age(agent, 360)
    scene.say(
        "as the original does, the backend now marks every replica, the live primary among them"
    )
    operator.set_quirks(Quirks(promoted_replicas_marked=True))
    operator.auto_switch_on(agent)
    operator.set_quirks(Quirks())
    scene.run(UNTAGGED_REPLICAS="terminate")
    scene.check("the old primary ends", scene.state("primary") == "terminated")
    scene.check("the live one goes on running", scene.state("promoted replica") == "running")
