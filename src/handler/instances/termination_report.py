"""The termination report as the backend takes it (contract section 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from handler.backend.api import LONGEST_ERROR, BackendApi
from handler.backend.wire import wire_time

if TYPE_CHECKING:
    from handler.deadline import Deadline
    from handler.instances.ports import Report


@dataclass(frozen=True, slots=True)
class TerminationReports:
    """The port `Backend`: POST termination-report, as one agent."""

    api: BackendApi
    deadline: Deadline

    def report(self, report: Report) -> None:
        """Deliver it. Raises BackendError unless the backend acknowledged it."""
        sent = {
            "instance_id": report.instance_id,
            "success": report.error is None,
            "error": report.error and report.error[:LONGEST_ERROR],
            "terminated_at": wire_time(report.ended_at) if report.ended_at else None,
        }
        self.api.post("termination-report", sent, self.deadline.to_report)
