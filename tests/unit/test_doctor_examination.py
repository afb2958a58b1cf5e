"""How the parts of an examination make one: each check has its finding, whatever happens in the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from threading import Event

import pytest

from handler.deadline import Deadline
from handler.doctor import backend, token
from handler.doctor.dependencies import Answered, Dependencies, Part, examines
from handler.doctor.examination import CHECKS, examine
from handler.doctor.findings import Check, Finding, Status, failed, ok
from tests.fakes.build import NOW, listing, marked
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


def test_a_given_token_is_for_local_runs() -> None:
    (finding,) = token.examine.examine(dependencies(CLIENT_TOKEN="t0ken"))
    assert (finding.status, "local runs" in finding.found) == (Status.OK, True)


class Several(Dependencies):
    """A function that acts for three agents."""

    @property
    def agents(self) -> Sequence[str]:
        return ["a", "b", "c"]


def several() -> Several:
    return Several(**{one.name: getattr(dependencies(), one.name) for one in fields(Dependencies)})


class TestSeveralAgents:
    def test_each_is_asked_with_its_own_token(self, monkeypatch: pytest.MonkeyPatch) -> None:
        it = several()
        it.settings = dependencies(CLIENT_TOKEN_PARAMETER="/tokens/{agent_id}").settings
        assert it.token("b").parameter == "/tokens/b"
        asked: list[tuple[str, bool]] = []

        def ask(_: Dependencies, agent_id: str, __: Deadline, *, anonymously: bool) -> Answered:
            asked.append((agent_id, anonymously))
            return Answered(
                200, True, "", listing(marked(1), enabled=agent_id != "b"), NOW, NOW, NOW
            )

        monkeypatch.setattr(backend, "_ask", ask)
        it.tokenless.add("c")
        told = [f"{one.check}: {one.status}: {one.found}" for one in backend.examine.examine(it)]
        assert sorted(asked) == [("a", False), ("b", False), ("c", True)]
        assert told[:2] == [
            "backend_reachable: ok: 3 agents (a, b, c): backend.example answers HTTP 200",
            "tls: ok: 3 agents (a, b, c): the certificate is trusted",
        ]
        assert told[-5:] == [
            "list_shape: ok: 2 agents (a, b): 1 instances are listed",
            "list_shape: skipped: agent c: it depends on token",
            "auto_terminate_backend: ok: agent a: on",
            "auto_terminate_backend: failed: agent b: off",
            "auto_terminate_backend: skipped: agent c: it depends on list_shape",
        ]
        assert set(it.listings) == {"a", "b"}

    def test_one_that_takes_too_long_is_skipped_and_says_so(self) -> None:
        it = several()
        it.deadline = Deadline(lambda: 0.0)
        never = Event()
        told = it.per_agent([FIRST], lambda _: [ok(FIRST, str(never.wait(30)))], 1)
        never.set()
        assert [(one.status, one.found) for one in told] == [
            (Status.SKIPPED, "3 agents (a, b, c): there was no time left for it")
        ]
