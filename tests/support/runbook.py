"""docs/runbook.md as its reader uses it: sections by their headings, and the blocks of commands in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "runbook.md").read_text()
EXAMPLE = "i-1234567890abcdef0"
"""The machine of the page's commands."""


def blocks(text: str) -> list[str]:
    """The shell blocks of a text."""
    return re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def section(heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    found = re.search(rf"^(#+) `?{re.escape(heading)}`?\n", TEXT, re.MULTILINE)
    assert found, f"the page has no section {heading}"
    end = re.compile(rf"^#{{1,{len(found[1])}}} ", re.MULTILINE).search(TEXT, found.end())
    return TEXT[found.end() : end.start() if end else None]


SETUP = blocks(section("What you need"))[0]
"""What the reader pastes once into a shell."""


class Row(NamedTuple):
    """What the doctor may say, and what to do about it: the doctor's own words, in italics."""

    says: tuple[str, ...]
    do: tuple[str, ...]


def rows(heading: str) -> list[Row]:
    """The rows of a section of a check."""
    cells = re.findall(r"^\| (.*\*.*) \| (.*) \|$", section(heading), re.MULTILINE)
    found = [Row(_words(says), _words(do)) for says, do in cells]
    assert all(one.do for one in found), f"{heading}: a row without the doctor's cure"
    return found


def _words(cell: str) -> tuple[str, ...]:
    return tuple(one.lower().rstrip(".:") for one in re.findall(r"\*([^*]+)\*", cell))


@cache
def _of_check(check: str) -> list[Row]:
    return rows(check) + rows("At any check")


def leads(check: str, said: str, cure: str) -> None:
    """Whoever searches the section for the doctor's words finds a row, and each one found names its cure.

    Args:
        check: the check's name: the section's.
        said: what was found, and its cause.
        cure: the doctor's.
    """
    found = [one for one in _of_check(check) if any(words in said.lower() for words in one.says)]
    assert found, f"the runbook's section {check} does not know: {said}"
    for one in found:
        other = [words for words in one.do if words not in cure.lower()]
        assert not other, f"{check}: {said}\nthe runbook: {other}\nthe doctor: {cure}"


def leads_from(answer: Mapping[str, Any]) -> None:
    """Each finding of the doctor's answer leads to its rows."""
    for one in answer["checks"]:
        if one["cure"]:
            leads(one["check"], f"{one['found']} {one['cause']}", one["cure"])
