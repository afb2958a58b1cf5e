"""The three calls of an agent (contract section 1)."""

from datetime import timedelta
from functools import partial

from fastapi import APIRouter

from backend import reports, service
from backend.errors import ApiError
from backend.schemas import CleanupReport, TerminationReport
from backend.wiring import Answer, CallingAgent, RawBody, ReportingAgent, Shared

router = APIRouter(prefix="/api/agents/{agent_id}")


@router.get("/instances-to-terminate")
def instances_to_terminate(context: Shared, agent: CallingAgent) -> Answer:
    """Who should be gone."""
    pause = timedelta(seconds=context.settings.retry_pause_seconds)
    with context.transaction() as connection:
        return Answer(
            service.listing(
                connection, agent, now=context.now(), pause=pause, quirks=context.quirks
            )
        )


@router.post("/termination-report")
def termination_report(context: Shared, agent: ReportingAgent, body: RawBody) -> Answer:
    """What became of one of them: rows and event in one transaction, or, by quirk 8, in two."""
    report = TerminationReport.model_validate_json(body)
    now, quirks = context.now(), context.quirks
    event = partial(reports.termination_event, agent=agent, report=report, now=now, quirks=quirks)
    with context.transaction() as connection:
        found = reports.change_rows(connection, agent, report, now=now, quirks=quirks)
        if not quirks.event_lost_every:
            return Answer(event(connection, found=found))
    if next(context.separate_events) % quirks.event_lost_every == 0:
        raise ApiError(500, "2013 (HY000): Lost connection to MySQL server during query")
    with context.transaction() as connection:
        return Answer(event(connection, found=found))


@router.post("/cleanup-report")
def cleanup_report(context: Shared, agent: ReportingAgent, body: RawBody) -> Answer:
    """Which images and snapshots were deleted."""
    report = CleanupReport.model_validate_json(body)
    with context.transaction() as connection:
        answer = reports.record_cleanup(
            connection, agent, report, now=context.now(), quirks=context.quirks
        )
    return Answer(answer)
