"""A base image for `sam local` made of this machine's own parts, where no image registry is reached.

It holds what SAM and the functions use of AWS's image `public.ecr.aws/lambda/python:3.13`: Python in
`/var/lang`, AWS's runtime client (`awslambdaric`) and boto3 at the locked versions, and a shell with the
few programs that SAM's Dockerfile and the measurements call. It is not Amazon Linux: that the layer's
wheels load there, it does not prove. Which paths SAM starts: `samcli/local/docker/lambda_debug_settings.py`
(`/var/lang/bin/python3.13 /var/runtime/bootstrap.py`).
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements-dev.txt"
CACHE = ROOT / ".cache" / "sam-local"
ARCHITECTURE = "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"
NAME, TAG = "public.ecr.aws/lambda/python", f"3.13-{ARCHITECTURE}"
"""The image that SAM looks for."""
PROGRAMS = ("sh", "mv", "cp", "rm", "chmod", "cat", "mkdir")
PACKAGES = ("awslambdaric", "boto3")
WHEELS_NEED = ("librt.so.1", "libdl.so.2", "libpthread.so.0", "libutil.so.1", "libgcc_s.so.1")
"""What a manylinux wheel may load besides; glibc's parts are stubs, but must be there."""
LEFT_OUT = {"test", "idlelib", "tkinter", "ensurepip", "site-packages", "turtledemo"}
BOOTSTRAP = """import os, sys
os.environ["PYTHONPATH"] = "/var/task:/opt/python:/var/runtime"
os.environ.setdefault("AWS_EXECUTION_ENV", "AWS_Lambda_python3.13")
os.execv(sys.executable, [sys.executable, "-m", "awslambdaric", os.environ["_HANDLER"]])
"""
SHELL_BOOTSTRAP = "#!/bin/sh\nexec /var/lang/bin/python3.13 /var/runtime/bootstrap.py\n"
VARIABLES = {
    "LANG": "en_US.UTF-8",
    "TZ": ":UTC",
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin",
    "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/task/lib:/opt/lib",
    "LAMBDA_TASK_ROOT": "/var/task",
    "LAMBDA_RUNTIME_DIR": "/var/runtime",
}


class BaseImageError(Exception):
    """The image cannot be made here; the message says what is lacking."""


def base_image() -> Path:
    """The image's files as a tar archive, made once for each lock file and Python.

    Raises:
        BaseImageError: this Python is no 3.13, or a program is lacking.
    """
    if platform.python_version_tuple()[:2] != ("3", "13"):
        raise BaseImageError(f"needs Python 3.13 in .venv, and it is {platform.python_version()}")
    made = CACHE / f"base-{_key()}.tar"
    if not made.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        for old in CACHE.glob("base-*.tar"):
            old.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            unfinished = Path(folder) / "base.tar"
            _write(unfinished, _packages(Path(folder) / "packages"))
            unfinished.rename(made)
    return made


def _key() -> str:
    pins = re.findall(r"^[a-z][^ ]*==\S+", LOCK.read_text(), re.MULTILINE)
    parts = [platform.python_version(), sys.base_prefix, *pins, Path(__file__).read_text()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _packages(folder: Path) -> Path:
    """What AWS's image has of its own, at the versions of the lock."""
    uv = [sys.executable, "-m", "uv", "pip", "install", "-q", "--compile-bytecode", "--python"]
    wanted = [sys.executable, "--constraints", str(LOCK), "--target", str(folder), *PACKAGES]
    done = subprocess.run([*uv, *wanted], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BaseImageError(f"awslambdaric and boto3 could not be installed: {done.stderr}")
    return folder


def _write(archive: Path, packages: Path) -> None:
    python = Path(sys.base_prefix)
    library = python / "lib" / "python3.13"
    programs = [_program(name) for name in PROGRAMS]
    interpreter = (python / "bin" / "python3.13").resolve()
    compiled = [*library.rglob("*.so"), *packages.rglob("*.so")]
    with tarfile.open(archive, "w") as tar:
        for folder in ("tmp", "var/task", "opt", "var/rapid", "proc", "sys", "dev", "etc"):
            _add_folder(tar, folder, 0o1777 if folder == "tmp" else 0o755)
        tar.add(interpreter, "var/lang/bin/python3.13")
        tar.add(library, "var/lang/lib/python3.13", filter=_without_what_nobody_imports)
        tar.add(packages, "var/runtime", filter=_without_what_nobody_imports)
        for program in programs:
            tar.add(program.resolve(), f"bin/{program.name}")
        for needed in sorted(_libraries([interpreter, *compiled, *map(Path.resolve, programs)])):
            within_python = needed.is_relative_to(python)
            place = f"var/lang/lib/{needed.name}" if within_python else str(needed).lstrip("/")
            tar.add(needed.resolve(), place)
        _add_text(tar, "var/runtime/bootstrap.py", BOOTSTRAP, 0o644)
        _add_text(tar, "var/runtime/bootstrap", SHELL_BOOTSTRAP, 0o755)
        _add_text(tar, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644)
        _add_text(tar, "etc/nsswitch.conf", "hosts: files dns\n", 0o644)


def _program(name: str) -> Path:
    found = shutil.which(name, path="/bin:/usr/bin")
    if found is None:
        raise BaseImageError(f"needs the program {name}")
    return Path(found)


def _libraries(files: Iterable[Path]) -> set[Path]:
    """Every shared library that they load, by the loader's own word."""
    found: set[Path] = set()
    files = list(files)
    environment = {**os.environ, "LD_LIBRARY_PATH": f"{sys.base_prefix}/lib"}
    for start in range(0, len(files), 50):
        told = subprocess.run(
            ["ldd", *map(str, files[start : start + 50])],
            env=environment,
            capture_output=True,
            text=True,
            check=False,  # it is 1 where one of the files is static
        ).stdout
        found |= {Path(path) for path in re.findall(r"(?:=> |^\t)(/\S+) \(0x", told, re.MULTILINE)}
    beside = next(path.parent for path in found if path.name == "libc.so.6")
    return found | {beside / name for name in WHEELS_NEED if (beside / name).exists()}


def _without_what_nobody_imports(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = Path(member.name).parts
    config = any(part.startswith("config-3.13") for part in parts)
    return None if config or LEFT_OUT & set(parts[3:]) or member.name.endswith(".a") else member


def _add_folder(tar: tarfile.TarFile, name: str, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode = tarfile.DIRTYPE, mode
    tar.addfile(member)


def _add_text(tar: tarfile.TarFile, name: str, text: str, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(text.encode()), mode
    tar.addfile(member, io.BytesIO(text.encode()))
