"""What keeps a version from being released: read from the checkout, nothing is changed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

VERSION = re.compile(r"\d+\.\d+\.\d+")
SECTION = re.compile(r"^## (?P<name>\S+)(?P<date> - \d{4}-\d\d-\d\d)?\n(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)  # fmt: skip


def tag_of(version: str) -> str:
    """The version's tag."""
    return f"v{version}"


def git(root: Path, *arguments: str) -> str:
    """What git says. Raises CalledProcessError."""
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def notes(root: Path, version: str) -> str:
    """What the changelog says of this version; empty if it has no section, or none with a date."""
    for section in SECTION.finditer((root / "CHANGELOG.md").read_text()):
        if section["name"] == version and section["date"]:
            return section["text"].strip()
    return ""


def refusals(root: Path, version: str) -> list[str]:
    """Every reason not to release; none: it may go."""
    found = []
    if not VERSION.fullmatch(version):
        found.append(f"say which version, as VERSION=1.2.3 (it is {version!r})")
    own = re.search(
        r'^VERSION = "(.*)"', (root / "src/handler/__init__.py").read_text(), re.MULTILINE
    )
    if own is None or own[1] != version:
        found.append(f"src/handler/__init__.py has version {own[1] if own else 'none'}")
    if not notes(root, version):
        found.append(f"CHANGELOG.md has nothing under '## {version} - <year-month-day>'")
    if unreleased := _unreleased(root):
        found.append(f"CHANGELOG.md still has {unreleased} line(s) under '## Unreleased'")
    if changed := git(root, "status", "--porcelain"):
        found.append(f"the tree is not clean: {', '.join(changed.split()[1::2][:5])}")
    if git(root, "tag", "--list", tag_of(version)):
        found.append(f"the tag {tag_of(version)} is there already")
    return found


def _unreleased(root: Path) -> int:
    sections = SECTION.finditer((root / "CHANGELOG.md").read_text())
    texts = [section["text"] for section in sections if section["name"] == "Unreleased"]
    return len([line for text in texts for line in text.splitlines() if line.strip()])
