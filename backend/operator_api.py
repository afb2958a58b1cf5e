"""The operator's routes, under ``/operator``: not of the contract, for demos, tests and dashboards.

They are open to whoever reaches them, unless ``OPERATOR_TOKEN`` is set: then they ask for it as a
Bearer token. Without it the service listens on loopback only (see ``__main__``).
"""

from dataclasses import asdict

from fastapi import APIRouter, Depends

from backend import operations, readouts, replicas
from backend.context import Context
from backend.quirks import Quirks
from backend.schemas import (
    Ageing,
    AgentChange,
    ClientChange,
    NewAgent,
    NewClient,
    NewInstance,
    NewZombies,
)
from backend.wiring import Answer, Shared, operator_only

router = APIRouter(prefix="/operator", dependencies=[Depends(operator_only)])


@router.post("/clients")
def create_client(context: Shared, wanted: NewClient) -> Answer:
    """A new client; the answer holds its token, this once."""
    with context.transaction() as connection:
        created = operations.create_client(connection, wanted.name, now=context.now())
    return Answer(created, 201)


@router.patch("/clients/{client_id}")
def change_client(context: Shared, client_id: str, change: ClientChange) -> Answer:
    """Deactivate a client, or activate it again."""
    with context.transaction() as connection:
        operations.set_client_active(connection, client_id, active=change.is_active)
    return Answer({"client_id": client_id, "is_active": change.is_active})


@router.post("/clients/{client_id}/token")
def rotate_token(context: Shared, client_id: str) -> Answer:
    """A new token; the old one is invalid from now."""
    with context.transaction() as connection:
        return Answer(operations.rotate_token(connection, client_id), 201)


@router.post("/agents")
def create_agent(context: Shared, wanted: NewAgent) -> Answer:
    """A new agent of a client, in one region."""
    with context.transaction() as connection:
        agent_id = operations.create_agent(connection, wanted, now=context.now())
        created = readouts.agent(connection, agent_id)
    return Answer(created, 201)


@router.get("/agents")
def list_agents(context: Shared) -> Answer:
    """All agents."""
    with context.transaction() as connection:
        return Answer(readouts.agent_list(connection))


@router.get("/agents/{agent_id}")
def show_agent(context: Shared, agent_id: str) -> Answer:
    """One agent, with its switches and its last cleanup."""
    with context.transaction() as connection:
        return Answer(readouts.agent(connection, agent_id))


@router.patch("/agents/{agent_id}")
def change_agent(context: Shared, agent_id: str, change: AgentChange) -> Answer:
    """Switch ``auto_terminate_enabled``, set ``terminate_wait_seconds``."""
    with context.transaction() as connection:
        operations.change_agent(connection, agent_id, change)
        changed = readouts.agent(connection, agent_id)
    return Answer(changed)


@router.post("/agents/{agent_id}/instances")
def register_primary(context: Shared, agent_id: str, wanted: NewInstance) -> Answer:
    """A running instance that the client uses."""
    with context.transaction() as connection:
        operations.register_primary(connection, agent_id, wanted, now=context.now())
    return Answer({"instance_id": wanted.instance_id, "instance_status": "primary"}, 201)


@router.post("/agents/{agent_id}/zombies")
def add_zombies(context: Shared, agent_id: str, wanted: NewZombies) -> Answer:
    """Many zombies at once; for local runs."""
    with context.transaction() as connection:
        added = operations.add_zombies(connection, agent_id, wanted, now=context.now())
    return Answer({"added": added}, 201)


@router.post("/agents/{agent_id}/manual-replica")
def manual_replica_on(context: Shared, agent_id: str, wanted: NewInstance) -> Answer:
    """Manual replica mode on: the named instance is the launching replica."""
    with context.transaction() as connection:
        replicas.enable_replica(connection, agent_id, wanted, now=context.now())
    return Answer({"instance_id": wanted.instance_id, "status": "launching"}, 201)


