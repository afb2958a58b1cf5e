"""The functions as they are deployed: built with SAM, beside a runtime like Lambda's.

Both are kept from one call to the next and built again only when what goes into them has
changed. Several processes may ask at once; one builds and the others wait for it.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "artifact"
RUNTIME = ROOT / ".runtime"
LOCK = ROOT / "requirements-dev.txt"
PYTHON_VERSION = "3.13"
KEPT_SECONDS = 6 * 3600

# What AWS's python3.13 image has of its own; what these need comes with them.
RUNTIME_PACKAGES = ("awslambdaric", "boto3")

MACHINE_ARCHITECTURE = "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"


@dataclass(frozen=True)
class Artifact:
    """One finished `sam build`, for this machine's own architecture."""

    path: Path

    @property
    def layer(self) -> Path:
        """What Lambda unpacks into /opt."""
        return self.path / "DependenciesLayer"

    @property
    def template(self) -> Path:
        """The template that `sam deploy` would take."""
        return self.path / "template.yaml"

    def function(self, name: str = "TerminationFunction") -> Path:
        """What Lambda unpacks into /var/task for the function of this logical id."""
        return self.path / name


class BuildFailedError(Exception):
    """`sam build` or the runtime's installation failed; the message is its output."""


def build(*, architecture: str = MACHINE_ARCHITECTURE) -> Artifact:
    """The artifact of the sources as they are now, built if they have changed."""
    path = CACHE / f"{architecture}-{_fingerprint()}"
    with _locked(CACHE.with_name("artifact.lock")):
        if not path.exists():
            sam_build(path, architecture)
            _forget_old_builds()
        path.touch()
    return Artifact(path)


def runtime_python() -> Path:
    """A Python with only what Lambda's image brings, at the versions of requirements-dev.txt."""
    python = RUNTIME / "bin" / "python"
    stamp = RUNTIME / "versions"
    wanted = _runtime_versions()
    with _locked(CACHE.with_name("runtime.lock")):
        if not (stamp.exists() and stamp.read_text() == wanted):
            shutil.rmtree(RUNTIME, ignore_errors=True)
            uv = [sys.executable, "-m", "uv"]
            _run([*uv, "venv", "--quiet", "--python", PYTHON_VERSION, str(RUNTIME)])
            install = [*uv, "pip", "install", "--quiet", "--compile-bytecode"]
            install += ["--python", str(python), "--constraints", str(LOCK)]
            _run([*install, *RUNTIME_PACKAGES])
            stamp.write_text(wanted)
    return python


def lambda_python() -> Path | None:
    """A Python of Lambda's version on this machine, if there is one."""
    command = [sys.executable, "-m", "uv", "python", "find", "--no-python-downloads"]
    done = subprocess.run(
        [*command, PYTHON_VERSION], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return Path(done.stdout.strip()) if done.returncode == 0 else None


def emulator() -> Path:
    """AWS's runtime interface emulator, which comes with the SAM command line."""
    spec = importlib.util.find_spec("samcli")
    if spec is None or spec.origin is None:
        raise BuildFailedError("aws-sam-cli is not installed: its emulator is needed")
    return Path(spec.origin).parent / "local" / "rapid" / f"aws-lambda-rie-{MACHINE_ARCHITECTURE}"


def sam_build(path: Path, architecture: str, root: Path = ROOT) -> None:
    """Build what stands in `root` into `path`."""
    unfinished = path.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    command = [str(Path(sys.executable).with_name("sam")), "build"]
    command += ["--template-file", str(root / "template.yaml"), "--build-dir", str(unfinished)]
    command += ["--parameter-overrides", f"Architecture={architecture}"]
    _run(command)
    unfinished.rename(path)


def _forget_old_builds() -> None:
    """Only what nobody has asked for in a while: another process may be running from it."""
    for build in CACHE.iterdir():
        if build.is_dir() and time.time() - build.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(build, ignore_errors=True)


def _fingerprint() -> str:
    digest = hashlib.sha256()
    sources = [ROOT / "template.yaml", ROOT / "monitoring.yaml"]
    for folder in ("src", "layers"):
        sources += (file for file in (ROOT / folder).rglob("*") if file.is_file())
    for file in sorted(sources):
        if "__pycache__" not in file.parts:
            digest.update(f"{file.relative_to(ROOT)}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _runtime_versions() -> str:
    names = "|".join((*RUNTIME_PACKAGES, "botocore"))
    pins = re.findall(rf"^(?:{names})==\S+", LOCK.read_text(), re.MULTILINE)
    return "\n".join([PYTHON_VERSION, *pins])


def _run(command: list[str]) -> None:
    python = lambda_python()
    if python is None:
        raise BuildFailedError(f"there is no Python {PYTHON_VERSION} on this machine")
    # SAM and the makefile look for python3.13, and the makefile for uv.
    path = [str(Path(sys.executable).parent), str(python.parent), os.environ["PATH"]]
    environment = os.environ | {
        "PATH": os.pathsep.join(path),
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_ENABLE_LANGUAGE_EXTENSIONS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BuildFailedError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
