"""A change is tried on the tests that reach it, in a copy of the project, and the verdict is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.mutants import reach, trial
from tools.mutants.__main__ import report
from tools.mutants.mutations import Mutation, mutations
from tools.mutants.trial import Copy, Verdict

PRODUCT = """def limit():
    return 3

LIMIT = limit()

def small(number):
    return number < LIMIT

def unused():
    while small(1):
        pass
"""
TESTS = """import pytest
from product import small, unused

@pytest.mark.parametrize("number", [1, 2])
def test_small(number):
    assert small(number)

def test_large():
    assert not small(8)

def test_other():
    pass
"""


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    """Of a project with one file and its tests."""
    project = tmp_path / "original"
    (project / "src").mkdir(parents=True)
    (project / "src" / "product.py").write_text(PRODUCT)
    (project / "test_product.py").write_text(TESTS)
    (project / "conftest.py").write_text(
        "import gc\n\ndef pytest_collection_finish():\n    gc.freeze()\n"
    )
    (project / "pyproject.toml").write_text("[tool.pytest.ini_options]\npythonpath = ['src']\n")
    monkeypatch.setattr(trial, "ROOT", project)
    trial._forks.set_forkserver_preload(["pytest"])  # the libraries' tests are not run here
    return Copy(tmp_path)


def change(old: str, new: str) -> Mutation:
    (found,) = [one for one in mutations(PRODUCT) if (one.old, one.new) == (old, new)]
    return found


@pytest.mark.parametrize("served", [False, True])
def test_verdicts(copy: Copy, served: bool) -> None:
    found = copy.reach(["test_product.py"], 60)
    assert found.lines["test_product.py::test_small"] == {"product.py": {6, 7}}
    assert found.lines["test_product.py::test_other"] == {}
    if served:
        copy.serve(["test_product.py"])

    def verdict(mutation: Mutation, limit: float = 60) -> Verdict:
        tests = found.tests_for("product.py", mutation)
        assert "test_product.py::test_other" not in tests
        return copy.verdict(
            "product.py",
            mutation.applied(PRODUCT),
            tests,
            limit,
            at_import=found.at_import("product.py", mutation),
        )

    assert verdict(change("return number < LIMIT", "return None")) is Verdict.KILLED
    assert verdict(change("number < LIMIT", "(number <= LIMIT)")) is Verdict.SURVIVED
    assert verdict(change("3", "4")) is Verdict.SURVIVED
    assert verdict(change("return 3", "return None")) is Verdict.KILLED, "only an import runs it"
    assert verdict(change("small(1)", "(not small(1))")) is Verdict.UNREACHED
    assert (copy.folder / "src" / "product.py").read_text() == PRODUCT
    endless = PRODUCT.replace("return number < LIMIT", "while True: pass")
    assert (
        copy.verdict("product.py", endless, ["test_product.py::test_small"], 3, at_import=False)
        is Verdict.TIMED_OUT
    )


def test_tests_that_fail_as_things_are_prove_nothing(copy: Copy) -> None:
    (copy.folder / "src" / "product.py").write_text(PRODUCT.replace("3", "1"))
    with pytest.raises(RuntimeError, match="do not pass without any change"):
        copy.reach(["test_product.py"], 60)


def test_the_quickest_tests_are_taken_as_long_as_the_budget_lasts() -> None:
    lines = {name: {"a.py": {4}} for name in ("slow", "quick", "slower")}
    seconds = {"quick": 1.0, "slow": reach.BUDGET_SECONDS - 2, "slower": reach.BUDGET_SECONDS}
    (mutation,) = mutations("\n\ndef f():\n    a < b\n")
    found = reach.Found(lines, seconds, {})
    assert found.tests_for("a.py", mutation) == ["quick", "slow"]
    assert found.tests_for("b.py", mutation) == []


def test_the_report_lists_what_nobody_noticed() -> None:
    sample = [("a.py", one) for one in mutations("a < b\nc < d\ne < f\n")]
    verdicts = [Verdict.KILLED, Verdict.SURVIVED, Verdict.UNREACHED]
    assert report(sample, verdicts, 7).splitlines() == [
        "3 of 7 mutants tried; 1 killed (33%)",
        "    1 killed",
        "    1 survived",
        "    1 reached by no test",
        "src/a.py:2: c < d -> (c <= d)  [survived]",
        "src/a.py:3: e < f -> (e <= f)  [reached by no test]",
    ]
