"""Every kind of change, and what is left alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tools.mutants.mutations import Mutation, mutations

SOURCES = Path(__file__).resolve().parents[3] / "src" / "handler"


def made(source: str) -> list[str]:
    return [mutation.applied(source) for mutation in mutations(source)]


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("a < b", {"(a <= b)"}),
        ("a < b in c", {"(a <= b in c)", "(a < b not in c)"}),
        ("a is None", {"(a is not None)"}),
        ("a and b and c", {"(a or b or c)"}),
        ("a + b", {"(a - b)"}),
        ("a % b", set()),
        ("not a", {"a"}),
        ("if a: b", {"if (not a): b"}),
        ("a if b else c", {"a if (not b) else c"}),
        ("[a for a in b if c]", {"[a for a in b if (not c)]"}),
        ("a = True", {"a = False"}),
        ("a = 60", {"a = 61", "a = 6"}),
        ("a = 'x'", {"a = 'xx'"}),
        ("a = None", set()),
        ("return a", {"return None"}),
        ("return None", set()),
        ("raise a('b')", {"pass"}),
        ("continue", {"pass"}),
        ("a += b", {"pass"}),
        ("a = b(c, d=e, f=g)", {"a = b(c, f=g)", "a = b(c, d=e)"}),
        ("a(b=c)", {"pass", "a()"}),
        ("{a, b, c}", {"{b, c}", "{a, c}", "{a, b}"}),
        ("{a, b}", set()),
    ],
)
def test_each_mistake_is_made(source: str, changed: set[str]) -> None:
    assert set(made(source)) == changed


@pytest.mark.parametrize(
    "source",
    [
        "def f() -> 'a': pass",
        "def f(a: 'b'): pass",
        "a: 'b'",
        "@a(1)\ndef f(): pass",
        "class C(B[1]): pass",
        "'''A docstring.'''",
        "f'{a} b'",
        "__all__ = ['a']",
        "if TYPE_CHECKING:\n    a = 1",
        "import a",
        "a = 'there is no time left, or not enough of it'",
    ],
)
def test_what_says_nothing_of_behaviour_is_left_alone(source: str) -> None:
    assert made(source) == []


def test_a_change_tells_its_line_and_the_function_it_is_in() -> None:
    source = "a = 1\n\n@b\ndef f(c=2):\n    def g():\n        return 3\n"
    placed = [(one.line, one.function) for one in mutations(source)]
    # Decorators count to a function, defaults are made by the import, and an inner function is its outer's.
    assert placed == [(1, 0), (4, 0), (6, 3), (6, 3)]


def test_letters_of_more_than_one_byte_shift_nothing() -> None:
    assert made("a = 'ä'; b < c") == ["a = 'äx'; b < c", "a = 'ä'; (b <= c)"]


def test_a_long_change_is_shown_where_it_differs() -> None:
    shown = str(Mutation(1, 0, 0, f"f({'a, ' * 40}b=c)", f"f({'a, ' * 40})", 0))
    assert shown.startswith("...")
    assert "b=c" in shown
    assert len(shown) < 90


@pytest.mark.parametrize("file", sorted(SOURCES.rglob("*.py")), ids=lambda file: file.stem)
def test_every_change_of_the_product_is_python_and_another_program(file: Path) -> None:
    source = file.read_text()
    same = ast.dump(ast.parse(source))
    for mutation in mutations(source)[::20]:  # all of them take ten seconds
        assert ast.dump(ast.parse(mutation.applied(source))) != same, mutation
