"""The code as it was before it was made for a seventh of a cpu: measured beside today's, by the same driver."""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
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


def _git(*arguments: str) -> bytes | None:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    return None if done.returncode else done.stdout
