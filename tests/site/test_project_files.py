"""What a forge reads (.github, SECURITY.md, SUPPORT.md) says what is true of this project."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from handler import VERSION
from tests.template.stack import source

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
FORMS = [path for path in sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")) if path.name != "config.yml"]  # fmt: skip


def read(path: Path) -> dict[str, Any]:
    return cast("dict[str, Any]", yaml.safe_load(path.read_text()))


def test_the_workflow_calls_the_check_and_may_only_read() -> None:
    workflow = read(GITHUB / "workflows" / "check.yml")
    assert workflow["permissions"] == {"contents": "read"}
    (job,) = workflow["jobs"].values()
    assert "bash .ci/run" in [step.get("run") for step in job["steps"]]
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", one) for one in used)


def test_every_lock_is_looked_after() -> None:
    updates = read(GITHUB / "dependabot.yml")["updates"]
    watched = {
        (one["package-ecosystem"], folder)
        for one in updates
        for folder in one.get("directories", [one.get("directory")])
    }
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    folders = {
        (kind, "/" + str(Path(name).parent).removeprefix("."))
        for kind, lock in (("pip", r"requirements.*\.txt"), ("npm", r"package-lock\.json"))
        for name in files
        if re.fullmatch(lock, Path(name).name)
    }
    assert watched == folders | {("github-actions", "/")}


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.name)
def test_a_form_is_one_that_the_forge_takes(form: Path) -> None:
    given = read(form)
    assert {"name", "description", "body"} <= given.keys()
    asked = [one for one in given["body"] if one["type"] != "markdown"]
    assert len({one["id"] for one in asked}) == len(asked)
    for one in asked:
        assert one["type"] in {"input", "textarea"}
        assert one["attributes"]["label"]


def test_the_bug_form_asks_for_the_doctors_answer_and_the_version() -> None:
    body = read(GITHUB / "ISSUE_TEMPLATE" / "bug.yml")["body"]
    needed = {one["id"]: one for one in body if one.get("validations", {}).get("required")}
    assert {"doctor", "version"} <= needed.keys()
    event = re.search(r"--event-file (\S+)`", needed["doctor"]["attributes"]["description"])
    assert event
    assert json.loads((ROOT / event[1]).read_text()) == {"doctor": True}


def test_support_names_the_runtime_the_architectures_and_sam_as_they_are() -> None:
    rows = dict(
        re.findall(r"^\| ([^|]+) \| ([^|]+) \|", (ROOT / "SUPPORT.md").read_text(), re.MULTILINE)
    )
    assert rows["Lambda runtime"] == f"`{source()['Globals']['Function']['Runtime']}`"
    allowed = source()["Parameters"]["Architecture"]["AllowedValues"]
    assert re.findall(r"`(\w+)`", rows["architecture"]) == allowed
    (locked,) = re.findall(
        r"^aws-sam-cli==(\S+)", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE
    )
    assert locked in rows["SAM's command line"]


def test_the_released_version_gets_corrections() -> None:
    rows = dict(
        re.findall(r"^\| ([^|]+) \| ([^|]+) \|", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)
    )
    assert rows[VERSION.rpartition(".")[0]] == "yes"
