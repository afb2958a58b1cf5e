"""What ends in the middle of a run is finished by the next one."""

from __future__ import annotations

import threading
import time

import pytest

from backend.quirks import Quirks
from tests.artifact.conftest import House

pytestmark = pytest.mark.artifact


def test_a_backend_slower_than_the_time_limit_costs_one_run(house: House) -> None:
    ids = house.zombies()
    with house.function(timeout=6) as function:
        house.stack.operator.set_quirks(Quirks(latency_seconds=8))
        result = function.invoke({})
        assert not result.ok
        assert house.states(ids) == {"running"}
        house.stack.operator.set_quirks(Quirks())
        assert function.invoke({}).payload["terminated"] == 2
    assert house.reported() == sorted(ids)


def test_a_run_that_is_killed_is_finished_by_the_next(house: House) -> None:
    ids = house.zombies()
    # Long enough to be killed in the first report: the machines are gone, the backend knows nothing.
    house.stack.operator.set_quirks(Quirks(latency_seconds=1))
    with house.function(timeout=15) as function:
        results = []
        call = threading.Thread(target=lambda: results.append(function.invoke({})))
        call.start()
        deadline = time.monotonic() + 50
        while house.states(ids) != {"terminated"} and time.monotonic() < deadline:
            time.sleep(0.02)
        function.kill()
        call.join()
        assert [result.error_type for result in results] == ["Killed"]
        assert house.states(ids) == {"terminated"}

        house.stack.operator.set_quirks(Quirks())
        # Its record in the ledger is in progress until the dead run's time limit: in life the next
        # run comes after it. A report under way counts as an attempt, and the backend waits.
        house.expire_claims()
        limit = time.monotonic() + 30
        while house.reported() != sorted(ids) and time.monotonic() < limit:
            house.stack.operator.age("agent-1", 400)
            assert function.invoke({}).ok
        assert function.cold_starts == 2
    assert house.reported() == sorted(ids)
