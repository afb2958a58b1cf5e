"""The sample events of `events/`, and which function each is for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from handler import housekeeping, termination
from local.invoke import Handler

EVENTS = Path(__file__).parent.parent / "events"
TERMINATION, HOUSEKEEPING = "TerminationFunction", "HousekeepingFunction"
HANDLERS: dict[str, Handler] = {
    TERMINATION: termination.lambda_handler,
    HOUSEKEEPING: housekeeping.lambda_handler,
}
TIMEOUTS = {TERMINATION: 55.0, HOUSEKEEPING: 300.0}
"""Seconds; the template's own."""
NO_EVENTS = {"env.json"}
ONLY_FOR = {
    "schedule.json": TERMINATION,
    "doctor.json": TERMINATION,
    "housekeeping.json": HOUSEKEEPING,
}


def files() -> list[Path]:
    """Every sample event."""
    return sorted(path for path in EVENTS.glob("*.json") if path.name not in NO_EVENTS)


def functions_for(event: Path) -> tuple[str, ...]:
    """The functions that the event is for, as events/README.md has it; the first is meant unless told."""
    only = ONLY_FOR.get(event.name)
    return (only,) if only else (TERMINATION, HOUSEKEEPING)


def read(event: Path) -> Any:  # noqa: ANN401 - any JSON may be sent
    """The event itself."""
    return json.loads(event.read_text())
