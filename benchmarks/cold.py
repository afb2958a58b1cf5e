"""2: the first run of the built artifact, under AWS's runtime interface emulator."""

from __future__ import annotations

import compileall
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

from benchmarks import before
from benchmarks.bench import Bench
from benchmarks.figures import Goal, by_turns, shown, spread, table
from benchmarks.settings import ROOT
from tests.support import built as artifact
from tests.support.built import Artifact
from tests.support.lambda_runtime import TERMINATION_HANDLER, LambdaRuntime

TITLE = "The first run"
LAMBDAS = ROOT / "benchmarks" / "rivals" / "lambdas"
RIVALS_OWN = ("pydantic", "pydantic-core", "typing-inspection", "annotated-types")
"""What the eager rival imports beside this function's layer: Powertools' parser stands on it."""


@dataclass(frozen=True)
class Variant:
    """A handler with one of the builds.

    Attributes:
        name: in the tables.
        handler: what Lambda would call.
        built: with which layer.
        beside: where else it imports from.
    """

    name: str
    handler: str
    built: Artifact
    beside: Path = LAMBDAS


def measure(bench: Bench) -> dict[str, Any]:
    """Every variant by turns, each in a new environment that starts cold."""
    bench.servers.reset()
    with tempfile.TemporaryDirectory() as folder:
        variants = _variants(bench, Path(folder))
        found = by_turns(
            bench.rounds(7),
            {kind: partial(_start, bench, variant) for kind, variant in variants.items()},
        )
    pairs = zip(found["ours"], found["eager"], strict=True)
    return {
        "variants": {
            kind: {
                "name": variants[kind].name,
                "init": spread(one["init"] for one in rounds),
                "first": spread(one["first"] for one in rounds),
            }
            for kind, rounds in found.items()
        },
        "ratio": spread(ours["init"] / eager["init"] for ours, eager in pairs),
    }


def _variants(bench: Bench, folder: Path) -> dict[str, Variant]:
    built = bench.built
    bare = Artifact(folder / "bare")
    for part in (built.layer, built.function()):
        shutil.copytree(part, bare.path / part.name, ignore=shutil.ignore_patterns("__pycache__"))
    variants = {
        "ours": Variant("this function", TERMINATION_HANDLER, built),
        "empty": Variant("an empty handler, same layer", "empty.handler", built),
        "eager": Variant(
            "Powertools, its parser, and boto3 in full", "eager.handler", built, _eager(folder)
        ),
        "bare": Variant("this function, no bytecode at all", TERMINATION_HANDLER, bare),
    }
    if bench.before is not None:
        variants["before"] = Variant(before.NAME, TERMINATION_HANDLER, bench.before)
    return variants


def _eager(folder: Path) -> Path:
    """The rival with its own packages, compiled as a layer would be."""
    beside = folder / "eager"
    shutil.copytree(LAMBDAS, beside)
    lock = artifact.LOCK.read_text()
    pins = [re.search(rf"^{name}==[^ ;]+", lock, re.MULTILINE) for name in RIVALS_OWN]
    subprocess.run(
        [
            *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps"),
            *("--target", str(beside), *(pin[0] for pin in pins if pin)),
        ],
        check=True,
    )
    compileall.compile_dir(beside, quiet=1, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    return beside


def _start(bench: Bench, variant: Variant) -> dict[str, Any]:
    """Seconds of init, and of the first event after it."""
    environment = bench.servers.environment()
    with LambdaRuntime(
        env=environment, handler=variant.handler, built=variant.built, extra_path=variant.beside
    ) as runtime:
        result = runtime.invoke({})
        if not result.ok or runtime.init_ms is None:
            raise RuntimeError(f"{variant.name}: {result.error_message}\n{result.logs}")
        init = runtime.init_ms / 1e3
        return {"init": init, "first": _duration(result.logs) - init}


def _duration(logs: str) -> float:
    """The emulator counts the init into the first event's duration."""
    return float(logs.rpartition("\tDuration: ")[2].partition(" ms")[0]) / 1e3


def goals(found: dict[str, Any]) -> list[Goal]:
    """Init under 40 % of what importing everything takes."""
    ours, empty, eager = (
        found["variants"][kind]["init"]["median"] * 1e3 for kind in ("ours", "empty", "eager")
    )
    why = (
        f"{ours:.0f} ms against {eager:.0f} ms; an empty handler takes {empty:.0f} ms, which "
        f"leaves {ours - empty:.0f} ms to Powertools, the HTTP client and the function"
    )
    ratio = found["ratio"]["median"]
    return [Goal("cold init against the eager rival's", ratio, 0.40, " times", why)]


def describe(found: dict[str, Any]) -> str:
    """What was measured, as a table."""
    rows = [
        [
            kinds["name"],
            shown(kinds["init"], 1e3, 0),
            shown(kinds["first"], 1e3, 0),
            f"{(kinds['init']['median'] + kinds['first']['median']) * 1e3:,.0f}",
        ]
        for kinds in found["variants"].values()
    ]
    return (
        "The built artifact under AWS's runtime interface emulator, a new environment each time, on a "
        "whole cpu; milliseconds. The first event fetches the token from SSM (40 ms away) and an empty "
        "list (10 ms): for the token the function loads boto3 with SSM's model, once in an environment's "
        "life. The eager rival does the same as it is usually written: everything is imported, and made, "
        "at the top.\n\n"
        + table(["", "init, ms", "first event, ms", "both, ms"], rows)
        + f"\n\nInit is {found['ratio']['median']:.0%} of the eager rival's "
        f"({found['ratio']['low']:.0%}-{found['ratio']['high']:.0%} over the rounds)."
    )
