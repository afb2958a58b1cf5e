"""The built artifact for tests: made once for all of them, and only anew when its sources change.

Where there is no Python 3.13 these tests are skipped; with ``REQUIRE_ARTIFACT=1`` they fail.
`LambdaRuntime`, which runs what is built, is in `tests/support/lambda_runtime.py`.
"""

from __future__ import annotations

import os

import pytest

from tests.support import built as artifacts


@pytest.fixture(scope="session")
def artifact() -> artifacts.Artifact:
    """Functions and layer for this machine, and the runtime to run them under."""
    if artifacts.lambda_python() is None:
        missing = f"Python {artifacts.PYTHON_VERSION}"
        if os.environ.get("REQUIRE_ARTIFACT") == "1":
            pytest.fail(f"REQUIRE_ARTIFACT=1, but there is no {missing}")
        pytest.skip(f"needs {missing}")
    artifacts.runtime_python()
    return artifacts.build()
