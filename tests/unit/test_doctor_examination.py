"""How the parts of an examination make one: each check has its finding, whatever happens in the others."""

from __future__ import annotations

import pytest

from handler.doctor.dependencies import Dependencies, Part, examines
from handler.doctor.examination import CHECKS, examine
from handler.doctor.findings import Check, Finding, Status, failed, ok
from tests.fakes.dependencies import dependencies

FIRST, SECOND = Check("first", "Is it?"), Check("second", "Is it, too?")


@examines(FIRST)
def holds(_: Dependencies) -> list[Finding]:
    return [ok(FIRST, "yes")]


@examines(FIRST)
def fails(_: Dependencies) -> list[Finding]:
    return [failed(FIRST, "no", "c", "d")]


@examines(FIRST)
def breaks(_: Dependencies) -> list[Finding]:
    raise RuntimeError("Authorization: Bearer t0ken")


@examines(SECOND, needs=(FIRST,), not_local="not here")
def needs_first(_: Dependencies) -> list[Finding]:
    return [ok(SECOND, "yes")]


@examines(SECOND, needs_settings=False)
def needs_nothing(_: Dependencies) -> list[Finding]:
    return [ok(SECOND, "yes")]


def told(*parts: Part, bad: str | None = None, local: bool = False) -> dict[str, Finding]:
    it = dependencies()
    it.local = local
    return {one.check.name: one for one in examine(it, bad, parts)}


def test_what_a_failed_check_is_needed_for_is_skipped_and_says_so() -> None:
    assert told(holds, needs_first)["second"].status is Status.OK
    assert told(fails, needs_first)["second"].found == "it depends on first"


def test_a_part_that_breaks_is_a_failed_check_and_repeats_no_message() -> None:
    found = told(breaks, needs_nothing)
    assert found["first"].status is Status.FAILED
    assert found["first"].found == "RuntimeError: it could not be examined"
    assert found["second"].status is Status.OK


def test_under_bad_settings_only_what_needs_none_is_examined() -> None:
    found = told(holds, needs_nothing, bad="1 bad variable")
    assert found["settings"].status is Status.FAILED
    assert found["first"].found == "it depends on settings"
    assert found["second"].status is Status.OK


def test_under_sam_local_what_is_not_there_is_skipped() -> None:
    assert told(holds, needs_first, local=True)["second"].found == "not here"


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_each_check_has_a_name_of_its_own_and_a_question(check: Check) -> None:
    assert [one.name for one in CHECKS].count(check.name) == 1
    assert check.question.endswith("?")
