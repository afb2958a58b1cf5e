"""The template as CloudFormation would see it: both transforms done, parameters filled in."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import boto3
from samcli.lib.cfn_language_extensions.api import create_default_intrinsic_resolver
from samcli.lib.cfn_language_extensions.models import TemplateProcessingContext
from samcli.lib.cfn_language_extensions.processors import ForEachProcessor
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = Any

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "123456789012"
NO_VALUE = object()

REQUIRED = {
    "AgentId": "agent-1",
    "ServerUrl": "https://backend.example.com",
    "ClientTokenParameter": "/spot-cleanup/agent-1/token",
}
"""The parameters without a default."""


class BadParameterError(Exception):
    """CloudFormation would refuse this parameter before it creates anything."""


@cache
def source() -> dict[str, Json]:
    """template.yaml as written."""
    return cast("dict[str, Json]", yaml_parse((ROOT / "template.yaml").read_text()))


def transform(template: dict[str, Json], further_agents: str = "") -> dict[str, Json]:
    """What CloudFormation's two transforms make of a packaged template.

    The loop over the agents is written out by SAM's own processor, not by all of SAM's expander:
    that one puts in every parameter's default, too.
    """
    context = TemplateProcessingContext(
        deepcopy(template), {"FurtherAgentIds": further_agents.split(",")}
    )
    ForEachProcessor(create_default_intrinsic_resolver(context)).process_template(context)
    written_out = {**context.fragment, "Transform": "AWS::Serverless-2016-10-31"}
    session = boto3.session.Session(region_name="us-east-1")
    return cast(
        "dict[str, Json]",
        Translator({}, Parser(), None, session).translate(written_out, parameter_values={}),
    )


@cache
def transformed(further_agents: str = "") -> dict[str, Json]:
    """template.yaml after the transforms, intrinsic functions still in it."""
    template = deepcopy(source())
    # What `sam package` would do: the translator takes only S3 locations.
    template["Resources"]["DependenciesLayer"]["Properties"]["ContentUri"] = "s3://bucket/layer"
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/function"
    return transform(template, further_agents)


def check(name: str, value: str) -> None:
    """Hold a parameter's value against what the template says of it."""
    try:
        declared = source()["Parameters"][name]
    except KeyError:
        raise BadParameterError(f"the template has no parameter {name}") from None
    if value not in [str(v) for v in declared.get("AllowedValues", [value])]:
        raise BadParameterError(f"{name}={value}: not among its allowed values")
    listed = value.split(",") if declared["Type"] == "CommaDelimitedList" else [value]
    if not all(re.fullmatch(declared.get("AllowedPattern", ".*"), v, re.DOTALL) for v in listed):
        raise BadParameterError(f"{name}={value}: does not match its allowed pattern")
    if declared["Type"] == "Number" and not (
        declared.get("MinValue", 0) <= float(value) <= declared.get("MaxValue", float("inf"))
    ):
        raise BadParameterError(f"{name}={value}: out of its range")


@dataclass(frozen=True)
class Stack:
    """What a deployment with these parameters would consist of.

    A reference to a resource is resolved to `<stack>/<logical id>` or, for its ARN, to
    `arn:of:<stack>/<logical id>`.
    """

    name: str = "spot-cleanup"
    region: str = "eu-west-1"
    overrides: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, name: str = "spot-cleanup", region: str = "eu-west-1", **parameters: str) -> Stack:
        for key, value in parameters.items():
            check(key, value)
        return cls(name, region, tuple(sorted(parameters.items())))

    @property
    def template(self) -> dict[str, Json]:
        return transformed(dict(self.overrides).get("FurtherAgentIds", ""))

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        declared = source()["Parameters"]
        defaults = {k: str(v["Default"]) for k, v in declared.items() if "Default" in v}
        return {**defaults, **REQUIRED, **dict(self.overrides)}

    @cached_property
    def resources(self) -> dict[str, Json]:
        """Every resource that is created, intrinsic functions resolved."""
        return {
            logical_id: self._resolve(resource)
            for logical_id, resource in self.template["Resources"].items()
            if "Condition" not in resource or self.condition(resource["Condition"])
        }

    @cached_property
    def outputs(self) -> dict[str, Json]:
        return cast("dict[str, Json]", self._resolve(self.template["Outputs"]))

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
                logical_id, attribute = operand if isinstance(operand, list) else operand.split(".")
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
            case "Fn::Length":
                return len(self._resolve(operand))
            case "Fn::If":
                condition, yes, no = operand
                return self._resolve(yes if self.condition(condition) else no)
            case "Fn::FindInMap":
                mapping, first, second = (self._resolve(part) for part in operand)
                return self.template["Mappings"][mapping][first][second]
        raise NotImplementedError(name)

    def _attribute(self, logical_id: str, attribute: str) -> str:
        found = self._resource(logical_id)
        if attribute != "Arn":
            return f"{found}/{attribute}"
        # A log group's ARN ends so, and thereby covers its streams.
        kind = self.template["Resources"][logical_id]["Type"]
        return f"arn:of:{found}" + (":*" if kind == "AWS::Logs::LogGroup" else "")

    def _substitute(self, match: re.Match[str]) -> str:
        return self.value_of(match[1])

    def _reference(self, name: str) -> Json:
        pseudo = {
            "AWS::StackName": self.name,
            "AWS::Region": self.region,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::NoValue": NO_VALUE,
        }
        if name in pseudo:
            return pseudo[name]
        if name not in self.parameters:
            return self._resource(name)
        value = self.parameters[name]
        many = source()["Parameters"][name]["Type"] == "CommaDelimitedList"
        return value.split(",") if many else value

    def _resource(self, logical_id: str) -> str:
        if logical_id not in self.template["Resources"]:
            raise KeyError(f"reference to {logical_id}, which is not in the template")
        return f"{self.name}/{logical_id}"
