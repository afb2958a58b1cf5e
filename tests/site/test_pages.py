"""What stands in a page's file becomes what its readers see, and a page that is not right is found."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from handler.instances.outcome import Outcome
from tools.site_check import faults_of
from tools.site_pages import PAGES, as_page

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


class Loader(yaml.SafeLoader):
    """Reads mkdocs.yml, in which one setting names a Python function."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def pages_of(node: object) -> list[str]:
    if isinstance(node, str):
        return [node]
    parts = node.values() if isinstance(node, dict) else node
    return [page for part in parts for page in pages_of(part)]  # type: ignore[attr-defined]


def test_every_page_is_in_the_navigation_once() -> None:
    named = pages_of(yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)["nav"])  # noqa: S506
    assert sorted(named) == sorted({*PAGES.values(), *(path.name for path in DOCS.glob("*.md"))})


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_a_page_begins_with_its_title_and_a_sentence(path: Path) -> None:
    title, empty, first, *_ = as_page(path.read_text(), f"docs/{path.name}").splitlines()
    assert title.startswith("# ")
    assert not empty
    assert first[:1].isalnum()


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_no_mark_for_tests_is_left_on_a_page(path: Path) -> None:
    text = as_page(path.read_text(), f"docs/{path.name}")
    assert "<!--" not in text
    assert not [line for line in text.splitlines() if line.startswith("```") and " " in line]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("```sh account\nls\n```\n", "```sh\nls\n```\n"),
        ("```sh run name=one\nls <!-- kept -->\n```\n", "```sh\nls <!-- kept -->\n```\n"),
        ("<!-- run -->\nText\n", "Text\n"),
        ("[a](runbook.md#b) [c](#d)", "[a](runbook.md#b) [c](#d)"),
        ("[a](../README.md)", "[a](index.md)"),
        ("[the *rules*](../CONTRIBUTING.md#what-we-hold-to)", "[the *rules*](contributing.md#what-we-hold-to)"),
        ("[EC2](../tools/ec2_emulator), [it](../template.yaml)", "EC2, it"),
        ("[not there](../nothing.md)", "[not there](../nothing.md)"),
        ("[away](https://example.com/a)", "[away](https://example.com/a)"),
        ("![a](dashboard.png)", "![a](dashboard.png)"),
        ("Two things:\n- one\n- two", "Two things:\n\n- one\n- two"),
        ("- one\n  more\n- two", "- one\n  more\n- two"),
        ("In\n2. of a sentence", "In\n2. of a sentence"),
    ],
)  # fmt: skip
def test_a_page_of_docs(written: str, shown: str) -> None:
    assert as_page(written, "docs/page.md") == shown


def test_a_page_from_outside_docs_has_its_links_from_there() -> None:
    text = "[a](docs/deploy.md#x) [b](events/README.md) ![c](docs/dashboard.png) [d](src/handler)"
    assert as_page(text, "CONTRIBUTING.md") == (
        "[a](deploy.md#x) [b](sample-events.md) ![c](dashboard.png) d"
    )


GOOD = '<html><head><link rel="canonical" href="https://a.example"></head><article><h1>T</h1>{}</article>'


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<p>Text, <code>- and</code> <a href="https://b.example">away</a></p>', None),
        ("<p>| a | b |</p>", "table"),
        ("<p>Two:\n- one</p>", "list"),
        ("<p>```sh account</p>", "code block"),
        ("<p>[a](b.md)</p>", "link"),
        ("<p>Text\n## More</p>", "heading"),
        ("<!-- run --><p>Text</p>", "comment"),
        ('<img src="https://b.example/a.png">', "fetches"),
        ('<script src="//b.example/a.js"></script>', "fetches"),
        ('<link rel="stylesheet" href="https://b.example/a.css">', "fetches"),
    ],
)
def test_a_page_with_a_fault_is_told(body: str, fault: str | None) -> None:
    found = faults_of(GOOD.format(body))
    assert len(found) == (fault is not None)
    assert fault is None or fault in found[0]


def test_the_site_is_built_so_that_a_bad_link_is_an_error() -> None:
    """MkDocs' --quiet hides warnings before --strict can count them."""
    (build,) = [
        line for line in (ROOT / "Makefile").read_text().splitlines() if "mkdocs build" in line
    ]
    assert "--strict" in build
    assert not {"-q", "--quiet"} & {*build.split()}


def test_a_page_without_a_title_is_told() -> None:
    assert faults_of("<p>Text</p>") == ["has no title"]


def test_the_page_on_decisions_has_every_outcome() -> None:
    text = (DOCS / "decisions.md").read_text()
    table = text[text.index("## The outcomes") : text.index("## The order")]
    rows = [line.split("|")[1].strip(" `") for line in table.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(one.key for one in Outcome)
