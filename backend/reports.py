"""What a report does (contract section 1): the rows that it changes, and the event that it leaves."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, update

from backend.errors import ApiError
from backend.quirks import Quirks
from backend.schemas import CleanupReport, TerminationReport, utc_naive
from backend.service import Agent
from backend.tables import agents, cleanup_logs, instances, replica_instances, system_events

_MESSAGE_LENGTH = 2000  # of the error's text; the event's details hold all of it


def termination_event(
    connection: Connection,
    agent: Agent,
    report: TerminationReport,
    *,
    found: bool,
    now: datetime,
    quirks: Quirks,
) -> dict[str, Any]:
    """Write the event of a report whose rows were changed, if any were found; the call's answer.

    An instance that the agent does not have is accepted too, so that an agent never gets stuck on
    it: only the event is written, and the answer says so.
    """
    terminated_at = _as_stored(report.terminated_at, "terminated_at", quirks)
    outcome = "terminated" if report.success else f"not terminated: {report.error or 'no reason'}"
    known = "" if found else " (not known to this agent)"
    connection.execute(
        insert(system_events).values(
            event_type="instance_terminated" if report.success else "instance_termination_failed",
            severity="info" if report.success else "error",
            client_id=agent.client_id,
            agent_id=agent.id,
            instance_id=None if quirks.events_without_id else report.instance_id,
            metadata={"instance_id": report.instance_id},
            message=f"Instance {report.instance_id}{known} {outcome}"[:_MESSAGE_LENGTH],
            details={
                "error": report.error,
                "terminated_at": terminated_at.isoformat() if terminated_at else None,
                "known": found,
            },
            created_at=now,
        )
    )
    note = "" if found else f"; instance {report.instance_id} is not known to this agent"
    return {"success": True, "message": f"Termination report recorded{note}"}


def change_rows(
    connection: Connection,
    agent: Agent,
    report: TerminationReport,
    *,
    now: datetime,
    quirks: Quirks,
) -> bool:
    """Note an attempt, and its success, wherever the instance stands; whether any row was the agent's.

    A promoted replica stands in both tables, and both rows are told.
    """
    terminated_at = _as_stored(report.terminated_at, "terminated_at", quirks)
    instance = update(instances).where(instances.c.id == report.instance_id)
    replica = update(replica_instances).where(replica_instances.c.instance_id == report.instance_id)
    if not quirks.any_row:
        instance = instance.where(instances.c.agent_id == agent.id)
        replica = replica.where(replica_instances.c.agent_id == agent.id)
    attempt: dict[str, Any] = {"termination_attempted_at": now, "updated_at": now}
    moved = {"marked_at": now} if quirks.report_moves_clock else {}
    instance = instance.values(attempt | moved)
    replica = replica.values(attempt)
    if report.success:
        instance = instance.values(
            termination_confirmed=True,
            instance_status="terminated",
            is_active=False,
            terminated_at=terminated_at or func.coalesce(instances.c.terminated_at, now),
        )
        replica = replica.values(
            termination_confirmed=True,
            status="terminated",
            terminated_at=terminated_at or func.coalesce(replica_instances.c.terminated_at, now),
        )
    changed = [connection.execute(statement).rowcount for statement in (instance, replica)]
    return any(changed)


def record_cleanup(
    connection: Connection,
    agent: Agent,
    report: CleanupReport,
    *,
    now: datetime,
    quirks: Quirks,
) -> dict[str, Any]:
    """Keep a cleanup report: counts and cut-offs in columns, the rest as it came."""
    snapshots, amis = report.snapshots, report.amis
    counts = {
        "snapshots_deleted": len(snapshots.deleted),
        "snapshots_failed": len(snapshots.failed),
        "amis_deleted": len(amis.deleted_amis),
        "ami_snapshots_deleted": len(amis.deleted_snapshots),
        "amis_failed": len(amis.failed),
    }
    reported_at = _as_stored(report.timestamp, "reported_at", quirks)
    connection.execute(
        insert(cleanup_logs).values(
            client_id=agent.client_id,
            agent_id=agent.id,
            reported_at=reported_at,
            snapshots_cutoff_date=_as_stored(snapshots.cutoff_date, "cutoff_date", quirks),
            amis_cutoff_date=_as_stored(amis.cutoff_date, "cutoff_date", quirks),
            details=report.model_dump(mode="json"),
            created_at=now,
            **counts,
        )
    )
    connection.execute(
        insert(system_events).values(
            event_type="cleanup_completed",
            severity="warning" if snapshots.failed or amis.failed else "info",
            client_id=agent.client_id,
            agent_id=agent.id,
            message=", ".join(f"{name} {count}" for name, count in counts.items()),
            details=counts,
            created_at=now,
        )
    )
    connection.execute(
        update(agents).where(agents.c.id == agent.id).values(last_cleanup_at=reported_at)
    )
    return {"success": True, "message": "Cleanup report recorded", **counts}


def _as_stored(moment: datetime | None, column: str, quirks: Quirks) -> datetime | None:
    if moment is None:
        return None
    if moment.tzinfo is not None and quirks.naive_timestamps_only:
        raise ApiError(
            500,
            f"1292 (22007): Incorrect datetime value: '{moment.isoformat()}'"
            f" for column '{column}' at row 1",
        )
    return utc_naive(moment)
