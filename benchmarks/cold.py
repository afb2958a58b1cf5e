"""2: the first run of the built artifact, under AWS's runtime interface emulator."""

from __future__ import annotations

import compileall
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

from benchmarks.bench import Bench
from benchmarks.figures import Goal, shown, spread, table
from benchmarks.settings import ROOT
from tests.support.built import Artifact
from tests.support.lambda_runtime import TERMINATION_HANDLER, LambdaRuntime

TITLE = "The first run"
LAMBDAS = ROOT / "benchmarks" / "rivals" / "lambdas"
OURS, EMPTY, EAGER = TERMINATION_HANDLER, "empty.handler", "eager.handler"
SHIPPED, BARE_LAYER, BARE, ALL_COMPILED = (
    "as built",
    "layer without bytecode",
    "nothing as bytecode",
    "everything as bytecode",
)


@dataclass(frozen=True)
class Variant:
    """A handler with one of the builds."""

    name: str
    handler: str
    build: str


VARIANTS = (
    Variant("this function", OURS, SHIPPED),
    Variant("an empty handler, same layer", EMPTY, SHIPPED),
    Variant("Powertools and boto3 in full", EAGER, SHIPPED),
    Variant("this function, layer without bytecode", OURS, BARE_LAYER),
    Variant("Powertools and boto3 in full, layer without bytecode", EAGER, BARE_LAYER),
    Variant("this function, no bytecode at all", OURS, BARE),
    Variant("this function, its own modules as bytecode too", OURS, ALL_COMPILED),
)


def measure(bench: Bench) -> dict[str, Any]:
    """Every variant by turns, each in a new environment that starts cold."""
    bench.servers.reset()
    found: dict[str, dict[str, list[float]]] = {v.name: {"init": [], "first": []} for v in VARIANTS}
    with _builds(bench.built) as builds:
        for _ in range(bench.rounds(7)):
            for variant in VARIANTS:
                init, first = _start(bench, variant, builds[variant.build])
                found[variant.name]["init"].append(init)
                found[variant.name]["first"].append(first)
        compiled = any(builds[SHIPPED].function().rglob("*.pyc"))
    ours, eager = found[VARIANTS[0].name]["init"], found[VARIANTS[2].name]["init"]
    return {
        "variants": {
            name: {kind: spread(values) for kind, values in kinds.items()}
            for name, kinds in found.items()
        },
        "ratio": spread(a / b for a, b in zip(ours, eager, strict=True)),
        "function is compiled": compiled,
    }


def _start(bench: Bench, variant: Variant, built: Artifact) -> tuple[float, float]:
    """Seconds of init, and of the first event after it."""
    environment = bench.servers.environment()
    with LambdaRuntime(
        env=environment, handler=variant.handler, built=built, extra_path=LAMBDAS
    ) as runtime:
        result = runtime.invoke({})
        if not result.ok or runtime.init_ms is None:
            raise RuntimeError(f"{variant.name}: {result.error_message}\n{result.logs}")
        return runtime.init_ms / 1e3, _duration(result.logs) - runtime.init_ms / 1e3


def _duration(logs: str) -> float:
    """The emulator counts the init into the first event's duration."""
    return float(logs.rpartition("\tDuration: ")[2].partition(" ms")[0]) / 1e3


@contextmanager
def _builds(built: Artifact) -> Iterator[dict[str, Artifact]]:
    """The artifact as it is built, and copies with less and more bytecode."""
    with tempfile.TemporaryDirectory() as folder:
        bare_layer, bare, compiled = (
            _copied(built, Path(folder) / name) for name in ("bare-layer", "bare", "compiled")
        )
        _forget_bytecode(bare_layer.layer)
        _forget_bytecode(bare.path)
        compileall.compile_dir(
            compiled.function(), quiet=1, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
        )
        yield {SHIPPED: built, BARE_LAYER: bare_layer, BARE: bare, ALL_COMPILED: compiled}


def _copied(built: Artifact, target: Path) -> Artifact:
    for part in (built.layer, built.function()):
        shutil.copytree(part, target / part.name)
    return Artifact(target)


def _forget_bytecode(folder: Path) -> None:
    for cache in list(folder.rglob("__pycache__")):
        shutil.rmtree(cache)


def goals(found: dict[str, Any]) -> list[Goal]:
    """Init under 40 % of what importing everything takes."""
    variants = found["variants"]
    ours, empty, eager, *_, compiled = (variants[v.name]["init"]["median"] * 1e3 for v in VARIANTS)
    own = (
        "its own modules are bytecode already"
        if found["function is compiled"]
        else f"compiling its own modules beforehand would make it {compiled:.0f} ms"
    )
    why = (
        f"{ours:.0f} ms against {eager:.0f} ms; an empty handler takes {empty:.0f} ms, which "
        f"leaves {ours - empty:.0f} ms to Powertools, pydantic, the HTTP client and the function; {own}"
    )
    return [
        Goal(
            "init against Powertools and boto3 imported in full",
            found["ratio"]["median"],
            0.40,
            " times",
            why,
        )
    ]


def describe(found: dict[str, Any]) -> str:
    """What was measured, as a table."""
    rows = [
        [
            name,
            shown(kinds["init"], 1e3, 0),
            shown(kinds["first"], 1e3, 0),
            f"{(kinds['init']['median'] + kinds['first']['median']) * 1e3:,.0f}",
        ]
        for name, kinds in found["variants"].items()
    ]
    return (
        "The built artifact under AWS's runtime interface emulator, a new environment each time; "
        "milliseconds. The first event fetches the token from SSM (40 ms away) and an empty list "
        "(10 ms): for the token the function loads boto3 with SSM's model, once in an "
        "environment's life. The rival imports and makes everything at the top, and does the same.\n\n"
        + table(["", "init", "first event", "both"], rows)
        + f"\n\nInit is {found['ratio']['median']:.0%} of the eager rival's "
        f"({found['ratio']['low']:.0%}-{found['ratio']['high']:.0%} over the rounds)."
    )
