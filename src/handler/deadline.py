"""A run's time: when to stop starting work, so that what was done is still told."""

from __future__ import annotations

from collections.abc import Callable

REPORTING_SHARE = 0.3
"""The share of a run that is kept for reports: at 8 side by side and 100 ms each, 15 s carry 1,200."""
REPORTING_AT_MOST = 15.0
"""Seconds."""
ACCOUNTING_SHARE = 0.05
"""The share that is kept for metrics, the summary and the way back to Lambda."""
ACCOUNTING_AT_MOST = 2.0
"""Seconds."""


class Deadline:
    """Seconds left for each part of a run, from Lambda's own remaining time.

    Args:
        left: seconds until Lambda ends the run.
    """

    def __init__(self, left: Callable[[], float]) -> None:
        self._left = left
        total = max(left(), 0.0)
        self._accounting = min(total * ACCOUNTING_SHARE, ACCOUNTING_AT_MOST)
        self._reporting = min(total * REPORTING_SHARE, REPORTING_AT_MOST)

    def to_report(self) -> float:
        """Seconds in which reports may still be under way; negative when it is over."""
        return self._left() - self._accounting

    def to_act(self) -> float:
        """Seconds in which AWS may still be asked for something; negative when it is over."""
        return self.to_report() - self._reporting
