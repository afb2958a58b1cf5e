"""What is in the packages that would be deployed, and what is not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import built as artifacts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.built import Artifact

ROOT = Path(__file__).resolve().parents[2]
DEPENDENCIES = ROOT / "layers" / "dependencies"
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}

pytestmark = pytest.mark.artifact


def files(folder: Path) -> dict[str, Path]:
    return {str(p.relative_to(folder)): p for p in sorted(folder.rglob("*")) if p.is_file()}


def bytecode(modules: Iterable[str]) -> set[str]:
    """The names of these modules' bytecode."""
    return {f"{Path(m).parent}/__pycache__/{Path(m).stem}.cpython-313.pyc" for m in modules}


def locked() -> set[str]:
    text = (DEPENDENCIES / "requirements.txt").read_text()
    return {name.replace("-", "_") for name in re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE)}


def test_the_function_is_the_handler_s_sources_and_nothing_else(artifact: Artifact) -> None:
    sources = {f"handler/{n}" for n in files(ROOT / "src" / "handler") if "__pycache__" not in n}
    assert {Path(name).suffix for name in sources} == {".py", ".json"}  # AWS's service models
    for function in ("TerminationFunction", "HousekeepingFunction"):
        built = files(artifact.function(function))
        assert built.keys() == sources | bytecode(n for n in sources if n.endswith(".py"))


def test_the_layer_holds_what_is_locked_and_no_boto3(artifact: Artifact) -> None:
    assert [path.name for path in artifact.layer.iterdir()] == ["python"]
    found = {
        info.name.split("-")[0].lower() for info in (artifact.layer / "python").glob("*.dist-info")
    }
    assert found == locked()
    assert not {"boto3", "botocore", "s3transfer", "handler"} & {
        path.name for path in (artifact.layer / "python").iterdir()
    }


@pytest.mark.parametrize(
    "part", ["DependenciesLayer", "TerminationFunction", "HousekeepingFunction"]
)
def test_every_module_is_there_as_bytecode_too(artifact: Artifact, part: str) -> None:
    names = files(artifact.path / part)
    compiled = bytecode(name for name in names if name.endswith(".py"))
    assert compiled <= names.keys()
    # Bits 0 and 1 of the second word: checked by hash, and not checked at all.
    flags = {names[name].read_bytes()[4] for name in compiled}
    assert flags == {0b01}


def test_what_nobody_needs_at_run_time_is_left_out(artifact: Artifact) -> None:
    for name in files(artifact.layer):
        assert not re.search(r"(^|/)(bin|tests)/|/(RECORD|INSTALLER)$|\.pyi$", name), name
    # What scanners read, and what licences ask for, stays.
    infos = list((artifact.layer / "python").glob("*.dist-info"))
    assert [info for info in infos if not (info / "METADATA").exists()] == []


@pytest.mark.parametrize("architecture", sorted(MACHINES))
def test_the_layer_s_wheels_are_of_the_architecture(artifact: Artifact, architecture: str) -> None:
    own = architecture == artifacts.MACHINE_ARCHITECTURE
    layer = (artifact if own else artifacts.build(architecture=architecture)).layer
    libraries = [Path(name).name for name in files(layer) if name.endswith(".so")]
    wanted = f".cpython-313-{MACHINES[architecture]}-linux-gnu.so"
    assert [name for name in libraries if not name.endswith(wanted)] == []


def test_pip_builds_the_same_layer_as_uv(artifact: Artifact, tmp_path: Path) -> None:
    """For a user who has pip but not uv."""
    path = f"{Path(sys.base_prefix) / 'bin'}:/usr/bin:/bin"
    has_pip = subprocess.run(
        ["python3.13", "-m", "pip", "--version"],
        env=os.environ | {"PATH": path},
        capture_output=True,
        check=False,
    )
    if shutil.which("uv", path=path) or has_pip.returncode:
        pytest.skip("needs a Python 3.13 with pip, and no uv beside it")
    subprocess.run(
        ["make", "--makefile", str(DEPENDENCIES / "Makefile"), "build-DependenciesLayer"],
        cwd=DEPENDENCIES / "platforms" / artifacts.MACHINE_ARCHITECTURE,
        env=os.environ | {"PATH": path, "ARTIFACTS_DIR": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    with_pip, with_uv = files(tmp_path), files(artifact.layer)
    assert with_pip.keys() == with_uv.keys()
    different = [n for n, p in with_pip.items() if p.read_bytes() != with_uv[n].read_bytes()]
    assert different == []


def test_the_runtime_brings_boto3_and_nothing_of_the_layer(artifact: Artifact) -> None:
    del artifact
    code = "import importlib.util as u, sys; print([n for n in sys.argv[1:] if u.find_spec(n)])"
    names = ["boto3", "botocore", "awslambdaric", "pydantic", "requests", "aws_lambda_powertools"]
    done = subprocess.run(
        [str(artifacts.runtime_python()), "-c", code, *names],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(["boto3", "botocore", "awslambdaric"])
