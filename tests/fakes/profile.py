"""How hypothesis runs: without deadlines, and the same every time under CI."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings


def load() -> None:
    """Choose the profile; `HYPOTHESIS_EXAMPLES` asks for more than the daily dose."""
    settings.register_profile(
        "daily",
        deadline=None,
        derandomize=os.environ.get("CI") == "true",
        database=None,
        max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "100")),
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("daily")
