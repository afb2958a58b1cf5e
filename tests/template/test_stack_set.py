"""A template for stack sets that can have neither transforms nor nested stacks; test_lint.py lints it."""

from __future__ import annotations

import json
import re

from tests.template.stack import NESTED, Stack, transformed
from tools.stack_set import without_nested_stacks


def test_it_has_no_transform_no_nested_stack_and_nothing_that_reads_one() -> None:
    template = without_nested_stacks(transformed())
    assert "Transform" not in template
    kinds = {one["Type"] for one in template["Resources"].values()}
    assert not [k for k in kinds if k.startswith("AWS::Serverless") or "CloudFormation" in k]
    assert not re.search(rf'"{NESTED}[".]', json.dumps(template))


def test_it_is_the_stack_without_monitoring() -> None:
    off = Stack.of(MonitoringEnabled="false", HousekeepingEnabled="true")
    template = without_nested_stacks(transformed())
    assert template["Resources"].keys() == off.resources.keys()
    assert template["Outputs"].keys() == off.outputs.keys()
    assert template["Parameters"]["MonitoringEnabled"]["AllowedValues"] == ["false"]
