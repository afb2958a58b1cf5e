"""Metric math: the part of it that dashboards of this template need."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tools.dashboard_preview.errors import CannotDrawError
from tools.dashboard_preview.metrics import Series

Value = float | Series | list[Series]

_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_ACROSS: dict[str, Callable[[Sequence[float], int], float]] = {
    "SUM": lambda present, _: sum(present),
    "AVG": lambda present, of: sum(present) / of,  # what is missing counts as 0
    "MIN": lambda present, _: min(present),
    "MAX": lambda present, _: max(present),
}


@dataclass(frozen=True, slots=True)
class Widget:
    """What an expression may speak of.

    Attributes:
        series: the widget's other rows by their ids.
        metrics: those of its rows that are metrics, in their order.
        times: where the periods of the drawn time begin.
    """

    series: Mapping[str, Series]
    metrics: Sequence[Series]
    times: Sequence[int]


def evaluate(expression: str, widget: Widget) -> Series | list[Series]:
    """The time series that an expression makes of others (CloudWatch, "Using metric math").

    Numbers, ids, `+ - * /`, brackets, METRICS(), SUM, AVG, MIN and MAX across an array, and FILL
    with a number. Between two series a missing value counts as 0, and a division by zero leaves
    the point out, both as CloudWatch has it.

    Raises:
        CannotDrawError: anything else; the message quotes it.
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except SyntaxError:
        raise CannotDrawError(f"the expression {expression!r} cannot be read") from None
    result = _Evaluation(widget).value(tree.body)
    if isinstance(result, float):
        raise CannotDrawError(
            f"the expression {expression!r} ends in a number, not in a time series"
        )
    return result


class _Evaluation:
    """One expression; its syntax is also Python's, so Python's parser reads it."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget

    def value(self, node: ast.expr) -> Value:  # noqa: PLR0911 - one for each kind of node
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name) if name in self._widget.series:
                return self._widget.series[name]
            case ast.Call(func=ast.Name(id="METRICS"), args=[]):
                return list(self._widget.metrics)
            case ast.Name(id=name):
                raise CannotDrawError(f"no row of the widget has the id {name!r}")
            case ast.List(elts=elements):
                return [self._one(element) for element in elements]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _combine(operator.mul, -1.0, self.value(operand), node)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                sides = self.value(left), self.value(right)
                return _combine(_ARITHMETIC[type(op)], *sides, node)
            case ast.Call(func=ast.Name(id=name), args=[argument]) if name in _ACROSS:
                return _across(_ACROSS[name], self.value(argument), node)
            case ast.Call(func=ast.Name(id="FILL"), args=[filled, filler]):
                return self._fill(self.value(filled), self.value(filler), node)
        raise _unknown(node)

    def _one(self, node: ast.expr) -> Series:
        value = self.value(node)
        if not isinstance(value, dict):
            raise _unknown(node)
        return value

    def _fill(self, filled: Value, filler: Value, node: ast.expr) -> Series | list[Series]:
        if isinstance(filled, float) or not isinstance(filler, float):
            raise _unknown(node)
        every = [
            {time: one.get(time, filler) for time in self._widget.times}
            for one in (filled if isinstance(filled, list) else [filled])
        ]
        return every if isinstance(filled, list) else every[0]


def _across(over: Callable[[Sequence[float], int], float], value: Value, node: ast.expr) -> Series:
    """Across an array, moment by moment. Of one series these functions make a number: not here."""
    if not isinstance(value, list):
        raise _unknown(node)
    times = sorted({time for series in value for time in series})
    return {
        time: over([series[time] for series in value if time in series], len(value))
        for time in times
    }


def _combine(
    op: Callable[[float, float], float], left: Value, right: Value, node: ast.expr
) -> Value:
    if isinstance(left, float) and isinstance(right, float):
        return op(left, right)
    if isinstance(left, list) or isinstance(right, list):
        raise _unknown(node)
    times = sorted({time for side in (left, right) if isinstance(side, dict) for time in side})
    made = {}
    for time in times:
        first, second = (s if isinstance(s, float) else s.get(time, 0.0) for s in (left, right))
        try:
            made[time] = op(first, second)
        except ZeroDivisionError:
            continue
    return made


def _unknown(node: ast.expr) -> CannotDrawError:
    return CannotDrawError(f"metric math: {ast.unparse(node)!r} is not known here")
