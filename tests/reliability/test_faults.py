"""Each fault alone: once, as often as it is retried, and for the whole run; then calm."""

from __future__ import annotations

import itertools

import pytest

from tests.reliability import table, trouble
from tests.reliability.agents import (
    DEPOT,
    MAIL,
    PLAIN,
    SHOP,
    STRANGER,
    THEIRS,
    replica,
    switched,
    workers_replica,
)
from tests.reliability.book import CALM, SHRINK, WORKERS_TOO, Book, Kind
from tests.reliability.gate import BackendFault
from tests.reliability.invariants import check_calm, check_run
from tests.reliability.servers import Harness
from tests.reliability.table import SOAK, Record
from tests.reliability.trouble import MANY, Trouble
from tests.reliability.world import Run, World

LENGTHS: tuple[int | None, ...] = (None, 1, 3, 4) if SOAK else (None,)
"""How many calls in a row meet the fault; None: all of them, until the calm."""
NAMES = [*trouble.ALL] if SOAK else [*trouble.ALL][::17]
VARIABLES = {**SHRINK, **WORKERS_TOO, "MISSING_INSTANCE_POLICY": "verify"}
OTHERS: tuple[dict[str, str], ...] = (
    {},
    {"CONFIRM_TERMINATION": "true"},
    {"MAX_TERMINATIONS_PER_RUN": "2"},
    {"MAX_FLEET_PERCENT": "60"},
    {"REQUIRE_RUNNING_PEER": "true"},
    {"MISSING_INSTANCE_POLICY": "ignore"},
    {"MISSING_INSTANCE_POLICY": "report_terminated"},
    {"BACKEND_CONCURRENCY": "1"},
    {"ASG_MEMBERS": "refuse"},
    {"UNTAGGED_REPLICAS": "refuse"},
)[: None if SOAK else 1]
"""Settings beside those, so that a try is not the same as the one before it."""
FOREIGN = "i-0f0f0f0f0f0f0f0f0"
KINDS: tuple[tuple[Kind, str, str], ...] = (
    ("plain", SHOP, "a"),
    ("plain", MAIL, "b"),
    ("plain", PLAIN, "b"),
    ("plain", DEPOT, "a"),
    ("plain", STRANGER, "a"),
    ("one-time", SHOP, "a"),
    ("persistent", MAIL, "a"),
    ("group", SHOP, "a"),
    ("fleet", SHOP, "a"),
    ("managed", MAIL, "a"),
    ("protected", SHOP, "c"),
)


def fleet(world: World) -> Book:
    """One of each kind, of every agent, and one of another account, which is listed as well."""
    book = Book(world)
    for kind, agent, zone in KINDS:
        one = book.launch(kind, switched(agent), f"us-east-1{zone}")
        book.mark(one, agent, "zombie")
    book.mark(book.launch("plain", {}), SHOP, "zombie")
    parent = book.launch("plain", switched(SHOP))
    book.mark(book.launch("plain", replica(SHOP, parent)), SHOP, "replica")
    book.mark(book.launch("plain", workers_replica(parent)), MAIL, "replica")
    book.mark(book.launch("plain", replica(SHOP, "i-00000000000000000")), SHOP, "replica")
    gone = book.mark(book.launch("plain", switched(MAIL)), MAIL, "zombie")
    world.aws.fleet.interrupt(gone)
    book.ended_by_others.add(gone)
    world.clock.advance(4_000)  # EC2 has forgotten it
    book.foreign.add(FOREIGN)
    world.mark_zombies(FOREIGN, agent=THEIRS)
    return book


def met(run: Run, one: Trouble) -> bool:
    """Whether the run has met the fault at all."""
    return bool(run.backend_faults) or bool(run.asked(one.operation))


@pytest.mark.parametrize("name", NAMES)
def test_after_any_fault_of_any_length_a_calm_period_leaves_nothing_undone(
    servers: Harness, name: str, record_property: Record
) -> None:
    one = trouble.ALL[name]
    outcomes: set[str] = set()
    failed = tries = 0
    for times, other in itertools.product(LENGTHS, OTHERS):
        if table.time_is_over(name, 1 / len(NAMES)):
            break
        world = servers.new()
        book = fleet(world)
        if name.startswith(
            "DeleteItem"
        ):  # claims are given back where a report does not get through
            world.gate.script.append(BackendFault("termination-report", "refused", times=MANY))
        one.inject(world, times)
        variables = {**VARIABLES, **other}
        run = world.run(variables)
        assert other or met(run, one), "the fault was not met: the row would tell of nothing"
        check_run(book, run)
        outcomes |= run.counts.keys() - {"listed", "agents_failed", "untagged"}
        failed += run.error is not None
        assert run.error is None or name.startswith(("list", "GetParameter"))
        variables |= CALM
        for later in world.calm(3, variables):
            assert later.error is None
            check_run(book, later)
        check_calm(book, variables)
        tries += met(run, one)
    said = [f"outcomes {', '.join(sorted(outcomes))}"] if outcomes else []
    said += [f"{failed} runs failed as a whole"] if failed else []
    part = "backend" if name in trouble.BACKEND else "aws"
    result = f"{'; '.join(said)}; afterwards nothing lost"
    table.add(record_property, part, name, tries, result)