@router.delete("/agents/{agent_id}/manual-replica")
def manual_replica_off(context: Shared, agent_id: str) -> Answer:
    """Manual replica mode off: active replicas are to be terminated."""
    with context.transaction() as connection:
        terminated = replicas.disable_replicas(connection, agent_id, now=context.now())
    return Answer({"terminated": terminated})


@router.post("/agents/{agent_id}/replicas/{instance_id}/ready")
def replica_ready(context: Shared, agent_id: str, instance_id: str) -> Answer:
    """The replica has caught up."""
    with context.transaction() as connection:
        replicas.replica_ready(connection, agent_id, instance_id, now=context.now())
    return Answer({"instance_id": instance_id, "status": "ready"})


@router.post("/agents/{agent_id}/replicas/{instance_id}/promote")
def promote(context: Shared, agent_id: str, instance_id: str) -> Answer:
    """The replica becomes the primary, the old primary a zombie."""
    with context.transaction() as connection:
        owner, zombies = replicas.promote(
            connection, agent_id, instance_id, now=context.now(), quirks=context.quirks
        )
    return Answer({"primary": instance_id, "agent_id": owner, "zombies": zombies})


@router.post("/agents/{agent_id}/auto-switch")
def auto_switch_on(context: Shared, agent_id: str) -> Answer:
    """The agent switches by itself from now: its manual replicas are to be terminated."""
    return _end_replicas(context, agent_id)


@router.delete("/agents/{agent_id}")
def delete_agent(context: Shared, agent_id: str) -> Answer:
    """The agent is given up: its replicas are to be terminated, its row stays for its reports."""
    return _end_replicas(context, agent_id)


def _end_replicas(context: Context, agent_id: str) -> Answer:
    with context.transaction() as connection:
        terminated = replicas.end_replicas(
            connection, agent_id, now=context.now(), quirks=context.quirks
        )
    return Answer({"terminated": terminated})


@router.post("/agents/{agent_id}/instances/{instance_id}/pricing")
def report_pricing(context: Shared, agent_id: str, instance_id: str) -> Answer:
    """A running agent's pricing report about its instance."""
    with context.transaction() as connection:
        operations.report_pricing(
            connection, agent_id, instance_id, now=context.now(), quirks=context.quirks
        )
    return Answer({"instance_id": instance_id})


@router.post("/agents/{agent_id}/age")
def age(context: Shared, agent_id: str, ageing: Ageing) -> Answer:
    """Let time seem to have passed for the agent's rows; for local runs."""
    with context.transaction() as connection:
        aged = operations.age(connection, agent_id, ageing.seconds, ageing.instance_id)
    return Answer({"aged": aged})


@router.get("/agents/{agent_id}/instances")
def list_instances(context: Shared, agent_id: str) -> Answer:
    """The agent's instances."""
    with context.transaction() as connection:
        return Answer(readouts.instance_list(connection, agent_id))


@router.get("/agents/{agent_id}/replicas")
def list_replicas(context: Shared, agent_id: str) -> Answer:
    """The agent's replicas."""
    with context.transaction() as connection:
        return Answer(readouts.replica_list(connection, agent_id))


@router.get("/agents/{agent_id}/events")
def list_events(context: Shared, agent_id: str) -> Answer:
    """The agent's system events."""
    with context.transaction() as connection:
        return Answer(readouts.event_list(connection, agent_id))


@router.get("/agents/{agent_id}/cleanup-logs")
def list_cleanup_logs(context: Shared, agent_id: str) -> Answer:
    """The agent's cleanup reports."""
    with context.transaction() as connection:
        return Answer(readouts.cleanup_list(connection, agent_id))


@router.get("/quirks")
def show_quirks(context: Shared) -> Answer:
    """The quirks, on and off."""
    return Answer(asdict(context.quirks))


@router.put("/quirks")
def set_quirks(context: Shared, quirks: Quirks) -> Answer:
    """The quirks that shall be on from now."""
    context.quirks = quirks
    return Answer(asdict(quirks))
