"""A transformed template as moto's CloudFormation can take it.

moto knows no outputs of a nested stack, leaves what `!If [..., !Ref AWS::NoValue]` takes out of a list in it as null, and fails where a kind that
it knows refers to one that it does not. So both are done before: with the same evaluator that the tests
of the template use.
"""

from __future__ import annotations

import re
from typing import Any

from tests.template.stack import Stack

Json = Any

NO_VALUE = {"Ref": "AWS::NoValue"}


def for_moto(template: dict[str, Json], stack: Stack, ignored: set[str]) -> dict[str, Json]:
    """The template with conditional parts chosen, and ignored resources' names written out.

    Args:
        template: with both of CloudFormation's transforms done.
        stack: its parameters.
        ignored: the kinds that moto's CloudFormation does not know.
    """
    unknown = {k for k, r in template["Resources"].items() if r["Type"] in ignored}
    outputs = {
        name: output
        for name, output in template["Outputs"].items()
        if "Condition" not in output or stack.condition(output["Condition"])
    }

    def settle(node: Json) -> Json:  # noqa: PLR0911 - one for each kind of node
        match node:
            case [*parts]:
                return [part for part in map(settle, parts) if part != NO_VALUE]
            case {"Fn::If": [condition, yes, no]}:
                return settle(yes if stack.condition(condition) else no)
            case {"Ref": name} if name in unknown:
                return stack.value_of(name)
            case {"Fn::GetAtt": [name, attribute]} if name in unknown:
                return stack.value_of(f"{name}.{attribute}")
            case {"Fn::GetAtt": [name, str(attribute)]} if attribute.startswith("Outputs."):
                return stack.value_of(f"{name}.{attribute}")
            case {"Fn::Sub": str(text)}:
                return {"Fn::Sub": re.sub(r"\$\{(\w+)(?:\.\w+)?\}", substitute, text)}
            case dict():
                settled = {key: settle(value) for key, value in node.items()}
                return {key: value for key, value in settled.items() if value != NO_VALUE}
        return node

    def substitute(match: re.Match[str]) -> str:
        return stack.value_of(match[0][2:-1]) if match[1] in unknown else match[0]

    done: dict[str, Json] = settle({**template, "Outputs": outputs})
    return done
