"""`make dashboard`: draw the template's dashboards as pages, and as pictures for the README."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from local.stack import REGION
from tools.dashboard_preview import browser, housekeeping_week, week
from tools.dashboard_preview.errors import CannotDrawError
from tools.dashboard_preview.page import WIDTH, height, page
from tools.dashboard_preview.template import TEMPLATE, Template
from tools.dashboard_preview.widgets import Recorded, read

ROOT = TEMPLATE.parent
SERVICE = "spot-cleanup"
"""The handler's own default, without a stack."""
INTERVALS = ("60", "120", "180", "240", "300", "600", "900")
"""Those that the template has."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A dashboard of the template, and the week that fills it."""

    dashboard: str
    record: Callable[[timedelta], tuple[Recorded, int]]
    interval: timedelta
    picture: str


def about(runs: int, interval: timedelta) -> str:
    """What a reader of the picture must know."""
    return (
        f"Drawn from monitoring.yaml and a local week: {runs:,} runs of the real handler, one every "
        f"{interval.total_seconds() / 60:g} minutes, on the reference backend and moto. Invocations, errors "
        "and durations are measured here; what only AWS could measure says so."
    )


def subjects(seconds: str) -> list[Subject]:
    """Both dashboards; the interval is the termination function's."""
    return [
        Subject("Dashboard", week.record, timedelta(seconds=int(seconds)), "dashboard"),
        Subject(
            "HousekeepingDashboard",
            housekeeping_week.record,
            timedelta(hours=1),
            "dashboard-housekeeping",
        ),
    ]


def parameters(seconds: str) -> dict[str, str]:
    """The template's parameters, as template.yaml hands them in with its own defaults."""
    return {
        "ParentStack": "spot-cleanup",
        "TerminationFunction": "TerminationFunction",
        "HousekeepingFunction": "HousekeepingFunction",
        "TerminationLogGroup": "TerminationLogGroup",
        "HousekeepingLogGroup": "HousekeepingLogGroup",
        "FailedRunsQueue": "FailedRunsQueue",
        "UndeliveredQueue": "UndeliveredQueue",
        "ServiceName": SERVICE,
        "MetricsNamespace": "SpotOptimizer",
        "TerminationCheckInterval": seconds,
        "OverdueAfterSeconds": "3600",
        "AlarmEmail": "",
        "AlarmTopicArn": "",
        "Stage": "production",
        "Agent": week.AGENT,
        "AWS::Region": REGION,
    }


def draw(subject: Subject, template: Template, pages: Path, pictures: Path | None) -> None:
    """Run the week, write the page, and the picture where pictures are wanted."""
    recorded, runs = subject.record(subject.interval)
    dashboard = template.dashboard(subject.dashboard)
    placed = read(dashboard, template, recorded)
    written = pages / f"{subject.picture}.html"
    written.write_text(page(dashboard.name, about(runs, subject.interval), placed))
    print(f"{subject.dashboard}: {runs} runs; {written}")
    if pictures is not None:
        picture = pictures / f"{subject.picture}.png"
        browser.screenshot(written, picture, WIDTH, height(placed))
        print(f"  {picture}, {picture.stat().st_size // 1024} kB")


def main() -> int:
    """Parse the command line; 1 if something cannot be drawn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interval", choices=INTERVALS, default="300", help="seconds between runs")
    parser.add_argument("--pages", type=Path, default=ROOT / "build", help="where pages go")
    parser.add_argument("--pictures", type=Path, default=ROOT / "docs", help="where PNGs go")
    arguments = parser.parse_args()
    arguments.pages.mkdir(exist_ok=True)
    pictures = arguments.pictures if browser.find() else None
    if pictures is None:
        print("no chromium here (Debian: apt-get install chromium): pages only, no pictures")
    template = Template.read(parameters(arguments.interval))
    try:
        for subject in subjects(arguments.interval):
            draw(subject, template, arguments.pages, pictures)
    except (CannotDrawError, browser.BrowserError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
