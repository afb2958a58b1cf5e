"""The three calls of an agent (contract section 1)."""

from datetime import timedelta

from fastapi import APIRouter

from backend import reports, service
from backend.schemas import CleanupReport, TerminationReport
from backend.wiring import Answer, CallingAgent, RawBody, Shared

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
def termination_report(context: Shared, agent: CallingAgent, body: RawBody) -> Answer:
    """What became of one of them."""
    report = TerminationReport.model_validate_json(body)
    with context.transaction() as connection:
        answer = reports.record_termination(
            connection, agent, report, now=context.now(), quirks=context.quirks
        )
    return Answer(answer)


@router.post("/cleanup-report")
def cleanup_report(context: Shared, agent: CallingAgent, body: RawBody) -> Answer:
    """Which images and snapshots were deleted."""
    report = CleanupReport.model_validate_json(body)
    with context.transaction() as connection:
        answer = reports.record_cleanup(
            connection, agent, report, now=context.now(), quirks=context.quirks
        )
    return Answer(answer)
