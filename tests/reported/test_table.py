"""The table of public reports in docs/reliability.md: as written here, and each test is there."""

from pathlib import Path

import pytest

from tests.facts.test_facts import READ
from tests.reported import reports, test_reported

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"


@pytest.mark.parametrize("kind", reports.KINDS, ids=lambda kind: kind.reports[0])
def test_a_kinds_test_is_there(kind: reports.Kind) -> None:
    file, _, name = kind.test.partition("::")
    if file == reports.RUN:
        assert callable(getattr(test_reported, name))
    else:
        facts = {fact.name for _, some in READ for fact in some}
        assert kind.test.removeprefix(f"{reports.FACT}[").removesuffix("]") in facts


def test_no_report_is_counted_twice_and_there_are_forty() -> None:
    every = [report for kind in reports.KINDS for report in kind.reports]
    assert len(set(every)) == len(every) >= 40


def test_the_document_has_the_table() -> None:
    assert "\n".join(reports.section()) in DOCUMENT.read_text()
