"""docs/configuration.md is what the templates and the code say, and these agree on every default."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from handler.settings import VARIABLES
from handler.wiring import CONNECTION_VARIABLES
from tests.template.stack import MONITORING, source
from tools import configuration

ROOT = Path(__file__).resolve().parents[2]
FILLED = configuration.filled_by(source())
DIFFERENT = {
    "CLIENT_TOKEN_PARAMETER": (
        None,
        "",
    ),  # the code takes CLIENT_TOKEN in its place, a stack cannot
    "POWERTOOLS_SERVICE_NAME": ("", "spot-cleanup"),  # empty: the stack's name
}
"""Variables whose default in the template is not the code's, with both."""


def test_the_page_is_what_the_templates_and_the_code_give() -> None:
    assert configuration.PAGE.read_text() == configuration.page(), "make configuration"


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_variable_of_the_settings_is_on_the_page_with_its_meaning(variable: str) -> None:
    parameters = {one for sets in FILLED.get(variable, {}).values() for one in sets}
    assert bool(parameters) != (variable in configuration.NOT_PARAMETERS)
    text = configuration.PAGE.read_text()
    rows = [line for line in text.splitlines() if line.startswith("|") and f"`{variable}`" in line]
    assert len(rows) >= 2  # as a variable, and as a parameter's or with its meaning
    for parameter in parameters:
        assert source()["Parameters"][parameter]["Description"]


def test_the_template_sets_no_variable_that_the_code_does_not_read() -> None:
    assert set(FILLED) <= set(VARIABLES)


@pytest.mark.parametrize("variable", [v for v, sets in FILLED.items() if any(sets.values())])
def test_a_parameter_has_the_default_of_its_variable(variable: str) -> None:
    *_, default = VARIABLES[variable]
    for parameters in FILLED[variable].values():
        (parameter,) = parameters
        given = source()["Parameters"][parameter].get("Default")
        found = None if given is None else str(given)
        assert (found, default) == DIFFERENT.get(variable, (default, default)), parameter


def test_every_parameter_is_on_the_page() -> None:
    text = configuration.PAGE.read_text()
    for file in ("template.yaml", MONITORING):
        for parameter in source(file)["Parameters"]:
            assert f"\n| `{parameter}`" in text


def test_a_pattern_is_told_in_words() -> None:
    for name, parameter in source()["Parameters"].items():
        assert "AllowedPattern" not in parameter or parameter.get("ConstraintDescription"), name


def test_what_the_code_reads_besides_the_settings_is_on_the_page() -> None:
    read = set(CONNECTION_VARIABLES)
    for path in (ROOT / "src").rglob("*.py"):
        read |= set(
            re.findall(r'(?:environ|environment)(?:\.get\(|\[)"([A-Z_]+)"', path.read_text())
        )
    assert {"AWS_SAM_LOCAL", "POWERTOOLS_LOG_LEVEL", "HTTPS_PROXY"} <= read
    text = configuration.PAGE.read_text()
    for name in read:
        assert name.startswith("AWS_ENDPOINT_URL_") or f"`{name}`" in text, name


def test_a_default_that_drifts_and_a_variable_that_is_new_make_the_page_stale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attribute, read, _ = VARIABLES["MAX_FLEET_PERCENT"]
    for changed in ({"MAX_FLEET_PERCENT": (attribute, read, "90")}, {"NEW": ("new", read, "1")}):
        monkeypatch.setattr(configuration, "VARIABLES", {**VARIABLES, **changed})
        assert configuration.page() != configuration.PAGE.read_text()
