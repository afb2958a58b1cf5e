"""MkDocs' hook (mkdocs.yml): pages from outside docs/, and links and code blocks as the site needs them.

The files are written to be read where they are, in a checkout and on a forge. On the site a link to
a file that is no page has nowhere to go: its text stays.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
    "SUPPORT.md": "support.md",
    "events/README.md": "sample-events.md",
}
"""Files outside docs/ that are pages, and under which name. README's place is taken by docs/index.md."""
FENCE = re.compile(r"^\s*(```+|~~~+)")
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s:#]+)(#[^()\s]*)?\)")
"""A link to a file, with its text, path and anchor; not a picture."""
ITEM = re.compile(r"^ {0,3}(?:[-*+]|1[.)]) ")
"""What begins a list, also in the middle of a paragraph as forges read it; MkDocs wants an empty line."""
COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)


def as_page(text: str, source: str) -> str:
    """A file's text as the site has it.

    Args:
        text: Markdown.
        source: the file, from the repository's root.
    """
    parts = re.split(r"(^[ \t]*```.*?^[ \t]*```[ \t]*$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(
        _without_marks(part) if FENCE.match(part) else _prose(part, source) for part in parts
    )


def _without_marks(block: str) -> str:
    """A code block, without what its first line says beside the language: that is for tests."""
    return re.sub(r"^([ \t]*```[\w-]*)[^\n`]*", r"\1", block, count=1)


def _prose(text: str, source: str) -> str:
    folder = posixpath.dirname(source)

    def mended(match: re.Match[str]) -> str:
        said, path, anchor = match[1], match[2], match[3] or ""
        target = posixpath.normpath(posixpath.join(folder, path))
        if target in PAGES:
            return f"[{said}]({PAGES[target]}{anchor})"
        if target.startswith("docs/"):
            return f"[{said}]({target.removeprefix('docs/')}{anchor})"
        # What is not there stays a link, and MkDocs complains of it.
        return said if (ROOT / target).exists() else match[0]

    text = _with_lists(text)
    text = re.sub(r"(!\[[^\]]*\]\()docs/", r"\1", COMMENT.sub("", text))
    return LINK.sub(mended, text)


def _with_lists(text: str) -> str:
    """The same with an empty line before each list that begins in the middle of a paragraph."""
    lines: list[str] = []
    before, paragraph = "", False
    for line in text.split("\n"):
        if ITEM.match(line):
            lines += [""] * paragraph
            paragraph = False
        elif not line.strip() or not before.strip():
            paragraph = bool(line.strip())
        lines.append(line)
        before = line
    return "\n".join(lines)


def on_files(files: Any, config: Any) -> Any:  # noqa: ANN401 - MkDocs' own types are not here
    """Add the pages from outside docs/."""
    from mkdocs.structure.files import File  # noqa: PLC0415 - tests read this file without MkDocs

    for source, page in PAGES.items():
        if source != "README.md":
            files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:  # noqa: ANN401 - as above
    """Each page's text, before it is rendered."""
    return as_page(markdown, str(Path(page.file.abs_src_path).relative_to(ROOT)))
