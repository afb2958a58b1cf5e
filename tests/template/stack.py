"""The templates as CloudFormation would see them: SAM's transform done, parameters filled in."""

from __future__ import annotations

import re
import uuid
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from samtranslator.yaml_helper import yaml_parse

from tools.stack_set import transform

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = Any

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "123456789012"
NO_VALUE = object()
MAIN, MONITORING = "template.yaml", "monitoring.yaml"
NESTED = "Monitoring"
"""Logical id of the stack that the main one nests."""

REQUIRED = {
    "AgentId": "agent-1",
    "ServerUrl": "https://backend.example.com",
    "ClientTokenParameter": "/spot-cleanup/agent-1/token",
}
"""The parameters without a default."""

ARNS = {
    "AWS::CloudFormation::Stack": "cloudformation:{place}:stack/{name}/0",
    "AWS::CloudWatch::Alarm": "cloudwatch:{place}:alarm:{name}",
    "AWS::CloudWatch::CompositeAlarm": "cloudwatch:{place}:alarm:{name}",
    "AWS::DynamoDB::Table": "dynamodb:{place}:table/{name}",
    "AWS::IAM::Role": "iam::{account}:role/{name}",
    "AWS::Lambda::Function": "lambda:{place}:function:{name}",
    "AWS::Lambda::LayerVersion": "lambda:{place}:layer:{name}:1",
    # A log group's ARN ends so, and thereby covers its streams.
    "AWS::Logs::LogGroup": "logs:{place}:log-group:{name}:*",
    "AWS::SNS::Topic": "sns:{place}:{name}",
    "AWS::SQS::Queue": "sqs:{place}:{name}",
    "AWS::Scheduler::ScheduleGroup": "scheduler:{place}:schedule-group/{name}",
}
KNOWN_BY_ARN = {"AWS::Lambda::LayerVersion", "AWS::SNS::Topic"}
"""Kinds whose `!Ref` is the ARN."""


class BadParameterError(Exception):
    """CloudFormation would refuse this parameter before it creates anything."""


@cache
def source(file: str = MAIN) -> dict[str, Json]:
    """A template as written."""
    return cast("dict[str, Json]", yaml_parse((ROOT / file).read_text()))


def known(part: str) -> set[str]:
    """The names of both templates' parts: Parameters, Resources, Outputs."""
    return {*source()[part], *source(MONITORING)[part]}


@cache
def transformed(file: str = MAIN) -> dict[str, Json]:
    """A template after the transform, intrinsic functions still in it."""
    template = deepcopy(source(file))
    if file == MONITORING:
        return template  # it has none
    # What `sam package` would do: the translator takes only S3 locations.
    template["Resources"]["DependenciesLayer"]["Properties"]["ContentUri"] = "s3://bucket/layer"
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/function"
    template["Resources"][NESTED]["Properties"]["Location"] = "https://s3.amazonaws.com/b/m"
    return transform(template, "us-east-1")


def check(name: str, value: str) -> None:
    """Hold a parameter's value against what the template says of it."""
    try:
        declared = source()["Parameters"][name]
    except KeyError:
        raise BadParameterError(f"the template has no parameter {name}") from None
    if value not in [str(v) for v in declared.get("AllowedValues", [value])]:
        raise BadParameterError(f"{name}={value}: not among its allowed values")
    if not re.fullmatch(declared.get("AllowedPattern", ".*"), value, re.DOTALL):
        raise BadParameterError(f"{name}={value}: does not match its allowed pattern")
    if len(value) > declared.get("MaxLength", 4096):
        raise BadParameterError(f"{name}: longer than allowed")
    if declared["Type"] == "Number" and not (
        declared.get("MinValue", 0) <= float(value) <= declared.get("MaxValue", float("inf"))
    ):
        raise BadParameterError(f"{name}={value}: out of its range")


