"""What must hold after every run, and after a calm period; said once, for all tests here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from tests.integration import checks
from tests.reliability.agents import DEPOT, LOGICAL, MANAGED
from tests.reliability.book import WORKERS_TOO, Book, Lists, holds
from tests.reliability.gate import Recorded
from tests.reliability.world import WINDOW, Run
from tools.ec2_emulator.instance import Instance

EC2_ID = re.compile(r"i-[0-9a-f]{17}")
WAITS = {"RequestLimitExceeded", "OutOfTime", "OutOfCalls"}


def check_run(book: Book, run: Run, *, also: Run | None = None) -> None:
    """What holds after every run, whatever failed in it.

    Args:
        book: what is right.
        run: the run.
        also: a run that took place in the middle of this one; its deeds are among this one's.
    """
    variables, world = run.variables, book.world
    by_us = run.ended - book.ended_by_others
    switches = ({"DRY_RUN": "true"}, {"AUTO_TERMINATE_ENABLED": "false"})
    if any(holds(variables, off) for off in switches):
        assert not by_us, "something ended in a run that must end nothing"
        assert not run.recorded, "something was reported in a run that must report nothing"
    for one in by_us:
        no = book.may_end(one, run.lists, variables)
        assert no is None, f"{one} ({book.kinds[one]}) must not end: {no}"
        _check_not_protected(book, one)
        _check_not_primary(book, run, one, forgetful=also is not None)
    book.late = book.late or any(name.endswith("slow") for name in run.backend_faults)
    made_in = world.runs[-3:] if book.late else [run]  # it may be a report of the run before
    for report in run.recorded:
        _check_report(book, run, report, [each.lists for each in made_in])
    for line in run.wrote.lines:
        if line.get("outcome") == "failed":
            assert line.get("error_code") not in WAITS, "what only had to wait is no failure"
    _check_limits(book, run, by_us, runs=2 if also else 1)
    _check_account(book, run, also)
    world.remember(run)


def _check_not_protected(book: Book, one: str) -> None:
    """The protect tag stood there, for EC2 to show, when it ended: nobody looked again."""
    instance = book.world.truth(one)
    assert instance is not None
    end = next(view for view in instance.views if view.state in {"shutting-down", "terminated"})
    earlier = Instance.seen_at(instance, end.at - book.world.aws.fleet.lag)
    tags = earlier.tags if earlier else {}
    assert "DoNotTerminate" not in tags, f"{one} ended with its protect tag"


def _check_not_primary(book: Book, run: Run, one: str, *, forgetful: bool) -> None:
    """A replica with a parent may have been promoted, unless somebody unlisted runs in its stead."""
    tags, world = book.tags(one), book.world
    roles = [replica for listed in run.lists.values() for replica, _ in listed.get(one, [])]
    if world.aws.fleet.lag or not any(roles) or "ParentInstance" not in tags:
        return  # EC2 shows what was true before
    listed = {key for each in run.lists.values() for key in each}
    workload = tags.get("LogicalAgentId") or None
    others = {
        key: book.tags(key)
        for key, state in run.before.items()
        if state == "running" and key not in listed and key != one
    }
    vouching = {
        key
        for key, its in others.items()
        if key == tags["ParentInstance"]
        or (workload and its.get("LogicalAgentId") == workload and "ParentInstance" not in its)
    }
    assert vouching, f"{one} may be the live primary: nothing runs in its stead"
    # Where the table cannot be read after a cold start, nobody knows what was listed before.
    told = any(line.get("look_up") == "when first seen" for line in run.wrote.lines)
    if one in book.promoted and not (forgetful or told):
        # An old server that is hidden is known for what it is only where it was listed before.
        unseen = vouching - world.remembered
        assert unseen, f"{one} is the live primary, and what vouched for it was listed lately"


def _check_report(book: Book, run: Run, report: Recorded, lists_of_runs: Sequence[Lists]) -> None:
    """By its owner alone, as one of these runs' lists tell it, and nothing but the truth."""
    one, state = report.instance_id, report.state
    gone = state in {None, "shutting-down", "terminated"}
    fitting = [lists for lists in lists_of_runs if report.agent in _owners(book, one, lists, gone)]
    owners = [_owners(book, one, lists, gone) for lists in lists_of_runs]
    assert fitting, f"{one} (whose: {owners}) was reported by {report.agent}"
    lists = fitting[-1]
    if not report.success:
        if state is not None and not gone and not any(r for r, _ in lists[report.agent][one]):
            assert MANAGED.items() <= book.tags(one).items(), f"{one} is reported, and not ours"
        return
    assert gone, f"success was reported of {one}, which is {state}"
    if holds(run.variables, {"CONFIRM_TERMINATION": "true"}):
        assert state in {None, "terminated"}, "success before EC2 showed its end"
    if one in book.foreign:
        policy = run.variables.get("MISSING_INSTANCE_POLICY", "report_terminated")
        assert policy == "report_terminated", "success was reported of another account's instance"


