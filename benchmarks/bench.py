"""What a measurement is given."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.process import Code
from benchmarks.servers import Servers
from tests.support.built import Artifact


@dataclass(frozen=True)
class Bench:
    """The servers, the code under measurement, and how thoroughly it is measured.

    Args:
        servers: both sides of the wire, in processes of their own.
        built: the function and its layer, as they would be deployed.
        before: the same of the code before, where it can be had.
        quick: few rounds and small numbers, only to see that everything works.
    """

    servers: Servers
    built: Artifact
    before: Artifact | None
    quick: bool

    @property
    def code(self) -> Code:
        """What runs as the function."""
        return Code.deployed(self.built)

    @property
    def code_before(self) -> Code | None:
        """The code before, to be run in the same way."""
        return None if self.before is None else Code.deployed(self.before)

    def rounds(self, thorough: int) -> int:
        """How many rounds to do."""
        return 2 if self.quick else thorough
