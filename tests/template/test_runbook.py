"""The runbook's sections: one for each alarm and each check of the doctor, and every name in it is known."""

from __future__ import annotations

import re

import pytest

from handler.doctor.examination import CHECKS
from tests.support import runbook

ROOT = runbook.ROOT
COMMANDS = runbook.TEXT + (ROOT / "docs" / "migration.md").read_text()
TEMPLATE = "".join((ROOT / f"{name}.yaml").read_text() for name in ("template", "monitoring"))
ALARMS = re.findall(
    r"^  (\w+):\n    Type: AWS::CloudWatch::(?:Composite)?Alarm$", TEMPLATE, re.MULTILINE
)
AWS_WORDS = {
    "AccessDenied",
    "ConnectTimeoutError",
    "ConnectionClosedError",
    "CreateTags",
    "DeleteOnTermination",
    "DeleteTags",
    "DoNotTerminate",
    "EndpointConnectionError",
    "LogicalAgentId",
    "ManagedBy",
    "ReadTimeoutError",
    "RequestLimitExceeded",
    "ResourceNotFoundException",
    "StateReason",
    "StateTransitionReason",
    "TerminateInstances",
    "TooManyRequestsException",
    "UnauthorizedOperation",
}


@pytest.mark.parametrize(
    "output", sorted(set(re.findall(r"(?:OutputKey=='|\$\(out )(\w+)", COMMANDS)))
)
def test_an_output_that_is_named_is_the_template_s(output: str) -> None:
    outputs = TEMPLATE.partition("\nOutputs:\n")[2]
    assert f"\n  {output}:\n" in f"\n{outputs}"


@pytest.mark.parametrize("file", sorted(set(re.findall(r"events/\w+\.json", COMMANDS))))
def test_an_event_that_is_named_is_there(file: str) -> None:
    assert (ROOT / file).exists()


@pytest.mark.parametrize("alarm", ALARMS)
def test_each_alarm_has_its_section_and_names_it(alarm: str) -> None:
    section = re.search(rf"^### {alarm}\n(.*?)(?=^##|\Z)", runbook.TEXT, re.DOTALL | re.MULTILINE)
    assert section
    told = re.findall(r"^- \*\*(Means|Meanwhile|First|Over when|Call)\b", section[1], re.MULTILINE)
    assert told == ["Means", "Meanwhile", "First", "Over when", "Call"]
    described = TEMPLATE.partition(f"\n  {alarm}:\n")[2].partition("\n\n")[0]
    assert f"docs/runbook.md, section {alarm}." in " ".join(described.split())


def test_each_section_by_alarm_is_an_alarm_s() -> None:
    by_alarm = runbook.TEXT.partition("\n## By alarm\n")[2].partition("\n## ")[0]
    assert re.findall(r"^### (.*)$", by_alarm, re.MULTILINE)
    assert set(re.findall(r"^### (.*)$", by_alarm, re.MULTILINE)) == set(ALARMS)


def test_a_parameter_that_is_named_is_the_template_s() -> None:
    """`CamelCase` in backticks: a parameter, an output, a resource, an alarm, a metric, or a word of AWS's or a tag."""
    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)(?:=\w+)?`", runbook.TEXT))
    known = set(re.findall(r"^  (\w+):$", TEMPLATE, re.MULTILINE))
    known |= set(re.findall(r'"(Housekeeping\w+)"', TEMPLATE))  # the dashboard's metrics
    assert named - known <= AWS_WORDS


def test_the_question_leads_to_each_check_once() -> None:
    """`Why is nothing terminated?` is a list that ends nowhere else."""
    asked = runbook.section("Why is nothing terminated?")
    steps = re.findall(r"^\d\. .*?(?=^\d\. |\n\n)", asked, re.DOTALL | re.MULTILINE)
    assert len(steps) == 9
    for check in CHECKS:
        assert any(f"](#{check})" in step for step in steps), check


def test_the_first_page_stops_everything() -> None:
    first = "\n".join(runbook.TEXT.splitlines()[:40])
    assert "put-function-concurrency --reserved-concurrent-executions 0" in first
    assert "*Reserve concurrency*, `0`, *Save*" in first


def test_no_mark_of_a_test_shows_in_the_page() -> None:
    """A fence with more than its language is shown as text by some renderers."""
    for page in ("runbook", "migration", "deploy"):
        text = (ROOT / "docs" / f"{page}.md").read_text()
        assert set(re.findall(r"^ *```(.*)$", text, re.MULTILINE)) <= {"", "sh", "sql", "insights"}


def test_every_link_within_leads_somewhere() -> None:
    headings = re.findall(r"^#+ (.*)$", runbook.TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}
    assert {
        link for link in re.findall(r"\]\(#([\w-]+)\)", runbook.TEXT) if link not in anchors
    } == set()
