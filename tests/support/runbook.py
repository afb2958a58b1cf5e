"""docs/runbook.md as its reader uses it: sections by their headings, and the blocks of commands in them."""

from __future__ import annotations

import re
from pathlib import Path

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
