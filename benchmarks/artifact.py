"""6: what is deployed, by package, and what bytecode adds to it."""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

from benchmarks import before
from benchmarks.bench import Bench
from benchmarks.figures import Goal, table
from tests.support import built as artifact

TITLE = "The artifact"
KIB, MIB = 1024, 1024 * 1024
BOTO3 = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil")


def measure(bench: Bench) -> dict[str, Any]:
    """Sizes in bytes."""
    built = bench.built
    packages: dict[str, list[Path]] = defaultdict(list)
    root = built.layer / "python"
    for path in _files(root):
        packages[_package(path.relative_to(root))].append(path)
    runtime = next((artifact.RUNTIME / "lib").glob("python3*")) / "site-packages"
    boto3 = [path for name in BOTO3 for path in _files(runtime / name)]
    old = bench.before
    return {
        **_parts(built),
        "packages": {name: _sizes(paths, root) for name, paths in sorted(packages.items())},
        "boto3": _sizes(boto3, runtime),
        "before": old and _parts(old),
    }


def _parts(built: artifact.Artifact) -> dict[str, dict[str, int]]:
    return {
        "function": _sizes(_files(built.function()), built.function()),
        "layer": _sizes(_files(built.layer), built.layer),
    }


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def _package(path: Path) -> str:
    """A folder, a single module, or what a wheel tells of itself."""
    name = path.parts[0]
    if name == "__pycache__":
        return path.name.partition(".")[0]
    return name.partition("-")[0] if name.endswith((".dist-info", ".libs")) else Path(name).stem


def _sizes(paths: Iterable[Path], root: Path) -> dict[str, int]:
    everything = list(paths)
    sources = [path for path in everything if path.suffix != ".pyc"]
    return {
        "unzipped": sum(path.stat().st_size for path in everything),
        "zipped": _zipped(everything, root),
        "unzipped without bytecode": sum(path.stat().st_size for path in sources),
        "zipped without bytecode": _zipped(sources, root),
    }


def _zipped(paths: Iterable[Path], root: Path) -> int:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            archive.write(path, path.relative_to(root))
    return len(buffer.getvalue())


def goals(found: dict[str, Any]) -> list[Goal]:
    """The layer under 2 MiB without bytecode."""
    packages = {name: sizes["zipped without bytecode"] for name, sizes in found["packages"].items()}
    largest = max(packages, key=lambda name: packages[name])
    return [
        Goal(
            "the layer, zipped without bytecode",
            found["layer"]["zipped without bytecode"] / MIB,
            2,
            " MiB",
            f"{largest} alone is {packages[largest] / MIB:.1f} MiB",
        ),
    ]


def describe(found: dict[str, Any]) -> str:
    """What was measured, as a table."""
    packages = sorted(found["packages"].items(), key=lambda item: -item[1]["zipped"])
    named = [
        ("**function**", found["function"]),
        ("**layer**", found["layer"]),
        *((f"{before.NAME}: {part}", sizes) for part, sizes in (found["before"] or {}).items()),
        *packages,
        ("*not deployed: boto3, which the runtime brings*", found["boto3"]),
    ]
    kinds = (
        "zipped without bytecode",
        "unzipped without bytecode",
        "zipped",
        "unzipped",
    )
    rows = [[name, *(f"{sizes[k] / KIB:,.0f}" for k in kinds)] for name, sizes in named]
    more, unzipped = (
        sum(found[part][k] - found[part][f"{k} without bytecode"] for part in ("function", "layer"))
        / MIB
        for k in ("zipped", "unzipped")
    )
    return (
        "KiB. A package's own archive; the layer's is a little smaller than their sum.\n\n"
        + table(["", *kinds], rows)
        + f"\n\nBytecode costs {more:.1f} MiB of upload and {unzipped:.1f} MiB of Lambda's 250 "
        "unzipped; what it buys is in the first run's table."
    )
