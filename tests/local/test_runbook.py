"""The runbook, and the commands of the guides for migration and deployment: run on the local stack, or known to AWS's CLI."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import jmespath  # type: ignore[import-untyped] # it has no types
import pytest
import requests
from botocore import xform_name

from handler.doctor.examination import CHECKS
from handler.doctor.findings import Check
from local import tags

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "runbook.md").read_text()
COMMANDS = TEXT + "".join(
    (ROOT / "docs" / name).read_text() for name in ("migration.md", "deploy.md")
)
BLOCKS: list[tuple[str, str]] = re.findall(
    r"^```(.*?)\n(.*?)^```$", COMMANDS, re.DOTALL | re.MULTILINE
)
LOCAL = [body for kind, body in BLOCKS if kind == "sh run"]
ACCOUNT = [line for kind, body in BLOCKS if kind == "sh account" for line in body.splitlines()]
NEEDED = (
    "Makefile", "src", "local", "backend", "events", ".venv", "requirements-dev.txt",
    ".python-version",
)  # fmt: skip
TEMPLATE = "".join((ROOT / f"{name}.yaml").read_text() for name in ("template", "monitoring"))
ALARMS = re.findall(
    r"^  (\w+):\n    Type: AWS::CloudWatch::(?:Composite)?Alarm$", TEMPLATE, re.MULTILINE
)
CLI = {"query", "output", "cli-input-json", "cli-binary-format"}
"""Options of the AWS command line itself."""
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
    "StateReason",
    "StateTransitionReason",
    "TerminateInstances",
    "TooManyRequestsException",
    "UnauthorizedOperation",
}
CLI_ONLY = {("logs", "tail")}
"""Commands that are no operation of the service's API."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with a build folder of its own: other tests start a local stack as well."""
    place = tmp_path_factory.mktemp("project")
    for name in NEEDED:
        (place / name).symlink_to(ROOT / name)
    return place


