"""What MkDocs does not look for: `python -m tools.site_check build/site` fails if a page is not as it should be.

Nothing is fetched from elsewhere, no mark for tests shows, and no Markdown was left as it was written.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
"""What a browser fetches by itself. A <link> does so unless it only names an address."""
NAMES_ONLY = {"canonical", "next", "prev", "alternate"}
LEFT_OVER = (
    (re.compile(r"^\s*\|.*\|\s*$", re.MULTILINE), "a table that is none"),
    (re.compile(r"^\s*(?:[-*]|\d+\.) ", re.MULTILINE), "a list that is none: it needs an empty line before it"),
    (re.compile(r"```|~~~"), "a code block that is none"),
    (re.compile(r"\[[^\]]+\]\([^)]+\)"), "a link that is none"),
    (re.compile(r"^#{1,6} ", re.MULTILINE), "a heading that is none"),
)  # fmt: skip
"""In a paragraph's text."""


class Page(HTMLParser):
    """One page: its paragraphs outside code, its comments, and what it fetches."""

    def __init__(self) -> None:
        super().__init__()
        self.paragraphs: list[str] = []
        self.faults: list[str] = []
        self.title = False
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note what is fetched."""
        given = dict(attributes)
        address = given.get(FETCHED.get(tag, "")) or ""
        if re.match(r"(https?:)?//", address) and given.get("rel") not in NAMES_ONLY:
            self.faults.append(f"fetches {address}")
        self._open += [tag] if tag in {"p", "code", "pre", "h1", "article"} else []
        if tag == "p":
            self.paragraphs.append("")
        self.title = self.title or tag == "h1"

    def handle_endtag(self, tag: str) -> None:
        """Leave it."""
        if tag in self._open:
            del self._open[len(self._open) - 1 - self._open[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        """Keep prose."""
        if "p" in self._open and not {"code", "pre"} & {*self._open}:
            self.paragraphs[-1] += data

    def handle_comment(self, data: str) -> None:
        """A comment may be a mark for tests."""
        if "article" in self._open:
            self.faults.append(f"has a comment: {data.strip()[:60]}")


def faults_of(html: str) -> list[str]:
    """What is wrong with one page."""
    page = Page()
    page.feed(html)
    found = list(page.faults) if page.title else [*page.faults, "has no title"]
    for text in page.paragraphs:
        found += [f"{what}: {text.strip()[:60]}" for bad, what in LEFT_OVER if bad.search(text)]
    return found


def main() -> int:
    """Look at every page; 1 if one has a fault."""
    site = Path(sys.argv[1])
    pages = [path for path in sorted(site.rglob("*.html")) if path.name != "404.html"]
    found = [
        f"{path.relative_to(site)}: {one}" for path in pages for one in faults_of(path.read_text())
    ]
    for path in site.rglob("*.css"):
        fetched = re.findall(r"url\(\W?((?:https?:)?//[^)\"']+)", path.read_text())
        found += [f"{path.relative_to(site)}: fetches {one}" for one in fetched]
    print(
        "\n".join(found) if found else f"{site}: {len(pages)} pages",
        file=sys.stderr if found else None,
    )
    return 1 if found or not pages else 0


if __name__ == "__main__":
    raise SystemExit(main())
