"""Each fault alone: once, as often as it is retried, and for the whole run; then calm."""

from __future__ import annotations

import pytest

from tests.reliability import table, trouble
from tests.reliability.gate import BackendFault
from tests.reliability.invariants import SHRINK, Book, check_calm, check_run
from tests.reliability.table import SOAK, Record
from tests.reliability.trouble import AtBackend
from tests.reliability.world import MANAGED, Harness, Run, World

LENGTHS: tuple[int | None, ...] = (1, 3, 4, None) if SOAK else (None,)
"""How many calls in a row meet the fault; None: all of them, until the calm."""
VARIABLES = {**SHRINK, "MISSING_INSTANCE_POLICY": "verify"}
FOREIGN = "i-0f0f0f0f0f0f0f0f0"


def fleet(world: World) -> Book:
    """One of each kind, and one of another account, which the backend lists as well."""
    book = Book(world)
    for kind, given in (
        ("plain", {}),
        ("plain", {"zone": "us-east-1b"}),
        ("one-time", {"spot": "one-time"}),
        ("persistent", {"spot": "persistent"}),
        ("group", {"asg": "workers"}),
        ("protected", {"protected": True, "zone": "us-east-1c"}),
        ("tagged", {"tags": {**MANAGED, "DoNotTerminate": ""}}),
        ("theirs", {"tags": {}}),
    ):
        one = world.launch(**given)
        book.kinds[one] = kind  # type: ignore[assignment]
    replica = world.launch()
    gone = world.launch()
    world.aws.fleet.interrupt(gone)
    world.clock.advance(4_000)  # EC2 has forgotten it
    book.zombies |= {*book.kinds, gone}
    book.kinds |= {replica: "plain", gone: "plain"}
    book.ended_by_others.add(gone)
    book.replicas.add(replica)
    book.foreign.add(FOREIGN)
    world.mark_zombies(*sorted(book.zombies))
    world.mark_replicas(replica)
    world.mark_zombies(FOREIGN, theirs=True)
    world.set_quirks(foreign_zombies=True)
    return book


def met(run: Run, one: trouble.Trouble) -> bool:
    """Whether the run has met the fault at all."""
    if isinstance(one, AtBackend):
        return bool(run.backend_faults)
    return bool(run.asked(one.operation))


@pytest.mark.parametrize("name", trouble.ALL)
def test_after_any_fault_of_any_length_a_calm_period_leaves_nothing_undone(
    servers: Harness, name: str, record_property: Record
) -> None:
    one = trouble.ALL[name]
    outcomes: set[str] = set()
    failed = 0
    for times in LENGTHS:
        world = servers.new()
        book = fleet(world)
        if name.startswith("DeleteItem"):  # records are deleted where a report does not get through
            fault = BackendFault("termination-report", "refused", times=8)
            world.gate.script.append(fault)
        one.inject(world, times)
        run = world.run(VARIABLES)
        assert met(run, one), "the fault was not met: the row would tell of nothing"
        check_run(book, run)
        outcomes |= run.counts.keys() - {"listed"}
        failed += run.error is not None
        assert run.error is None or name.startswith(("list", "GetParameter"))
        for later in world.calm(2, **VARIABLES):
            assert later.error is None
            check_run(book, later)
        check_calm(book, VARIABLES)
    said = [f"outcomes {', '.join(sorted(outcomes))}"] if outcomes else []
    said += [f"{failed} runs failed as a whole"] if failed else []
    part = "backend" if isinstance(one, AtBackend) else "aws"
    result = f"{'; '.join(said)}; afterwards nothing lost"
    table.add(record_property, part, name, len(LENGTHS), result)
