"""Spot cleanup: terminates what the Spot Optimizer backend has marked, and says so."""

VERSION = "1.0.0"
"""The product's version; what else tells it is held to this one by `tests/integration/test_version.py`."""
PRODUCT = f"spot-cleanup/{VERSION}"
"""As the backend and AWS are told it (`User-Agent`)."""
