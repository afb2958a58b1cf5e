"""docs/deploy.md names what there is: commands, environments, parameters, outputs, alarms, log keys."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest
from samcli.cli.main import cli

from handler.instances.outcome import Outcome
from tests.support.aws_cli import read
from tests.template.stack import ROOT, Stack, known, source
from tests.template.test_dashboard import INSIGHTS, TELEMETRY, bare, keys_used, written
from tests.template.test_names import FULL
from tests.template.test_samconfig import ENVIRONMENTS, stack_of
from tools.verify.checks import CHECKS
from tools.verify.reading import READS

TEXT = (ROOT / "docs" / "deploy.md").read_text()
QUERIES = re.findall(r"```insights\n(.*?)```", TEXT, re.DOTALL)
FUNCTIONS = {"strcontains", "min"}


PAGES = (
    "README.md",
    "docs/deploy.md",
    "docs/housekeeping.md",
    "events/README.md",
    "CONTRIBUTING.md",
)
# Their commands for the AWS command line have tests of their own (test_runbook_commands.py).
OTHERS = ("docs/index.md", "docs/migration.md", "docs/upgrading.md", "docs/runbook.md")
PROGRAMS = ("make", ".venv/bin/sam", "sam", "aws")
MAKEFILE = (ROOT / "Makefile").read_text()


def commands(text: str) -> Iterator[str]:
    """What a reader would paste: blocks, indented lines, and what stands in backticks."""
    fenced = re.findall(r"^```sh.*?\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in fenced for line in block.splitlines()]
    lines += re.findall(r"^ {4}(\S.*)$", text, re.MULTILINE)
    lines += [" ".join(each.split()) for each in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]
    for line in lines:
        bare = line.partition("  #")[0].strip()
        if bare.partition(" ")[0] in PROGRAMS and " " in bare:
            yield bare


COMMANDS = sorted(
    (page, command)
    for page in (*PAGES, *OTHERS)
    for command in set(commands((ROOT / page).read_text()))
    if page in PAGES or not command.startswith("aws ")
)


def options(arguments: list[str]) -> set[str]:
    return {one.partition("=")[0] for one in arguments if one.startswith("--")}


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_command_works_for_whoever_only_ran_make_setup(page: str, command: str) -> None:
    """SAM is in .venv/bin and on nobody's PATH; the AWS command line is not there at all."""
    program, *rest = shlex.split(command)
    if program == "make":
        target, *variables = rest
        assert re.search(rf"^{target}: .*##", MAKEFILE, re.MULTILINE)
        for variable in variables:
            name, _, value = variable.partition("=")
            assert f"$({name})" in MAKEFILE
            assert name != "REGION" or value in {*ENVIRONMENTS, "..."}
    elif program == "aws":
        assert "AWS command line" in (ROOT / page).read_text().partition(command.split()[1])[0]
        read(rest)  # an operation, options and values that the command line knows
    else:
        words = list(rest)
        found: click.Command | None = cli
        while isinstance(found, click.Group) and words:
            # SAM loads a command only where its context has been set.
            found = found.get_command(click.Context(found, obj="set"), words.pop(0))
        assert found is not None
        # A mention, such as `sam deploy`, is no command to paste: that has an argument.
        assert program == ".venv/bin/sam" or not words
        # SAM does not read AWS_REGION, which the runbook has its reader set.
        assert "--stack-name" not in words or "--region" in words
        assert options(words) <= {
            o for one in found.params for o in (*one.opts, *one.secondary_opts)
        }


def test_the_commands_are_found() -> None:
    for program, least in (("make", 30), (".venv/bin/sam", 6), ("aws", 2)):
        assert len([c for _, c in COMMANDS if c.startswith(f"{program} ")]) >= least
    deploy = {c.split()[1] for page, c in COMMANDS if page == PAGES[1] and c.startswith("make ")}
    assert deploy >= {"token", "deploy", "dry-run", "destroy", "verify", "stack-set-template"}


def test_what_must_be_installed_is_said_before_the_first_command() -> None:
    needed = TEXT.partition("## What you need")[2].partition("\n## ")[0]
    assert "`make setup`" in needed
    assert ".venv/bin/sam" in needed
    assert "is **not** among it" in " ".join(needed.split())
    assert TEXT.index("## What you need") < TEXT.index("```sh")


def test_what_verify_looks_at_and_needs_is_told() -> None:
    told = TEXT.partition("## Does it work?")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", told, re.MULTILINE) == [one.name for one in CHECKS]
    assert set(re.findall(r"`([a-z]+:[A-Z]\w+)`", told)) == {
        f"{service}:{operation}" for operation, service in READS.items()
    }


def test_the_table_has_every_environment_and_its_stack() -> None:
    rows = re.findall(r"^\| (`[a-z].*?) \| `([a-z-]+)` \|", TEXT, re.MULTILINE)
    told = {name: stack for names, stack in rows for name in re.findall(r"`(.*?)`", names)}
    assert told == {name: stack_of(name).name for name in ENVIRONMENTS}


def test_what_is_written_in_camel_case_is_the_template_s() -> None:
    there = known("Parameters") | known("Resources") | known("Outputs")
    others = {  # of AWS, and tags
        "AutoPublishAlias",
        "DeploymentPreference",
        "FailureToleranceCount",
        "MaxConcurrentPercentage",
        "DoNotTerminate",
        "LogicalAgentId",
        "ManagedBy",
        "ParentInstance",
        "ReplicaId",
        "SimulatePrincipalPolicy",
    }
    named = set(re.findall(r"`((?:[A-Z][a-z]+){2,})(?:=\w+)?`", TEXT))
    assert len(named & there) > 15
    assert named <= there | others


def test_every_alarm_is_named_or_told_and_the_seven_that_notify_are() -> None:
    stack = Stack.of()
    alarms = [
        *stack.of_type("AWS::CloudWatch::Alarm").items(),
        *stack.of_type("AWS::CloudWatch::CompositeAlarm").items(),
    ]
    loud = {name for name, alarm in alarms if "AlarmActions" in alarm}
    assert loud | {"CauseKnownAlarm"} <= set(re.findall(r"`(\w+Alarm)`", TEXT))
    assert len(loud) == 7
    assert len(alarms) == 15


def test_the_numbers_told_of_the_template_hold() -> None:
    stack = Stack.of(**FULL)
    assert stack.nested is not None
    assert 16 <= len(stack.own) <= 22
    assert 22 <= len(stack.nested.own) <= 28
    alarms = stack.of_type("AWS::CloudWatch::Alarm").values()
    watched = sum(
        len([m for m in a.get("Metrics", [1]) if m == 1 or "MetricStat" in m]) for a in alarms
    )
    assert f"{len(alarms)} alarms on {watched} metrics" in TEXT
    assert len(stack.of_type("AWS::Logs::MetricFilter")) == 2
    assert f"{source()['Parameters']['AgentId']['MaxLength']:,}\n  characters" in TEXT


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_a_query_asks_only_for_keys_that_the_log_has(query: str) -> None:
    assert keys_used(query) - FUNCTIONS <= written(TELEMETRY[0])
    assert not re.findall(r"@\w+", bare(query))
    assert FUNCTIONS.isdisjoint(INSIGHTS)


def test_queries_ask_for_outcomes_that_there_are() -> None:
    assert len(QUERIES) == 3
    quoted = {word for query in QUERIES for word in re.findall(r'"([a-z]+)"', query)}
    assert quoted <= {outcome.key for outcome in Outcome}
