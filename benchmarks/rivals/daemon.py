"""The daemon's loop that this function replaces: one terminate and one report at a time.

Written down from the guide that introduced it: boto3 and requests as they come, no session, no
batches, no look beforehand. Its client is made beforehand, since a daemon has been up for long.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime

import boto3
import requests

from benchmarks.settings import AGENT, TOKEN

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def prepare() -> Callable[[], object]:
    """One round of the loop."""
    ec2 = boto3.client("ec2")
    base = f"{os.environ['SERVER_URL']}/api/agents/{AGENT}"

    def round_of_the_loop() -> int:
        response = requests.get(f"{base}/instances-to-terminate", headers=HEADERS, timeout=10)
        response.raise_for_status()
        marked = response.json()["instances"]
        for one in marked:
            ec2.terminate_instances(InstanceIds=[one["instance_id"]])
            report = {
                "instance_id": one["instance_id"],
                "success": True,
                "error": None,
                "terminated_at": datetime.now(UTC).replace(tzinfo=None).isoformat(),
            }
            requests.post(
                f"{base}/termination-report", headers=HEADERS, json=report, timeout=10
            ).raise_for_status()
        return len(marked)

    return round_of_the_loop
