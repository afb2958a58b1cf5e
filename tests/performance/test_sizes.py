"""What is deployed stays small."""

from __future__ import annotations

import pytest

from benchmarks import artifact as sizes
from benchmarks.bench import Bench
from benchmarks.servers import Servers
from tests.support.artifact import artifact
from tests.support.built import Artifact

__all__ = ["artifact"]

pytestmark = pytest.mark.artifact

FUNCTION_KIB, FUNCTION_COMPILED_KIB = 240, 680
"""More than today's, so that a feature fits in; a dependency that slipped in does not."""
LAYER_KIB, COMPILED_KIB = 2_048, 4_096


def test_function_and_layer_stay_within_their_limits(artifact: Artifact, account: Servers) -> None:
    found = sizes.measure(Bench(account, artifact, None, quick=True))
    assert found["function"]["zipped without bytecode"] <= FUNCTION_KIB * 1024
    assert found["function"]["zipped"] <= FUNCTION_COMPILED_KIB * 1024
    assert found["layer"]["zipped without bytecode"] <= LAYER_KIB * 1024
    assert found["layer"]["zipped"] <= COMPILED_KIB * 1024
    known = {"aws_lambda_powertools", "urllib3", "requests"}
    assert known <= found["packages"].keys()
