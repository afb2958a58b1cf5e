"""What every folder of tests shares: the fixtures in `support`, and hypothesis' profiles."""

import os

from hypothesis import settings

pytest_plugins = ("tests.support.mariadb", "tests.support.backend", "tests.support.schedule")

# A failure in CI must be the same on the machine of whoever mends it.
settings.register_profile("ci", derandomize=True, deadline=None, database=None)
if os.environ.get("CI") == "true":
    settings.load_profile("ci")
