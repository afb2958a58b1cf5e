"""`make configuration`: every parameter and every variable on one page, docs/configuration.md.

From the templates (what a person gives), and from the code (what the functions take, and their defaults).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from samtranslator.yaml_helper import yaml_parse

from handler.settings import VARIABLES

Json = Any
ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "configuration.md"
FUNCTIONS = {"TerminationFunction": "termination", "HousekeepingFunction": "housekeeping"}
STACK = "the stack"
"""What a parameter is for that no variable hands to a function."""

IN_WORDS = {
    "AGENT_ID": "`id,id=logical-id,...`: ids of 1 to 64 letters, digits, `.`, `_` or `-`; logical ids of 1 to 255 characters",
    "SERVER_URL": "an `https` URL without user, query or fragment; `http` for a loopback host, or for `host.docker.internal` under `sam local`",
    "REQUIRED_TAGS": "`key=value,key=value`; empty: no check",
}
"""What the code takes where its error tells what is wrong, not what to write."""

NOT_PARAMETERS = {
    "AWS_REGION": "The region that the function works in. Lambda sets it. Where it is not set, `AWS_DEFAULT_REGION` counts.",
    "CLIENT_TOKEN": "The client token itself, in place of `CLIENT_TOKEN_PARAMETER`. For local runs only: whoever may read the function's configuration can read it.",
    "IDEMPOTENCY_TABLE": "The DynamoDB table of acknowledged reports. The template sets it to the stack's own.",
    "SCHEDULE_NAME": "Group and name of the schedule that the doctor looks at. The template sets it to the stack's own.",
}
"""Variables of the settings that no parameter fills."""

NOT_SETTINGS = {
    "HTTPS_PROXY": "A proxy for the backend and for AWS. The template does not set it.",
    "NO_PROXY": "Hosts that are reached without the proxy.",
    "REQUESTS_CA_BUNDLE": "A file of CA certificates *in place of* the public ones, for the backend. `BACKEND_CA_PARAMETER` adds to them, and needs no file.",
    "CURL_CA_BUNDLE": "The same, where `REQUESTS_CA_BUNDLE` is not set.",
    "AWS_ENDPOINT_URL": "Another address for all of AWS; `AWS_ENDPOINT_URL_EC2`, `_SSM`, `_DYNAMODB` and so on for one service. The local stack uses them.",
    "AWS_SAM_LOCAL": "`sam local` sets it to `true`. Then `http://host.docker.internal` is allowed as `SERVER_URL`.",
    "AWS_ACCESS_KEY_ID": "With `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`: the credentials. Lambda sets them to the role's.",
    "AWS_DEFAULT_REGION": "See `AWS_REGION`.",
}
"""What is read besides the settings: by the AWS SDK, by requests, or by the code for them."""


def template(file: str) -> dict[str, Json]:
    """A template as written."""
    return cast("dict[str, Json]", yaml_parse((ROOT / file).read_text()))


def filled_by(main: Mapping[str, Json]) -> dict[str, dict[str, frozenset[str]]]:
    """Of each variable that the template sets, and each function it is set for: the parameters it is made from."""
    found = dict[str, dict[str, frozenset[str]]]()
    for logical_id, name in FUNCTIONS.items():
        variables = main["Resources"][logical_id]["Properties"]["Environment"]["Variables"]
        for variable, value in variables.items():
            parameters = frozenset(_references(value)) & set(main["Parameters"])
            found.setdefault(variable, {})[name] = parameters
    return found


def _references(node: Json) -> Iterable[str]:
    if isinstance(node, dict):
        if set(node) == {"Ref"}:
            yield node["Ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def taken(variable: str) -> str:
    """What the code takes, in the words of its own error."""
    if variable in IN_WORDS:
        return IN_WORDS[variable]
    _, read, _ = VARIABLES[variable]
    try:
        read("\0")
    except ValueError as error:
        return _escaped(str(error).removeprefix("write "))
    raise AssertionError(f"{variable} takes anything")


def allowed(parameter: Mapping[str, Json]) -> str:
    """What CloudFormation takes."""
    if values := parameter.get("AllowedValues"):
        return ", ".join(_code(value) for value in values)
    low, high = parameter.get("MinValue"), parameter.get("MaxValue")
    if low is not None:
        return f"{low} to {high}" if high is not None else f"{low} or more"
    said = _escaped(parameter.get("ConstraintDescription", "any text"))
    longest = parameter.get("MaxLength")
    return f"{said}; at most {longest} characters" if longest else said


def page() -> str:
    """The page."""
    main, nested = template("template.yaml"), template("monitoring.yaml")
    filled = filled_by(main)
    return "\n".join(
        [
            "# Configuration",
            "",
            "Every parameter of the stack, its default, what it may be and what it does; then every environment variable of the",
            "functions. Three parameters have no default: `AgentId`, `ServerUrl` and `ClientTokenParameter`. You can leave all",
            "others as they are.",
            "",
            "This page is made by `make configuration` from `template.yaml`, `monitoring.yaml` and `src/handler/settings.py`.",
            "Do not edit it by hand. Parameters are given in `samconfig.toml` ([deploy.md](deploy.md)).",
            "",
            *_parameters(main, filled),
            *_variables(filled),
            *_nested(main, nested),
        ]
    )


def _parameters(main: Json, filled: Mapping[str, Mapping[str, frozenset[str]]]) -> Iterable[str]:
    yield from ("## Parameters", "")
    yield "Below each name stands the variable that it fills; *functions* are those that get it."
    for group in main["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]:
        yield from ("", f"### {group['Label']['default']}", "")
        yield "| parameter, variable | default | allowed | meaning | functions |"
        yield "|---|---|---|---|---|"
        for name in group["Parameters"]:
            given = main["Parameters"][name]
            of = {variable: sets for variable, sets in filled.items() if _fills(name, sets)}
            told = [name for sets in of.values() for name in sets]
            names = "<br>".join(map(_code, (name, *of)))
            functions = ", ".join(one for one in FUNCTIONS.values() if one in told) or STACK
            meaning = _escaped(given["Description"])
            yield f"| {names} | {_default(given.get('Default'))} | {allowed(given)} | {meaning} | {functions} |"


def _variables(filled: Mapping[str, Mapping[str, frozenset[str]]]) -> Iterable[str]:
    yield from ("", "## Environment variables", "")
    yield "What the code takes and assumes by itself, for local runs and for stacks that you write yourself. The template is"
    yield "narrower in places. An empty variable counts as not set, except `REQUIRED_TAGS`. A bad value stops the function at its"
    yield "first event, with one error that names every bad variable."
    yield from ("", "| variable | parameter | default | the code takes |", "|---|---|---|---|")
    for variable, (_, _, default) in VARIABLES.items():
        parameters = sorted({one for sets in filled.get(variable, {}).values() for one in sets})
        named = ", ".join(map(_code, parameters)) or "none, see below"
        needed = "required, unless `CLIENT_TOKEN`" if variable == "CLIENT_TOKEN_PARAMETER" else None
        yield f"| {_code(variable)} | {named} | {needed or _default(default)} | {taken(variable)} |"
    yield from ("", "### Without a parameter", "", "| variable | meaning |", "|---|---|")
    yield from (f"| {_code(name)} | {meaning} |" for name, meaning in NOT_PARAMETERS.items())
    yield from ("", "### Read by the libraries", "")
    yield "The functions are built on the AWS SDK and on requests. These variables of theirs have an effect here."
    yield from ("", "| variable | meaning |", "|---|---|")
    yield from (f"| {_code(name)} | {meaning} |" for name, meaning in NOT_SETTINGS.items())


def _nested(main: Json, nested: Json) -> Iterable[str]:
    given = main["Resources"]["Monitoring"]["Properties"]["Parameters"]
    yield from ("", "## The nested stack", "")
    yield "`monitoring.yaml` has parameters of its own. `template.yaml` gives all of them; nobody else does."
    yield from ("", "| parameter | made from | meaning |", "|---|---|---|")
    for name, declared in nested["Parameters"].items():
        parameters = sorted(set(_references(given[name])) & set(main["Parameters"]))
        origin = ", ".join(map(_code, parameters)) or "the stack's resources"
        yield f"| {_code(name)} | {origin} | {_escaped(declared['Description'])} |"
    yield ""


def _fills(parameter: str, sets: Mapping[str, frozenset[str]]) -> bool:
    return any(parameter in parameters for parameters in sets.values())


def _default(value: Json) -> str:
    if value is None:
        return "**required**"
    return _code(value) if value != "" else "empty"


def _code(value: Json) -> str:
    return f"`{value}`"


def _escaped(text: str) -> str:
    """Text in a table's cell."""
    return re.sub(r"([|*<\\])", r"\\\1", " ".join(text.split()))


def main() -> int:
    """Write the page."""
    PAGE.write_text(page())
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