def _owners(book: Book, one: str, lists: Lists, gone: bool) -> list[str]:
    """Whose it is; also the first agent's that lists it, where EC2 has dropped its tags or forgotten it."""
    listing = [agent for agent in LOGICAL if one in lists.get(agent, {})]
    return [
        agent
        for agent in listing
        if agent == book.owner(one, lists) or (gone and agent == listing[0])
    ]


def _check_limits(book: Book, run: Run, by_us: frozenset[str], *, runs: int) -> None:
    """The bounds are each run's own: two at once may do twice as much."""
    variables = run.variables
    cap = int(variables.get("MAX_TERMINATIONS_PER_RUN", "500"))
    assert len(by_us) <= runs * cap, "over the cap"
    if book.world.aws.fleet.lag:
        return  # what EC2 shows is older than what is true: the limits go by what it shows
    live = [
        one for one, state in run.before.items() if state not in {"shutting-down", "terminated"}
    ]
    fleet = [one for one in live if MANAGED.items() <= book.tags(one).items()]
    if holds(variables, WORKERS_TOO):
        fleet += [one for one in live if {"ReplicaId", "ParentInstance"} <= book.tags(one).keys()]
    percent = int(variables.get("MAX_FLEET_PERCENT", "100"))
    assert len(by_us) * 100 <= runs * percent * len(fleet), "over the fuse"
    if holds(variables, {"REQUIRE_RUNNING_PEER": "true"}):
        now = [one for one, each in book.world.instances.items() if each.live]
        for workload in {book.tags(one).get("LogicalAgentId") for one in by_us & {*book.zombies}}:
            peers = [one for one in now if book.tags(one).get("LogicalAgentId") == workload]
            assert peers or not workload, f"{workload} lost its last machine"


def _check_account(book: Book, run: Run, also: Run | None) -> None:
    world = book.world
    checks.says_nothing_of({world.token}, run.wrote)
    if run.error is not None:
        checks.hides({world.token}, run.error)
        assert not run.ended - book.ended_by_others or also, "a run that failed has done something"
        return
    acknowledged = [r.instance_id for r in run.recorded if r.success and r.acknowledged]
    counted = run.outcomes("terminated", "already_gone")
    if also is None:
        checks.adds_up(run.wrote)
        # A second entry for an id is `invalid`, beside the first one's outcome.
        told = Counter(run.outcomes(*(key for key in checks.METRICS if key != "invalid")))
        assert set(told.values()) <= {1}, "a machine has two outcomes"
        real = {one for listed in run.lists.values() for one in listed if EC2_ID.fullmatch(one)}
        assert {*told} == real or run.counts.get("agents_failed"), "a machine has no outcome"
        over = Counter(counted) - Counter(acknowledged)
        lost = Counter(acknowledged) - Counter(counted)
    else:  # either's lines may stand in the other's log: both write to one stream
        both = Counter(run.counts) + Counter(also.counts)
        total = both["terminated"] + both["already_gone"] - len(acknowledged)
        over, lost = Counter(any=max(total, 0)), Counter(any=max(-total, 0))
    assert not +over, "counted, and not acknowledged"
    # An acknowledgement that comes after a run's time, or in the next run, is unheard.
    assert book.late or run.clock_jumped or not +lost, "acknowledged, and not counted"


