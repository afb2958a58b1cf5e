"""What every folder of tests shares: the fixtures in `support`, and hypothesis' profiles."""

import gc
import os
import signal

import pytest
from hypothesis import settings

pytest_plugins = ("tests.support.mariadb", "tests.support.backend", "tests.support.schedule")

# A failure in CI must be the same on the machine of whoever mends it.
settings.register_profile("ci", derandomize=True, deadline=None, database=None)
if os.environ.get("CI") == "true":
    settings.load_profile("ci")

# A shell that starts the suite in the background has it ignore these, and programs that tests start would, too.
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(
            number, signal.SIG_DFL if number == signal.SIGHUP else signal.default_int_handler
        )


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What was imported stays: to go through it again and again took an eighth of the tests' time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