@pytest.fixture(scope="module")
def environment(place: Path) -> Iterator[dict[str, str]]:
    """The variables that the runbook's commands name, on a stack that is up."""
    base = {**os.environ, "PYTHONPATH": "src", "COLUMNS": "120"}
    stack = subprocess.Popen(
        [sys.executable, "-m", "local.up"],
        cwd=place,
        env=base,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert stack.stdout is not None
    told = ""
    for line in stack.stdout:
        told += line
        if "Ctrl-C" in line:
            break
    given = dict(re.findall(r"export (\w+)=(\S+)", told))
    token = re.search(r"Bearer ([^']+)'", told)
    assert token, told
    agents = subprocess.run(
        ["curl", "-sS", f"{given['SERVER_URL']}/operator/agents"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    client = re.search(r'"client_id": ?"([^"]+)"', agents)
    assert client, agents
    yield {**base, **given, "CLIENT_TOKEN": token[1], "CLIENT_ID": client[1]}
    stack.send_signal(signal.SIGINT)
    stack.communicate(timeout=30)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("commands", LOCAL, ids=lambda body: body.split("\n")[0][:60])
def test_a_local_command_works_as_it_is_written(
    commands: str, place: Path, environment: dict[str, str]
) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    _switch_on(environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout
    assert '"error"' not in done.stdout
    assert '"detail"' not in done.stdout


def _switch_on(environment: dict[str, str]) -> None:
    """What stops everything has stopped it for the tests that follow as well."""
    agent = f"{environment['SERVER_URL']}/operator/agents/{environment['AGENT_ID']}"
    requests.patch(agent, json={"auto_terminate_enabled": True}, timeout=10).raise_for_status()


def test_the_doctor_s_answer_is_as_the_runbook_says(
    place: Path, environment: dict[str, str]
) -> None:
    done = subprocess.run(
        ["make", "doctor"], cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "examining the stack that `make local` started" in done.stdout
    assert all(check.name in done.stdout for check in CHECKS)
    assert "healthy" in done.stdout


def test_every_block_is_marked() -> None:
    assert {kind for kind, _ in BLOCKS} == {"sh run", "sh account", "sql", "insights"}
    assert len(LOCAL) >= 8


@pytest.mark.parametrize("line", [line for line in ACCOUNT if "aws " in line])
def test_a_command_of_aws_names_what_there_is(line: str) -> None:
    """An operation of the service, and its parameters: what can be known without an account."""
    command = re.sub(r"^\w+=\$\((.*)\)$", r"\1", line).partition(" > ")[0]
    aws, service, operation, *rest = shlex.split(command)
    assert aws == "aws"
    if (service, operation) in CLI_ONLY:
        return
    model = botocore.session.get_session().get_service_model(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    shape = model.operation_model(names[operation]).input_shape
    assert shape is not None
    known = {xform_name(name, "-") for name in shape.members} | CLI
    given = {option.removeprefix("--") for option in rest if option.startswith("--")}
    assert given <= known
    if "--query" in rest:
        jmespath.compile(rest[rest.index("--query") + 1])
    required = {xform_name(name, "-") for name in shape.required_members}
    assert required <= given or "cli-input-json" in given


@pytest.mark.parametrize("guide", ["migration.md", "deploy.md"])
def test_the_query_for_machines_to_tag_finds_each_kind_that_lacks_a_tag(guide: str) -> None:
    """The original agent's machines, as EC2 shows them; one shows no `Tags` at all."""
    bears = {
        "first server": tags.first_server("first server"),
        "worker's replica": tags.polled_replica("worker's replica", "i-1"),
        "replica without a logical id": tags.manual_replica("...", None, "i-1"),
        "new server": tags.new_server("new server", "web-1"),
        "replica": tags.manual_replica("replica", "web-1", "i-1"),
    }
    shown: list[dict[str, object]] = [
        {"InstanceId": name, "Tags": [{"Key": key, "Value": value} for key, value in one.items()]}
        for name, one in bears.items()
    ]
    answer = {"Reservations": [{"Instances": [*shown, {"InstanceId": "no tags"}]}]}
    text = (ROOT / "docs" / guide).read_text()
    (query,) = re.findall(r"describe-instances .*--query '(.*?LogicalAgentId.*?)' --output", text)
    found = jmespath.search(query, answer)
    assert [instance_id for instance_id, _ in found] == [*list(bears)[:3], "no tags"]
    assert [name for _, name in found] == ["first server", "worker's replica", "...", None]


@pytest.mark.parametrize("output", sorted(set(re.findall(r"OutputKey=='(\w+)'", COMMANDS))))
def test_an_output_that_is_named_is_the_template_s(output: str) -> None:
    outputs = TEMPLATE.partition("\nOutputs:\n")[2]
    assert f"\n  {output}:\n" in f"\n{outputs}"


@pytest.mark.parametrize("file", sorted(set(re.findall(r"events/\w+\.json", COMMANDS))))
def test_an_event_that_is_named_is_there(file: str) -> None:
    assert (ROOT / file).exists()


@pytest.mark.parametrize("alarm", ALARMS)
def test_each_alarm_has_its_section_and_names_it(alarm: str) -> None:
    section = re.search(rf"^### {alarm}\n(.*?)(?=^##|\Z)", TEXT, re.DOTALL | re.MULTILINE)
    assert section
    told = re.findall(r"^- \*\*(Means|Meanwhile|First|Over when|Call)\b", section[1], re.MULTILINE)
    assert told == ["Means", "Meanwhile", "First", "Over when", "Call"]
    described = TEMPLATE.partition(f"\n  {alarm}:\n")[2].partition("\n\n")[0]
    assert f"docs/runbook.md, section {alarm}." in " ".join(described.split())


def test_each_section_by_alarm_is_an_alarm_s() -> None:
    by_alarm = TEXT.partition("\n## By alarm\n")[2].partition("\n## ")[0]
    assert re.findall(r"^### (.*)$", by_alarm, re.MULTILINE)
    assert set(re.findall(r"^### (.*)$", by_alarm, re.MULTILINE)) == set(ALARMS)


def test_a_parameter_that_is_named_is_the_template_s() -> None:
    """`CamelCase` in backticks: a parameter, an output, a resource, an alarm, or a word of AWS's or a tag."""
    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)(?:=\w+)?`", TEXT))
    known = set(re.findall(r"^  (\w+):$", TEMPLATE, re.MULTILINE))
    assert named - known <= AWS_WORDS


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_each_check_of_the_doctor_has_its_section(check: Check) -> None:
    section = re.search(rf"^### `{check.name}`\n(.*?)(?=^##|\Z)", TEXT, re.DOTALL | re.MULTILINE)
    assert section
    assert "**Symptom.**" in section[1]
    assert re.search(r"\*\*The doctor (says|warns)\*\*", section[1])
    assert "**Cure.**" in section[1]


def test_the_guide_s_five_causes_have_theirs_and_lead_to_checks() -> None:
    causes = re.findall(r"^#### \d\. .*?(?=^###|\Z)", TEXT, re.DOTALL | re.MULTILINE)
    assert len(causes) == 5
    assert all(re.search(r"\]\(#\w+\)", cause) for cause in causes)


def test_every_link_within_leads_somewhere() -> None:
    headings = re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}
    assert {link for link in re.findall(r"\]\(#([\w-]+)\)", TEXT) if link not in anchors} == set()


def test_the_table_of_the_doctor_s_checks_has_each_with_its_question() -> None:
    table = TEXT.partition("\n| check | question |\n|---|---|\n")[2].partition("\n\n")[0]
    rows = [f"| [`{one}`](#{one}) | {one.question} |" for one in CHECKS]
    assert table.splitlines() == rows, "copy these rows: " + "\n".join(rows)
