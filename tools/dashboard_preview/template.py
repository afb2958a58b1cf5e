"""The dashboards of monitoring.yaml, with every parameter and reference filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from samcli.lib.intrinsic_resolver.intrinsic_property_resolver import IntrinsicResolver
from samcli.lib.intrinsic_resolver.intrinsics_symbol_table import IntrinsicsSymbolTable
from samcli.yamlhelper import yaml_parse

from tools.dashboard_preview.errors import CannotDrawError

Json = Any

TEMPLATE = Path(__file__).resolve().parents[2] / "monitoring.yaml"
_SPAN = re.compile(r"-P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?)?")
_KNOWN = {"start", "periodOverride", "widgets", "variables"}


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard's body, as CloudWatch would get it.

    Attributes:
        name: the dashboard's name.
        widgets: as in the JSON.
        span: how far back it looks.
        chosen: values of dimensions that the dashboard's variables select at first.
    """

    name: str
    widgets: list[Json]
    span: timedelta
    chosen: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, body: str) -> Self:
        """Read a body; a variable has its `defaultValue`.

        Raises:
            CannotDrawError: the body, or something at its top level, cannot be read.
        """
        try:
            read = json.loads(body)
        except ValueError as error:
            raise CannotDrawError(f"dashboard {name}: its body is no JSON: {error}") from None
        if unknown := set(read) - _KNOWN:
            raise CannotDrawError(f"dashboard {name}: {sorted(unknown)} is not known here")
        span = _SPAN.fullmatch(read.get("start", "-PT3H"))  # CloudWatch's own default
        if span is None:
            raise CannotDrawError(
                f"dashboard {name}: its start {read['start']!r} is not known here"
            )
        widgets, chosen = json.dumps(read["widgets"]), {}
        for variable in read.get("variables", []):
            match variable:
                case {"type": "property", "property": key, "defaultValue": value}:
                    chosen[key] = value
                case {"type": "pattern", "pattern": pattern, "defaultValue": value}:
                    widgets = re.sub(pattern, json.dumps(value)[1:-1], widgets)
                case _:
                    raise CannotDrawError(f"dashboard {name}: no default for {variable!r}")
        parts = {unit: float(number) for unit, number in span.groupdict("0").items()}
        return cls(name, json.loads(widgets), timedelta(**parts), chosen)


@dataclass(frozen=True, slots=True)
class Template:
    """The template as a stack would see it, for what is drawn of it."""

    resources: Mapping[str, Json]
    resolver: IntrinsicResolver

    @classmethod
    def read(cls, parameters: Mapping[str, str], path: Path = TEMPLATE) -> Self:
        """Read the file with these parameters, the defaults for the rest; pseudo parameters too."""
        source = yaml_parse(path.read_text())
        defaults = {k: str(p["Default"]) for k, p in source["Parameters"].items() if "Default" in p}
        symbols = IntrinsicsSymbolTable(
            template=source, logical_id_translator={**defaults, **parameters}
        )
        return cls(source["Resources"], IntrinsicResolver(source, symbols))

    def resolved(self, node: Json) -> Json:
        """A part of the template with its intrinsic functions carried out."""
        return self.resolver.intrinsic_property_resolver(node, ignore_errors=False)

    def dashboard(self, logical_id: str) -> Dashboard:
        """One of the template's dashboards."""
        properties = self.resources[logical_id]["Properties"]
        body = self.resolved(properties["DashboardBody"])
        return Dashboard.of(self.resolved(properties["DashboardName"]), body)

    def alarm_name(self, arn: str) -> str:
        """What the alarm of this ARN is called.

        Raises:
            CannotDrawError: the template has no such alarm.
        """
        logical_id = arn.rpartition(":")[2]
        if logical_id not in self.resources:
            raise CannotDrawError(f"the template has no alarm {logical_id}")
        return str(self.resolved(self.resources[logical_id]["Properties"]["AlarmName"]))
