"""The code as it was before it was made for a seventh of a cpu: measured beside today's, by the same driver."""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.settings import ROOT
from tests.support import built as artifact

COMMIT = "a6296b9c840d1eabfdc8aa807b4e53cd387749e6"
"""The last one before its folders were named by purpose."""
NAME = "the code before"


def build() -> artifact.Artifact | None:
    """Built as it would have been deployed; None where the repository does not go back so far."""
    path = artifact.CACHE.with_name("before") / COMMIT
    if not path.exists():
        sources = _git("archive", COMMIT, "src", "layers", "template.yaml")
        if sources is None:
            return None
        with tempfile.TemporaryDirectory() as folder:
            tar = Path(folder) / "sources.tar"
            tar.write_bytes(sources)
            with tarfile.open(tar) as opened:
                opened.extractall(folder, filter="data")
            artifact.sam_build(path, artifact.MACHINE_ARCHITECTURE, Path(folder))
    return artifact.Artifact(path)


def slower(
    ours: Mapping[str, float], old: Mapping[str, float] | None, then: float, scale: float, unit: str
) -> str:
    """Why a goal in seconds may be missed: this machine beside itself when the goal was set.

    Args:
        ours: today's figure.
        old: the code before, measured by turns with it.
        then: what the code before took when the goal was set, on this kind of machine when it was quiet.
        scale: from seconds to `unit`.
        unit: of the limit.
    """
    if old is None:
        return "the code before, by which the machine is judged, is not to be had"
    times = old["median"] * scale / then
    return (
        f"the code before takes {old['median'] * scale:.2f}{unit} beside it, {times:.1f} times what it took "
        f"when the goal was set ({then:g}); at that machine's speed it would be about "
        f"{ours['median'] * scale / times:.2f}{unit}"
    )


def _git(*arguments: str) -> bytes | None:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    return None if done.returncode else done.stdout
