"""`make sam-local`: build, find or start an engine, and play every sample event where containers reach it."""

from __future__ import annotations

import os
import subprocess
import sys

from local.endings import end_tidily
from local.sam.base_image import BaseImageError
from local.sam.build import build
from local.sam.engine import Engine, NoEngineError, any_engine
from local.sam.files import ROOT


def beside(engine: Engine, module: str, arguments: list[str]) -> int:
    """Run a module of this project where the engine's containers reach it; its exit status."""
    running = subprocess.Popen(
        [*engine.enter, sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, **engine.variables},
    )
    try:
        return running.wait()
    except KeyboardInterrupt:
        return running.wait()  # it has had the signal as well, and ends first
    finally:
        if running.poll() is None:
            running.terminate()
            running.wait()


def run(module: str, arguments: list[str]) -> int:
    """Build, then run the module beside an engine; 1 where one is lacking."""
    end_tidily()
    if build():
        return 1
    try:
        with any_engine() as engine:
            print(f"containers run on {engine.what}", flush=True)
            return beside(engine, module, arguments)
    except (NoEngineError, BaseImageError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(run("local.sam.session", sys.argv[1:]))
