"""`make sam-build`: the functions and their layer for this machine's own processor, in `build/sam/`.

The template's default is arm64, which an x86 machine cannot run. The folder is not `.aws-sam`: what
`make deploy` has built there stays as it is.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from local.sam.base_image import ARCHITECTURE
from local.sam.files import BUILT, ROOT, sam_environment

SAM = Path(sys.executable).with_name("sam")


def build() -> int:
    """Build; returns SAM's exit status, and prints its output where it fails."""
    # SAM looks for python3.13, and the layer's makefile for uv, on the PATH.
    path = os.pathsep.join([str(SAM.parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [
            *(str(SAM), "build", "--cached", "--parallel"),
            *("--cache-dir", str(ROOT / "build" / "sam-cache")),
            *("--template-file", str(ROOT / "template.yaml"), "--build-dir", str(ROOT / BUILT)),
            *("--parameter-overrides", f"Architecture={ARCHITECTURE}"),
        ],
        cwd=ROOT,
        env={**sam_environment(os.environ), "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(done.stdout if done.returncode else f"built for {ARCHITECTURE} in {BUILT}")
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(build())
