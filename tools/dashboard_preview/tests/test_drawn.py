"""Both of the template's dashboards, drawn from a week with fewer runs, in a real browser."""

from __future__ import annotations

import fcntl
import html
import os
import pickle
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from tools.dashboard_preview import browser, housekeeping_week, week
from tools.dashboard_preview.__main__ import about, parameters
from tools.dashboard_preview.page import WIDTH, height, page
from tools.dashboard_preview.stage import SPAN
from tools.dashboard_preview.template import Dashboard, Template
from tools.dashboard_preview.widgets import (
    NO_DATA,
    ONLY_IN_AWS,
    Drawn,
    Graph,
    Listing,
    Placed,
    read,
)

TEMPLATE = Template.read(parameters("300"))
NEVER_HERE = {
    "InstancesCameBack",  # moto cancels no Spot requests
    "TerminationsPending",  # only with ConfirmTermination
    "ReportsReplayed",  # needs a backend that lists again what it has confirmed
    "CleanupReportsWaiting",  # while the backend is down nothing is deleted
    "HousekeepingFailures",
    "HousekeepingKeptUnproven",
}
"""What this week does not have; it is drawn as `no data`."""


@dataclass(frozen=True)
class Played:
    dashboard: Dashboard
    placed: list[Placed]
    page: str


@dataclass(frozen=True)
class Player:
    """Plays a week once, whichever of the test run's processes asks for it first."""

    shared: Path

    def play(self, name: str) -> Played:
        kept = self.shared / f"{name}.pickle"
        with (self.shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                kept.write_bytes(pickle.dumps(drawn(name)))
        played: Played = pickle.loads(kept.read_bytes())  # noqa: S301 - written above
        return played


def drawn(name: str) -> Played:
    interval = timedelta(hours=1 if name == "Dashboard" else 12)
    record = week.record if name == "Dashboard" else housekeeping_week.record
    recorded, runs = record(interval)
    assert runs == SPAN // interval
    dashboard = TEMPLATE.dashboard(name)
    placed = read(dashboard, TEMPLATE, recorded)
    return Played(dashboard, placed, page(dashboard.name, about(runs, interval), placed))


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Player:
    own = tmp_path_factory.getbasetemp()
    return Player(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)


@pytest.fixture(params=["Dashboard", "HousekeepingDashboard"])
def played(request: pytest.FixtureRequest, player: Player) -> Played:
    return player.play(request.param)


@pytest.fixture
def document(played: Played, tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    path.write_text(played.page)
    return path


@pytest.fixture
def chromium() -> None:
    if browser.find() is None:
        if os.environ.get("REQUIRE_CHROMIUM") == "1":
            pytest.fail("REQUIRE_CHROMIUM=1, but there is no chromium")
        pytest.skip("no chromium")


def lines(played: Played) -> Iterator[Drawn]:
    for one in played.placed:
        if isinstance(one.content, Graph):
            yield from one.content.lines


def test_every_widget_of_the_template_is_there_and_where_it_belongs(played: Played) -> None:
    assert [(p.x, p.y, p.width, p.height, p.content.title) for p in played.placed] == [
        (w["x"], w["y"], w["width"], w["height"], w["properties"]["title"])
        for w in played.dashboard.widgets
    ]


def test_every_line_has_points_or_says_why_not(played: Played) -> None:
    notes = {line.label: line.note for line in lines(played)}
    assert all(bool(line.points) == (line.note == "") for line in lines(played))
    assert {label for label, note in notes.items() if note == NO_DATA} <= NEVER_HERE
    only_in_aws = {label for label, note in notes.items() if note == ONLY_IN_AWS}
    assert "Throttles" in only_in_aws
    assert only_in_aws.isdisjoint({"Runs", "Errors", "Longest", "p50"})


def test_no_table_is_empty(played: Played) -> None:
    for one in played.placed:
        if isinstance(one.content, Listing):
            assert one.content.table.rows, one.content.title
            assert len(set(one.content.table.columns)) == len(one.content.table.columns)


def test_the_graphs_show_the_week_s_troubles(player: Player) -> None:
    of = {line.label: line.points for line in lines(player.play("Dashboard"))}
    assert sum(of["Errors"].values()) == 1  # the run at the hour of the outage
    assert sum(of["FuseBlown"].values()) == 2  # at eleven and at twelve
    assert sum(of["InstancesStuck"].values()) == 1
    assert sum(of["TerminationFailures"].values()) == 2  # both protected ones, once
    assert min(of["Success rate"].values()) < 100 == max(of["Success rate"].values())
    assert len(of["InstancesTerminated"]) == 7  # one point a day


def test_the_page_in_the_browser_has_every_title_legend_and_text(
    played: Played, document: Path, chromium: None
) -> None:
    loaded = html.unescape(browser.document(document))
    for one in played.placed:
        assert f"<h2>{one.content.title}</h2>" in loaded
    for line in lines(played):
        assert line.label in loaded
    graphs = [one for one in played.placed if isinstance(one.content, Graph)]
    assert loaded.count("<svg") == len(graphs)
    assert len(re.findall(r"<text[^>]*>11/18", loaded)) == len(graphs)


def test_the_picture_has_the_page_s_size_and_is_not_blank(
    played: Played, document: Path, chromium: None
) -> None:
    picture = document.with_suffix(".png")
    browser.screenshot(document, picture, WIDTH, height(played.placed))
    assert picture.stat().st_size < 400_000
    with Image.open(picture) as image:
        assert image.size == (WIDTH, height(played.placed))
        pixels = image.convert("RGB")
    for one in played.placed:
        left, top = 12 + one.x * 66, 66 + 12 + one.y * 50
        cut = pixels.crop((left, top + 30, left + one.width * 66 - 8, top + one.height * 50 - 8))
        colours = cut.getcolors(1 << 20)
        assert colours is not None
        assert len(colours) > 10, one.content.title


@pytest.mark.parametrize("name", ["dashboard.png", "dashboard-housekeeping.png"])
def test_the_committed_pictures_are_as_wide_as_the_page(name: str) -> None:
    picture = Path(__file__).resolve().parents[3] / "docs" / name
    assert picture.stat().st_size < 400_000
    with Image.open(picture) as image:
        assert image.width == WIDTH
