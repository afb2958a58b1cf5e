"""The least that an idle run could be: the list's GET by urllib3, over a kept connection."""

from __future__ import annotations

import os
from collections.abc import Callable

import urllib3

from benchmarks.settings import AGENT, TOKEN


def prepare() -> Callable[[], object]:
    """One GET; its body is read, and not looked at."""
    pool = urllib3.PoolManager(ca_certs=os.environ["REQUESTS_CA_BUNDLE"])
    url = f"{os.environ['SERVER_URL']}/api/agents/{AGENT}/instances-to-terminate"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return lambda: pool.request("GET", url, headers=headers).status
