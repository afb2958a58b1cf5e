"""docs/deploy.md names what there is: targets, environments, parameters, outputs, alarms, log keys."""

from __future__ import annotations

import re

import pytest

from handler.instances.outcome import Outcome
from tests.template.stack import ROOT, Stack, known, source
from tests.template.test_dashboard import INSIGHTS, TELEMETRY, bare, keys_used, written
from tests.template.test_names import FULL
from tests.template.test_samconfig import ENVIRONMENTS, stack_of

TEXT = (ROOT / "docs" / "deploy.md").read_text()
QUERIES = re.findall(r"```insights\n(.*?)```", TEXT, re.DOTALL)
FUNCTIONS = {"strcontains", "min"}


def test_the_make_targets_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"make ([a-z-]+) REGION", TEXT))
    named |= set(re.findall(r"make ([a-z-]+) BUCKET", TEXT))
    assert named == {"token", "deploy", "dry-run", "destroy", "stack-set-template"}
    for target in named:
        assert f"\n{target}: " in makefile


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
