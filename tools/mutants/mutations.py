"""The small changes that can be made to a source, each a mistake that somebody could make."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

_SWAPPED: dict[type[ast.AST], type[Any]] = {
    one: other
    for pair in (
        *((ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot)),
        *((ast.In, ast.NotIn), (ast.And, ast.Or), (ast.Add, ast.Sub), (ast.Mult, ast.Div)),
        (ast.BitOr, ast.BitAnd),
    )
    for one, other in (pair, pair[::-1])
}
_PROSE = re.compile(r"(?:[\w.,;:'()/-]+ ){2,}[\w.,;:'()/-]+")
"""Three words and more, and nothing else: what people read, and no other program."""
_BARE = ast.Call | ast.Constant | ast.Name | ast.List | ast.Set | ast.stmt


@dataclass(frozen=True, order=True)
class Mutation:
    """One change.

    Attributes:
        line: where it is; the first is 1.
        begin, end: the part of the source that is replaced, in bytes of its UTF-8.
        old, new: what stands there, as Python would write it, and what comes in its place.
        function: the first line of the outermost function that it is in, its decorators included, as in
            Python's `co_firstlineno`; 0 outside of every function, where only an import comes by.
    """

    line: int
    begin: int
    end: int
    old: str
    new: str
    function: int

    def applied(self, source: str) -> str:
        """The source with the change made."""
        raw = source.encode()
        return (raw[: self.begin] + self.new.encode() + raw[self.end :]).decode()

    def __str__(self) -> str:
        """What a report shows, on one line: of long ones the place that differs."""
        differs = (n for n, (a, b) in enumerate(zip(self.old, self.new, strict=False)) if a != b)
        same = max(next(differs, 0) - 30, 0)
        old, new = (text[same : same + 90] for text in (self.old, self.new))
        return " ".join(f"{'...' if same else ''}{old} -> {new}".split())


def mutations(source: str) -> list[Mutation]:
    """Every change that can be made to the source, in its order."""
    raw = source.encode()
    starts = [0]
    for line in raw.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def of(node: ast.AST, function: int) -> Iterator[Mutation]:
        for target, new in _changes(node):
            # Python's parser gives all of these a place; only nodes that a program makes may have none.
            begin = starts[target.lineno - 1] + target.col_offset
            end = starts[(target.end_lineno or 0) - 1] + (target.end_col_offset or 0)
            old, text = ast.unparse(target), ast.unparse(new)
            if old != text:
                text = text if isinstance(new, _BARE) else f"({text})"
                yield Mutation(target.lineno, begin, end, old, text, function)
        first = 0
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min(one.lineno for one in [node, *node.decorator_list])
        for child in _children(node):
            by_import = isinstance(child, ast.arguments)  # that is when defaults are made
            yield from of(child, function or (0 if by_import else first))

    return sorted(set(of(ast.parse(source), 0)))


def _changes(  # noqa: C901, PLR0912 - one case for each kind of node
    node: ast.AST,
) -> Iterator[tuple[ast.expr | ast.stmt, ast.AST]]:
    """A part of the node, and what comes in its place."""
    match node:
        case ast.If(ast.Name("TYPE_CHECKING")):
            return
        case ast.Compare(left, ops, others):
            for place, op in enumerate(ops):
                swapped = [*ops[:place], _SWAPPED[type(op)](), *ops[place + 1 :]]
                yield node, ast.Compare(left, swapped, others)
        case ast.BoolOp(op, values):
            yield node, ast.BoolOp(_SWAPPED[type(op)](), values)
        case ast.BinOp(left, op, right) if type(op) in _SWAPPED:
            yield node, ast.BinOp(left, _SWAPPED[type(op)](), right)
        case ast.If(test) | ast.While(test) | ast.IfExp(test) | ast.UnaryOp(ast.Not(), test):
            target = node if isinstance(node, ast.UnaryOp) else test
            yield target, test if target is node else ast.UnaryOp(ast.Not(), test)
        case ast.comprehension(ifs=tests):
            yield from ((test, ast.UnaryOp(ast.Not(), test)) for test in tests)
        case ast.Constant(value):
            yield from ((node, ast.Constant(other)) for other in _others(value))
        case ast.Return(ast.expr()):
            yield node, ast.Return(ast.Constant(None))
        case ast.Raise() | ast.Continue() | ast.Break() | ast.AugAssign() | ast.Expr(ast.Call()):
            yield node, ast.Pass()
        case ast.Call(function, arguments, keywords):
            for one in keywords:
                yield node, ast.Call(function, arguments, [k for k in keywords if k is not one])
        case ast.Set(elements) | ast.List(elements) | ast.Tuple(elements) if len(elements) > 2:
            for fewer in combinations(elements, len(elements) - 1):
                yield node, type(node)(list(fewer))


def _others(value: object) -> list[bool | float | str]:
    """Other values that could stand there by mistake."""
    match value:
        case bool():
            return [not value]
        case int() | float():
            return [value + 1, *([value // 10] if abs(value) >= 10 else [])]
        case str() if not _PROSE.fullmatch(value):
            return [f"{value}x"]
    return []


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """What may be changed: no annotation, decorator, docstring, error's message, or f-string's part."""
    left_out: list[object] = []
    match node:
        case ast.JoinedStr() | ast.Raise() | ast.arg() | ast.Expr(ast.Constant()):
            return
        case ast.If(ast.Name("TYPE_CHECKING")) | ast.Assign([ast.Name("__all__")]):
            return
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            left_out = [node.returns, *node.decorator_list]
        case ast.ClassDef():
            left_out = [*node.decorator_list, *node.bases]
        case ast.AnnAssign():
            left_out = [node.annotation]
    yield from (child for child in ast.iter_child_nodes(node) if child not in left_out)
