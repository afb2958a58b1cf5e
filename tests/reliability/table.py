"""The rows of `docs/reliability.md`: handed over by tests, written once by a full run."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.reported import reports

SOAK = os.environ.get("SOAK") == "1"
"""Whether this is a full run."""
SECONDS = float(os.environ.get("SOAK_SECONDS", "inf"))
"""For how long each of the three kinds of tests begins new tries in a full run; what it did not come
to is not in the document."""
PROPERTY = "reliability"
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
PARTS = {
    "history": "Any fleet, any list, any faults, any order",
    "aws": "Faults of AWS",
    "backend": "Faults of the backend",
    "crash": "Crashes of the built artifact",
}
_BEGAN: dict[str, float] = {}


def time_is_over(test: str, share: float) -> bool:
    """Whether this test is to begin no further try; it has that share of `SECONDS`."""
    return time.monotonic() - _BEGAN.setdefault(test, time.monotonic()) > SECONDS * share


@dataclass(frozen=True, order=True)
class Row:
    """One kind of trouble: how often it was tried, and what came of it."""

    part: str
    what: str
    tries: int
    result: str


Record = Callable[[str, object], None]
"""Pytest's `record_property`, which reaches the process that writes the document."""


def add(record: Record, part: str, what: str, tries: int, result: str) -> None:
    """Hand a row over; what was not tried has none."""
    if tries:
        record(PROPERTY, json.dumps(asdict(Row(part, what, tries, result))))


def read(properties: Iterable[tuple[str, object]]) -> list[Row]:
    """The rows among a test's properties."""
    return [Row(**json.loads(str(value))) for name, value in properties if name == PROPERTY]


def written(rows: Iterable[Row], still_open: Iterable[str]) -> str:
    """The document: a summary, what is open, and each part's table folded."""
    tries: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        tries[row.part, row.what, row.result] += row.tries
    known = sorted(Row(part, what, n, result) for (part, what, result), n in tries.items())
    total = {row.what: row.tries for row in known}
    of = {part: sum(row.tries for row in known if row.part == part) for part in PARTS}
    faults = sum(row.tries for row in known if row.what.startswith("anywhere in a history"))
    lines = [
        "# Reliability: what was tried, and what came of it",
        "",
        "Written by `make soak`. The real handler ran between an emulated AWS account and the",
        "reference backend with the original's ways switched on, for four agents: one of them",
        "off, one with a longer wait, one without a logical id. What must hold stands in",
        "`tests/reliability/invariants.py`: it was examined after every run, and once more after a",
        "calm period. Every try below held; what does not hold stands under *Known and open*.",
        "",
        "| tried | |",
        "|---|---:|",
        f"| histories, drawn from a seed | {total.get('histories', 0):,} |",
        f"| runs in them | {total.get('runs', 0):,} |",
        f"| of these, runs that ended instances | {total.get('runs that ended instances', 0):,} |",
        f"| of these, runs that met a fault | {total.get('runs in which a fault was met', 0):,} |",
        f"| of these, runs in the middle of another | {total.get('two runs at once', 0):,} |",
        f"| faults that were set in them | {faults:,} |",
        f"| faults of AWS, each alone | {of['aws']:,} |",
        f"| faults of the backend, each alone | {of['backend']:,} |",
        f"| crashes and overlaps of the built artifact | {of['crash']:,} |",
        "",
        "## Known and open",
        "",
        *(f"- {each}" for each in sorted(set(still_open))),
    ]
    for part, title in PARTS.items():
        of_part = [row for row in known if row.part == part]
        if of_part:
            lines += ["", f"## {title}", "", "<details>"]
            lines += [f"<summary>{len(of_part)} rows</summary>", ""]
            lines += ["| what | tries | result |", "|---|---:|---|"]
            lines += [f"| {row.what} | {row.tries:,} | {row.result} |" for row in of_part]
            lines += ["", "</details>"]
    return "\n".join([*lines, "", *reports.section()]) + "\n"
