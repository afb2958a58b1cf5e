"""`make release` on a scratch clone: what it refuses, what it leaves behind, and that the tag comes last."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from handler import VERSION
from tools.release.licences import LicenceError, Package, render

ROOT = Path(__file__).resolve().parents[2]
FILES = ("Makefile", "CHANGELOG.md", ".gitignore", "src/handler/__init__.py", "tools/release")
NOBODY = {
    f"GIT_{who}_{what}": "nobody@example.com"
    for who in ("AUTHOR", "COMMITTER")
    for what in ("NAME", "EMAIL")
}
SAM = """#!/bin/sh
test -z "$VERSION$MAKEFLAGS" || exit 3
built=$4/DependenciesLayer/python/a_b-1.0.dist-info
mkdir -p "$built/licenses" && echo Text > "$built/licenses/LICENSE"
printf 'Name: a_b\\nVersion: 1.0\\nLicense-Expression: MIT\\n' > "$built/METADATA"
"""
"""Stands in for `sam build --no-cached --build-dir <folder>`."""
SBOM = """#!/bin/sh
echo '{"components": [{"name": "a-b", "version": "1.0"}]}'
"""


class Clone:
    """A repository with as much of this one as a release reads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in FILES:
            source, target = ROOT / name, root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, target)
        self.git("init", "-q")
        self.change("CHANGELOG.md", r"(?s)^## Unreleased\n.*?(?=^## )", "## Unreleased\n\n")
        self.program("sam", SAM)
        self.program("cyclonedx-py", SBOM, root / ".cache" / "release" / "bin")

    def program(self, name: str, text: str, folder: Path | None = None) -> None:
        file = (folder or self.root / ".tools") / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | NOBODY,
        )
        return done.stdout.strip()

    def change(self, name: str, old: str, new: str) -> None:
        """Rewrite a committed file, and commit it."""
        file = self.root / name
        file.write_text(re.sub(old, new, file.read_text(), count=1, flags=re.MULTILINE))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "a change")

    def release(self, version: str = VERSION) -> subprocess.CompletedProcess[str]:
        paths = [str(self.root / ".tools"), str(Path(sys.executable).parent), "/usr/bin", "/bin"]
        targets = ["-o", "setup", "-o", ".cache/release/.ready", f"PATH={os.pathsep.join(paths)}"]
        return subprocess.run(
            ["make", *targets, "release", f"VERSION={version}"],
            cwd=self.root,
            check=False,
            capture_output=True,
            text=True,
            # Without what `make test` itself hands down.
            env={k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
            | NOBODY,
        )

    def refused(self, version: str = VERSION) -> str:
        """What a refusal says; nothing is built, and nothing new is tagged."""
        tags = self.git("tag")
        done = self.release(version)
        assert done.returncode
        assert self.git("tag") == tags
        assert not (self.root / "build").exists()
        return done.stderr


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_a_release_has_all_its_parts_and_a_tag(clone: Clone) -> None:
    done = clone.release()
    assert done.returncode == 0, done.stderr
    made = clone.root / "build" / "release"
    archives = [f"spot-cleanup-{VERSION}-{one}.tar.gz" for one in ("arm64", "x86_64")]
    others = ["SHA256SUMS", "licences.txt", "notes.md", "sbom.cdx.json"]
    assert sorted(path.name for path in made.iterdir()) == sorted(archives + others)
    for line in (made / "SHA256SUMS").read_text().splitlines():
        told, name = line.split("  ")
        assert hashlib.sha256((made / name).read_bytes()).hexdigest() == told
    with tarfile.open(made / archives[0]) as archive:
        assert any(name.endswith("METADATA") for name in archive.getnames())
    licences = (made / "licences.txt").read_text()
    assert re.search(r"^a-b 1\.0 +MIT$", licences, re.MULTILINE)
    assert re.search(r"^botocore \S+ +Apache-2\.0$", licences, re.MULTILINE)
    assert clone.git("tag") == f"v{VERSION}"
    assert clone.git("rev-parse", f"v{VERSION}^{{commit}}") == clone.git("rev-parse", "HEAD")
    assert clone.git("status", "--porcelain") == ""


def test_a_tree_that_is_not_clean_is_refused(clone: Clone) -> None:
    (clone.root / "Makefile").open("a").write("# changed\n")
    assert "not clean: Makefile" in clone.refused()
    clone.git("checkout", "Makefile")
    (clone.root / "new.txt").touch()
    assert "not clean: new.txt" in clone.refused()


@pytest.mark.parametrize("version", ["", "1.0", "v1.0.0", "9.9.9"])
def test_a_version_that_is_not_the_codes_is_refused(clone: Clone, version: str) -> None:
    assert f"src/handler/__init__.py has version {VERSION}" in clone.refused(version)


def test_a_version_that_the_changelog_does_not_have_is_refused(clone: Clone) -> None:
    clone.change("CHANGELOG.md", rf"^## {re.escape(VERSION)} - .*$", f"## {VERSION}")
    assert f"nothing under '## {VERSION} - <year-month-day>'" in clone.refused()
    clone.change("CHANGELOG.md", rf"^## {re.escape(VERSION)}$", "## 0.0.1 - 2026-01-01")
    assert f"nothing under '## {VERSION} -" in clone.refused()


def test_what_the_changelog_has_as_not_released_is_refused(clone: Clone) -> None:
    clone.change("CHANGELOG.md", "^## Unreleased\n", "## Unreleased\n\n### Added\n- More.\n")
    assert "2 line(s) under '## Unreleased'" in clone.refused()


def test_a_version_is_released_once(clone: Clone) -> None:
    clone.git("tag", f"v{VERSION}")
    assert f"the tag v{VERSION} is there already" in clone.refused()


def test_every_reason_is_told_at_once(clone: Clone) -> None:
    (clone.root / "new.txt").touch()
    said = clone.refused("9.9.9")
    assert all(word in said for word in ("has version", "CHANGELOG.md", "not clean"))


@pytest.mark.parametrize(
    ("program", "text", "told"),
    [
        ("sam", "#!/bin/sh\nexit 1\n", "sam"),
        ("sam", SAM.replace("1.0\\n", "1.1\\n"), "differ in a-b 1.0, a-b 1.1"),
        ("sam", SAM.replace("License-Expression: MIT\\n", ""), "no licence is told by a-b"),
        ("cyclonedx-py", "#!/bin/sh\necho broken >&2; exit 1\n", "broken"),
    ],
    ids=["the build", "the SBOM is not of the layer", "a licence", "the SBOM"],
)
def test_what_fails_on_the_way_leaves_no_tag_and_no_half_release(
    clone: Clone, program: str, text: str, told: str
) -> None:
    clone.program(program, text, None if program == "sam" else clone.root / ".cache/release/bin")
    assert told in clone.refused()


def test_a_licence_is_read_from_where_packages_say_it(tmp_path: Path) -> None:
    for number, said in enumerate(
        [
            "License-Expression: MIT",
            "License: Apache-2.0",
            "Classifier: License :: OSI Approved :: BSD License\nClassifier: Topic :: X",
            "Summary: nothing",
        ]
    ):
        info = tmp_path / f"p{number}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: P_{number}\nVersion: 1\n{said}\n\nText\n")
        (info / "NOTICE").write_text("Keep this.")
    found = [Package.read(path) for path in sorted(tmp_path.iterdir())]
    assert [one.licence for one in found] == ["MIT", "Apache-2.0", "BSD License", ""]
    assert found[0].name == "p-0"
    with pytest.raises(LicenceError, match=r"told by p-3$"):
        render(found)
    assert render(found[:3]).count("Keep this.") == 3
