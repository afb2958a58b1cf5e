"""The integration tests' world: one agent's function between the emulated account and the reference backend."""

from tests.integration.conftest import (
    _models_are_read_once,
    _pauses_are_short,
    aws,
    ec2_clock,
    emulator,
    tapped_backend,
    world,
)

__all__ = [
    "_models_are_read_once",
    "_pauses_are_short",
    "aws",
    "ec2_clock",
    "emulator",
    "tapped_backend",
    "world",
]
