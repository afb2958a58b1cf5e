"""`make release VERSION=1.0.0`: build/release/ gets all that a release consists of; the tag comes last.

What is built is what is committed, from an export of its own, so that nothing lying about is shipped.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.release.checks import git, notes, refusals, tag_of
from tools.release.licences import LicenceError, Package, packages_of, render, service_models

ROOT = Path(__file__).resolve().parents[2]
RELEASE = ROOT / "build" / "release"
ARCHITECTURES = ("arm64", "x86_64")
LOCK = Path("layers/dependencies/requirements.txt")
SBOM_TOOL = ROOT / ".cache" / "release" / "bin" / "cyclonedx-py"


class ReleaseError(Exception):
    """What was built is not what is described."""


def release(version: str) -> None:
    """Build and describe; raises before anything is left behind or tagged."""
    shutil.rmtree(RELEASE, ignore_errors=True)
    moment = int(git(ROOT, "log", "-1", "--format=%ct"))
    with TemporaryDirectory() as folder:
        export, made = Path(folder) / "export", Path(folder) / "release"
        made.mkdir()
        with tarfile.open(fileobj=io.BytesIO(_archive())) as committed:
            committed.extractall(export, filter="data")
        sbom = _sbom(export, version, moment)
        for architecture in ARCHITECTURES:
            built = _build(export, architecture)
            packages = packages_of(built / "DependenciesLayer")
            _hold_together(packages, sbom)
            name = f"spot-cleanup-{version}-{architecture}"
            _pack(built, made / f"{name}.tar.gz", name, moment)
        (made / "licences.txt").write_text(render([*packages, service_models()]))
        (made / "sbom.cdx.json").write_text(sbom)
        (made / "notes.md").write_text(f"{notes(ROOT, version)}\n")
        sums = [f"{_sha256(path)}  {path.name}\n" for path in sorted(made.iterdir())]
        (made / "SHA256SUMS").write_text("".join(sums))
        shutil.copytree(made, RELEASE)


def _archive() -> bytes:
    """What is committed."""
    return subprocess.run(
        ["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True
    ).stdout


def _build(export: Path, architecture: str) -> Path:
    """What `sam package` and `sam deploy` take: the built template, functions and layer."""
    built = export / "built" / architecture
    subprocess.run(
        [
            *("sam", "build", "--no-cached", "--build-dir", str(built)),
            *("--parameter-overrides", f"Architecture={architecture}"),
        ],
        cwd=export,
        check=True,
        env=_environment(),
    )
    return built


def _environment() -> dict[str, str]:
    """Without what make hands on: the layer's makefile must not take the product's VERSION for its own."""
    of_make = {"MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "MAKELEVEL", "VERSION"}
    kept = {name: value for name, value in os.environ.items() if name not in of_make}
    return {**kept, "SAM_CLI_TELEMETRY": "0"}


def _sbom(export: Path, version: str, moment: int) -> str:
    """CycloneDX, of the layer's locked requirements. What is not in the layer is not shipped."""
    product = export / "sbom.toml"
    product.write_text(
        f'[project]\nname = "spot-cleanup"\nversion = "{version}"\nlicense = "Apache-2.0"\n'
    )
    done = subprocess.run(
        [
            *(str(SBOM_TOOL), "requirements", "--output-reproducible", "--output-format", "JSON"),
            *("--pyproject", str(product), str(export / LOCK)),
        ],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(moment)},
    )
    return done.stdout


def _hold_together(packages: list[Package], sbom: str) -> None:
    """The layer carries what the SBOM names, in these versions, and nothing else."""
    shipped = {(one.name, one.version) for one in packages}
    described = {(one["name"].lower(), one["version"]) for one in json.loads(sbom)["components"]}
    if shipped != described:
        differ = ", ".join(" ".join(one) for one in sorted(shipped ^ described))
        raise ReleaseError(f"the layer and the SBOM differ in {differ}")


def _pack(built: Path, file: Path, name: str, moment: int) -> None:
    """One archive of one folder; the same bytes for the same content."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mtime = moment
        return member

    with (
        file.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=moment) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for path in sorted(built.rglob("*")):
            inside = f"{name}/{path.relative_to(built)}"
            archive.add(path, inside, recursive=False, filter=plain)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> int:
    """2 if it must not be released, 1 if it could not be built."""
    version = sys.argv[1] if len(sys.argv) > 1 else ""
    if found := refusals(ROOT, version):
        print("not released:", *found, sep="\n- ", file=sys.stderr)
        return 2
    try:
        release(version)
    except (subprocess.CalledProcessError, ReleaseError, LicenceError) as error:
        print(getattr(error, "stderr", None) or error, file=sys.stderr)
        return 1
    git(ROOT, "tag", "--annotate", tag_of(version), "--message", f"Spot cleanup {version}")
    print(f"{RELEASE.relative_to(ROOT)}: {', '.join(sorted(p.name for p in RELEASE.iterdir()))}")
    print(f"tagged {tag_of(version)}, here only; to publish it: git push origin {tag_of(version)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
