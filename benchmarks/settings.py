"""What every measurement shares: the world's latencies, names and places."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "performance" / "results.json"
PAGE = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "performance"

REGION = "us-east-1"
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
AGENT = "agent-1"
TOKEN = "a-token-of-the-usual-length-4f1c9e02"  # noqa: S105 - made up, for loopback servers
PARAMETER = "/spot-cleanup/agent-1/token"
TABLE = "spot-cleanup-idempotency"
TAGS = {"ManagedBy": "SpotOptimizer"}

EC2_SECONDS = 0.040
BACKEND_SECONDS = 0.010
DYNAMODB_SECONDS = 0.005
"""Latencies that are added to each call: what one region's services take within the region."""
