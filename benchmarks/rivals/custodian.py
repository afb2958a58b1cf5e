"""Cloud Custodian's `terminate` over the same account. It reports to nobody."""

from __future__ import annotations

import json
import resource
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.settings import REGION, ROOT, TAGS

ENVIRONMENT = ROOT / ".cache" / "custodian"
"""Its own virtual environment, made by `make bench` from requirements-custodian.txt."""

_POLICY = {
    "policies": [
        {
            "name": "terminate-marked",
            "resource": "ec2",
            "filters": [{f"tag:{key}": value} for key, value in TAGS.items()],
            "actions": ["terminate"],
        }
    ]
}


def available() -> bool:
    """Whether it is installed."""
    return (ENVIRONMENT / "bin" / "custodian").exists()


def terminate_all(environment: Mapping[str, str]) -> tuple[float, float]:
    """Terminate everything that bears the product's tags; the whole program's seconds, and of cpu."""
    with tempfile.TemporaryDirectory() as folder:
        policy = Path(folder) / "policy.json"
        policy.write_text(json.dumps(_POLICY))
        command = [str(ENVIRONMENT / "bin" / "custodian"), "run", "--output-dir", folder]
        command += ["--region", REGION, "--cache-period", "0"]
        began, used = time.perf_counter(), _cpu_of_children()
        done = subprocess.run(
            [*command, str(policy)],
            env={"PATH": "/usr/bin:/bin", "HOME": folder, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        took = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"Cloud Custodian failed:\n{done.stderr}")
    return took, _cpu_of_children() - used


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
