"""Imports run one way (design.md, "The house")."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

SRC = Path(__file__).parents[2] / "src"
FILES = sorted(SRC.rglob("*.py"))
SDK = {"boto3", "botocore"}


class Import(NamedTuple):
    """One import; those for types only do not happen at run time."""

    module: str
    for_types: bool

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]


def imports(tree: ast.AST, *, for_types: bool = False) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, for_types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield Import(node.module or "", for_types)
            yield from (Import(f"{node.module}.{alias.name}", for_types) for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from imports(node, for_types=True)
        else:
            yield from imports(node, for_types=for_types)


def of(path: Path) -> set[Import]:
    return set(imports(ast.parse(path.read_text())))


def under(folder: str) -> list[Path]:
    found = [path for path in FILES if path.is_relative_to(SRC / "handler" / folder)]
    assert found
    return found


def named(path: Path) -> str:
    return str(path.relative_to(SRC))


def is_in(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def test_the_walk_sees_imports_wherever_they_stand() -> None:
    text = """
import a, b.c
from d import e
if TYPE_CHECKING:
    import f
def g():
    try:
        from h import i
    except j:
        import k
"""
    found = set(imports(ast.parse(text)))
    assert {one.module for one in found if not one.for_types} == {
        "a", "b.c", "d", "d.e", "h", "h.i", "k",
    }  # fmt: skip
    assert {one.module for one in found if one.for_types} == {"f"}


PURE = [SRC / "handler" / name for name in (
    "instances/rules.py", "instances/ownership.py", "instances/surroundings.py", "instances/bisect.py",
    "images/rules.py", "images/index.py",
)]  # fmt: skip
"""What decides: no SDK, no HTTP, no clock, no environment."""
MAY_USE = {
    "aws": set(),
    "backend": set(),
    "instances": {"aws", "backend"},
    "images": {"aws", "backend"},
    "doctor": {"aws", "backend", "instances"},
}
"""The rooms, and those that each may enter."""
LONGEST = 325
"""Lines of one file."""


@pytest.mark.parametrize("path", PURE, ids=named)
def test_decisions_ask_nobody(path: Path) -> None:
    for one in of(path):
        assert one.top in sys.stdlib_module_names or one.top == "handler"
    forbidden = {"os", "time", "socket", "urllib", "http", "subprocess", "logging"}
    assert not {one.top for one in of(path)} & forbidden
    tree = ast.parse(path.read_text())
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not {call for call in calls if call.endswith((".now", ".utcnow", ".today"))}


@pytest.mark.parametrize("room", MAY_USE)
def test_rooms_are_entered_one_way(room: str) -> None:
    for path in under(room):
        for one in of(path):
            entered = {other for other in MAY_USE if is_in(one.module, f"handler.{other}")}
            assert entered <= MAY_USE[room] | {room}, f"{named(path)} imports {one.module}"
            at_run_time = not one.for_types and is_in(
                one.module, "handler.wiring", "handler.termination", "handler.housekeeping"
            )
            assert not at_run_time or room == "doctor", f"{named(path)} imports {one.module}"


def test_no_file_leads_back_to_itself() -> None:
    """A circle of imports, for types too: none of its files could be read before the others."""
    modules = {named(path).removesuffix(".py").replace("/", "."): path for path in FILES}
    graph = {
        name: {one.module for one in of(path)} & modules.keys() for name, path in modules.items()
    }
    TopologicalSorter(graph).prepare()


def test_every_folder_is_a_room() -> None:
    folders = {path.parent.name for path in FILES if path.parent != SRC / "handler"}
    assert folders - {"src"} == set(MAY_USE)


def test_no_file_is_more_than_one_idea() -> None:
    assert not [named(path) for path in FILES if len(path.read_text().splitlines()) > LONGEST]


def test_nothing_that_is_deployed_imports_what_is_not() -> None:
    ours = {"backend", "local", "tests", "benchmarks", "moto", "pytest", "hypothesis"}
    assert not [named(path) for path in FILES if {one.top for one in of(path)} & ours]


def test_clients_are_made_in_one_place() -> None:
    making = [
        named(path)
        for path in FILES
        if any(one.top == "boto3" and not one.for_types for one in of(path))
    ]
    assert making == ["handler/aws/clients.py"]


def module_level(path: Path) -> set[Import]:
    """Imports that happen as soon as the module is imported."""
    tree = ast.parse(path.read_text())
    tree.body = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return {one for one in imports(tree) if not one.for_types}


@pytest.mark.parametrize(
    "name",
    ["termination", "wiring", "settings", "telemetry", "backend/api", "backend/token"],
)
def test_what_every_run_needs_loads_no_sdk_at_import(name: str) -> None:
    found = {one.top for one in module_level(SRC / "handler" / f"{name}.py")}
    assert not found & SDK
