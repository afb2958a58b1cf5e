"""The benchmarks' servers, and the function in a process of its own, for counts instead of times."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks import servers
from benchmarks.servers import Servers


@pytest.fixture(scope="session")
def running() -> Iterator[Servers]:
    """AWS and the backend, in processes of their own."""
    with servers.running() as both:
        yield both


@pytest.fixture
def account(running: Servers) -> Servers:
    """Both as new, and answering at once."""
    running.reset(ec2=0, backend=0, dynamodb=0)
    return running
