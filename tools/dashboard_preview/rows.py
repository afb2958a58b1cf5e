"""The rows under `metrics` in a metric widget's JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.dashboard_preview.errors import CannotDrawError
from tools.dashboard_preview.metrics import Metric

Json = Any

_OPTIONS = {"id", "label", "expression", "visible", "stat", "period", "yAxis", "color", "region"}


@dataclass(frozen=True, slots=True)
class Row:
    """One row: a metric, or an expression among its options.

    Attributes:
        id: its own, or one that no expression can name.
        metric: None for an expression.
        options: what the row's last element holds.
    """

    id: str
    metric: Metric | None
    options: Mapping[str, Json]

    @property
    def label(self) -> str:
        """What the legend calls it. Raises CannotDrawError if that is made by CloudWatch."""
        label = str(self.options.get("label") or (self.metric.name if self.metric else self.id))
        if "${" in label:
            raise CannotDrawError(f"the dynamic label {label!r} is not known here")
        return label

    @property
    def names(self) -> set[str]:
        """Words in its expression that may be other rows' ids."""
        text = self.options["expression"]
        return set("".join(c if c.isalnum() or c == "_" else " " for c in text).split())


def written_out(rows: Sequence[Sequence[Json]]) -> Iterator[Row]:
    """The rows with `.` and `...`, which repeat the row before, filled in.

    Raises:
        CannotDrawError: an option that is not known here, or dimensions without their values.
    """
    before: list[str] = []
    for place, row in enumerate(rows):
        options = row[-1] if isinstance(row[-1], dict) else {}
        known("a row", options, _OPTIONS)
        own_id = str(options.get("id", f"row {place + 1}"))
        words = [word for word in row if isinstance(word, str)]
        if not words:
            if "expression" not in options:
                raise CannotDrawError(f"{own_id} has neither a metric nor an expression")
            yield Row(own_id, None, options)
            continue
        if words[0] == "...":
            words = before[: len(before) - len(words) + 1] + words[1:]
        words = [before[i] if word == "." else word for i, word in enumerate(words)]
        before = words
        if len(words) % 2:
            raise CannotDrawError(f"a row has a dimension without its value: {words}")
        dimensions = frozenset(zip(words[2::2], words[3::2], strict=True))
        yield Row(own_id, Metric(words[0], words[1], dimensions), options)


def known(where: str, written: Mapping[str, Json], names: set[str]) -> None:
    """Raise CannotDrawError if something is written that would be left out in silence."""
    if unknown := sorted(set(written) - names):
        raise CannotDrawError(f"{where} has {unknown}, which is not known here")