def check_once(book: Book) -> None:
    """A success is recorded once in a window; every further one has its one allowed cause.

    The allowed causes: the acknowledgement of the earlier one was lost on its way, or came when
    its run had ended and said `unreported`, so nobody but the backend could know of it; or the
    ledger did not work in the run of either.
    """
    runs = book.world.runs
    unheard = {one for run in runs for one in run.outcomes("unreported")}
    reports = {id(each): each for run in runs for each in run.recorded if each.success}
    # Of two runs at once, either's reports stand in both.
    broken = {id(each) for run in runs if run.ledger_broken for each in run.recorded}
    by_id: dict[str, list[tuple[float, bool]]] = {}
    for key, report in reports.items():
        excused = key in broken or not report.acknowledged or report.instance_id in unheard
        by_id.setdefault(report.instance_id, []).append((report.at, excused))
    for one, successes in by_id.items():
        assert book.world.successes(one) == len(successes)
        for (at, lost), (again_at, excused) in pairwise(sorted(successes)):
            assert lost or excused or again_at - at >= WINDOW, (
                f"{one} was reported twice within the window, without a cause"
            )


def check_calm(book: Book, variables: Mapping[str, str]) -> None:
    """After the calm period, under these settings, what is ours and allowed is gone and confirmed."""
    world = book.world
    confirmed, known = world.confirmed(), world.instances
    lists: dict[str, dict[str, list[tuple[bool, str | None]]]] = {a: {} for a in LOGICAL}
    del lists[DEPOT]
    for agent, listed in lists.items():
        for one in book.zombies:
            listed.setdefault(one, []).append((False, "us-east-1a"))
        for one in [one for one, whose in book.replicas.items() if whose == agent]:
            listed.setdefault(one, []).append((True, "us-east-1a"))
    forgets = holds(variables, {"MISSING_INSTANCE_POLICY": "ignore"})
    for one in book.marked - book.elsewhere:
        instance = known.get(one)
        live = instance is not None and instance.live
        if live:
            assert one not in confirmed, f"{one} lives, its row says that it was terminated"
            no = book.may_end(one, lists, variables)
            spared = "DoNotTerminate" in book.tags(one) or _may_be_primary(book, one)
            assert no or spared, f"{one} ({book.kinds[one]}) lives on"
        elif book.owner(one, lists) is not None and not (forgets and instance is None):
            assert one in confirmed, f"{one} ({book.kinds[one]}) has ended, its row says no"
    assert book.vague or not book.elsewhere & confirmed
    _check_nothing_came_back(book)
    check_once(book)


def _may_be_primary(book: Book, one: str) -> bool:
    """Whether a replica may well be refused: its parent is not known to run, unmarked, to the end."""
    tags = book.tags(one)
    if one not in book.replicas or "ParentInstance" not in tags:
        return False
    parent = book.world.instances.get(tags["ParentInstance"])
    return parent is None or parent.state != "running" or parent.id in book.marked


def _check_nothing_came_back(book: Book) -> None:
    fleet = book.world.aws.fleet
    ours = {one for run in book.world.runs for one in run.ended} - book.ended_by_others
    for one, kind in book.kinds.items():
        if kind == "persistent" and one in ours:
            request = fleet.requests[fleet._instances[one].spot_request_id or ""]
            assert request.state == "cancelled", f"the request of {one} is {request.state}"
            others = fleet._instances.items()
            again = [key for key, o in others if o.spot_request_id == request.id and key != one]
            assert not again, f"{one} came back as {again}"
