"""Both ways: a finding without an explanation counts, and an explanation without a finding."""

from __future__ import annotations

from tests.template.stack import known, source
from tools.checkov.__main__ import EVERYTHING, EXCEPTIONS, templates, verdict


def test_what_is_explained_is_no_finding() -> None:
    assert verdict(EXCEPTIONS) == []


def test_a_finding_that_nobody_explained_and_an_exception_that_is_over_are_told() -> None:
    first, *rest = sorted(EXCEPTIONS)
    assert verdict([*rest, ("CKV_AWS_999", "FailedRunsQueue")]) == [
        "CKV_AWS_999 on FailedRunsQueue: not explained",
        f"{first[0]} on {first[1]}: is no exception any more",
    ]


def test_an_exception_is_about_what_there_is_and_says_why() -> None:
    assert {name for _, name in EXCEPTIONS} <= known("Resources")
    assert all(len(why) > 20 for why in EXCEPTIONS.values())


def test_what_is_judged_is_transformed_once_with_everything_switched_on() -> None:
    given = templates()
    kinds = {one["Type"] for one in given["everything.json"]["Resources"].values()}
    assert "AWS::Lambda::Function" in kinds
    assert not [kind for kind in kinds if "Serverless" in kind]
    for name, value in EVERYTHING.items():
        declared = source()["Parameters"][name]
        assert value in declared.get("AllowedValues", [value])
        assert given["everything.json"]["Parameters"][name]["Default"] == value
        assert given["defaults.json"]["Parameters"][name] == declared