@dataclass(frozen=True)
class Stack:
    """What a deployment with these parameters would consist of, the nested stack's resources among them.

    A reference to a resource is resolved to `<stack>-<logical id>`; the nested stack counts as part of
    its parent there, since no two of their logical ids are the same.
    """

    name: str = "spot-cleanup"
    region: str = "eu-west-1"
    overrides: tuple[tuple[str, str], ...] = ()
    partition: str = "aws"
    file: str = MAIN

    @classmethod
    def of(
        cls,
        name: str = "spot-cleanup",
        region: str = "eu-west-1",
        partition: str = "aws",
        **parameters: str,
    ) -> Stack:
        return _made(name, region, tuple(sorted(parameters.items())), partition)

    @property
    def template(self) -> dict[str, Json]:
        return transformed(self.file)

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        declared = source(self.file)["Parameters"]
        defaults = {k: str(v["Default"]) for k, v in declared.items() if "Default" in v}
        required = REQUIRED if self.file == MAIN else {}
        return {**defaults, **required, **dict(self.overrides)}

    @cached_property
    def own(self) -> dict[str, Json]:
        """Every resource of this template that is created, intrinsic functions resolved."""
        return {
            logical_id: self._resolve(resource)
            for logical_id, resource in self.template["Resources"].items()
            if "Condition" not in resource or self.condition(resource["Condition"])
        }

    @cached_property
    def nested(self) -> Stack | None:
        """The stack inside this one."""
        if NESTED not in self.template["Resources"] or not self.condition("HasMonitoring"):
            return None
        resource = self.template["Resources"][NESTED]
        given = self._resolve(resource["Properties"]["Parameters"])
        return Stack(self.name, self.region, tuple(given.items()), self.partition, MONITORING)

    @cached_property
    def resources(self) -> dict[str, Json]:
        """Every resource that is created."""
        return {**self.own, **(self.nested.resources if self.nested else {})}

    @cached_property
    def outputs(self) -> dict[str, Json]:
        return {
            name: self._resolve(output)
            for name, output in self.template["Outputs"].items()
            if "Condition" not in output or self.condition(output["Condition"])
        }

    def properties(self, logical_id: str) -> dict[str, Json]:
        return cast("dict[str, Json]", self.resources[logical_id]["Properties"])

    def of_type(self, kind: str) -> dict[str, dict[str, Json]]:
        return {k: r["Properties"] for k, r in self.resources.items() if r["Type"] == kind}

    def one(self, kind: str) -> dict[str, Json]:
        (properties,) = self.of_type(kind).values()
        return properties

    def environment(self, function: str = "TerminationFunction") -> dict[str, str]:
        return cast("dict[str, str]", self.properties(function)["Environment"]["Variables"])

    def policies(self, role: str) -> list[dict[str, Json]]:
        return [p["PolicyDocument"] for p in self.properties(role)["Policies"]]

    def rule_holds(self, rule: str) -> bool:
        return all(self._truth(a["Assert"]) for a in self.template["Rules"][rule]["Assertions"])

    def arn(self, logical_id: str) -> str:
        """The ARN of a resource."""
        if self.nested and logical_id in self.nested.template["Resources"]:
            return self.nested.arn(logical_id)
        pattern = ARNS[self.template["Resources"][logical_id]["Type"]]
        return f"arn:{self.partition}:" + pattern.format(
            place=f"{self.region}:{ACCOUNT}",
            account=ACCOUNT,
            name=self._resource(logical_id),
        )

    def value_of(self, name: str) -> str:
        """What `${name}` stands for in Fn::Sub: a parameter, a resource or, with a dot, an attribute."""
        return str(self._call("Fn::GetAtt" if "." in name else "Ref", name))

    def condition(self, name: str) -> bool:
        return self._truth(self.template["Conditions"][name])

    def _truth(self, expression: Json) -> bool:
        ((operator, operand),) = expression.items()
        match operator:
            case "Fn::Equals":
                first, second = (self._resolve(side) for side in operand)
                return str(first) == str(second)
            case "Fn::Not":
                return not self._truth(operand[0])
            case "Fn::And":
                return all(self._truth(part) for part in operand)
            case "Fn::Or":
                return any(self._truth(part) for part in operand)
            case "Condition":
                return self.condition(operand)
        raise NotImplementedError(operator)

    def _resolve(self, node: Json) -> Json:
        if isinstance(node, list):
            return [r for r in map(self._resolve, node) if r is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, operand),) = node.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._call(name, operand)
        resolved = {key: self._resolve(value) for key, value in node.items()}
        return {key: value for key, value in resolved.items() if value is not NO_VALUE}

    def _call(self, name: str, operand: Json) -> Json:  # noqa: PLR0911 - one for each function
        match name:
            case "Ref":
                return self._reference(operand)
            case "Fn::GetAtt":
                logical_id, attribute = (
                    operand if isinstance(operand, list) else operand.split(".", 1)
                )
                return self._attribute(logical_id, attribute)
            case "Fn::Sub":
                return re.sub(r"\$\{([^}!]+)\}", self._substitute, operand)
            case "Fn::Join":
                separator, parts = operand
                return separator.join(map(str, self._resolve(parts)))
            case "Fn::Split":
                separator, text = operand
                return self._resolve(text).split(separator)
            case "Fn::Select":
                index, parts = operand
                return self._resolve(parts)[int(index)]
            case "Fn::If":
                condition, yes, no = operand
                return self._resolve(yes if self.condition(condition) else no)
            case "Fn::FindInMap":
                mapping, first, second = (self._resolve(part) for part in operand)
                return self.template["Mappings"][mapping][first][second]
        raise NotImplementedError(name)

    def _attribute(self, logical_id: str, attribute: str) -> str:
        if attribute == "Arn":
            return self.arn(logical_id)
        if attribute.startswith("Outputs.") and self.nested:
            return str(self.nested.outputs[attribute.removeprefix("Outputs.")]["Value"])
        if attribute == "QueueName":
            return self._resource(logical_id)
        raise NotImplementedError(attribute)

    def _substitute(self, match: re.Match[str]) -> str:
        return self.value_of(match[1])

    def _reference(self, name: str) -> Json:
        own = uuid.uuid5(uuid.NAMESPACE_URL, f"{self.region}/{self.name}")
        place = f"arn:{self.partition}:cloudformation:{self.region}:{ACCOUNT}"
        pseudo = {
            "AWS::StackName": self.name,
            "AWS::StackId": f"{place}:stack/{self.name}/{own}",
            "AWS::Region": self.region,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": self.partition,
            "AWS::URLSuffix": "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com",
            "AWS::NoValue": NO_VALUE,
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        kind = self.template["Resources"].get(name, {}).get("Type")
        return self.arn(name) if kind in KNOWN_BY_ARN else self._resource(name)

    def _resource(self, logical_id: str) -> str:
        if logical_id not in self.template["Resources"]:
            raise KeyError(f"reference to {logical_id}, which is not in the template")
        return f"{self.name}-{logical_id}"


@cache
def _made(name: str, region: str, overrides: tuple[tuple[str, str], ...], partition: str) -> Stack:
    for key, value in overrides:
        check(key, value)
    return Stack(name, region, overrides, partition)
