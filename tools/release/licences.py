"""The licences of what the layer and the functions carry, from the packages' own metadata."""

from __future__ import annotations

from dataclasses import dataclass
from email.parser import HeaderParser
from importlib.metadata import distribution
from pathlib import Path
from typing import Self

CLASSIFIER = "License :: OSI Approved :: "
RULE = "=" * 79


class LicenceError(Exception):
    """A package does not say under which licence it is; the message names all of these."""


@dataclass(frozen=True, slots=True)
class Package:
    """One package of the layer.

    Attributes:
        name: as packages are compared, in small letters and with dashes.
        version: its own.
        licence: in its own words, an SPDX expression as a rule; empty if it does not say.
        texts: the licences' and notices' full texts.
    """

    name: str
    version: str
    licence: str
    texts: tuple[str, ...]

    @classmethod
    def read(cls, dist_info: Path) -> Self:
        """From its `*.dist-info`."""
        said = HeaderParser().parsestr((dist_info / "METADATA").read_text())
        classified = [
            one.removeprefix(CLASSIFIER)
            for one in said.get_all("Classifier", [])
            if one.startswith(CLASSIFIER)
        ]
        licence = said["License-Expression"] or said["License"] or " AND ".join(classified)
        files = [
            path
            for path in sorted(dist_info.rglob("*"))
            if path.is_file() and path.name.upper().startswith(("LICEN", "NOTICE", "COPYING"))
        ]
        return cls(
            said["Name"].lower().replace("_", "-"),
            said["Version"],
            (licence or "").strip(),
            tuple(path.read_text() for path in files),
        )


def packages_of(layer: Path) -> list[Package]:
    """What a built layer holds, in order."""
    return [Package.read(path) for path in sorted(layer.rglob("*.dist-info"))]


def service_models() -> Package:
    """Of botocore the functions carry a part of the service models (tools/api_models.py)."""
    found = distribution("botocore")
    return Package.read(Path(str(found.locate_file(f"botocore-{found.version}.dist-info"))))


def render(packages: list[Package]) -> str:
    """One line for each package, then the texts.

    Raises:
        LicenceError: a package does not say its licence, or does not bring its text.
    """
    silent = [one.name for one in packages if not one.licence or not one.texts]
    if silent:
        raise LicenceError(f"no licence is told by {', '.join(silent)}")
    width = max(len(one.name) + len(one.version) for one in packages) + 2
    lines = [f"{f'{one.name} {one.version}':{width}} {one.licence}" for one in packages]
    for one in packages:
        lines += ["", RULE, f"{one.name} {one.version}", RULE]
        lines += [text.rstrip() for text in one.texts]
    return "\n".join(
        [
            "What the layer carries, the functions' part of botocore's service models, and under which licences.",
            "",
            *lines,
            "",
        ]
    )
