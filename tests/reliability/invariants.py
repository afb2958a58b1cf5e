"""What must hold after every run, and after a calm period; said once, for all tests here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from tests.integration import checks
from tests.reliability.world import WINDOW, Run, World

Kind = Literal[
    "plain", "one-time", "persistent", "group", "protected", "tagged", "theirs", "denied"
]
WAITS = {"RequestLimitExceeded", "OutOfTime", "OutOfCalls"}
SHRINK = {"ASG_MEMBERS": "terminate_and_shrink"}


@dataclass
class Book:
    """What a test has done to the world, and so what is right.

    Attributes:
        kinds: our account's instances, and what they are.
        zombies, replicas: ids with a row of our client's.
        foreign: ids of another account, with a row of another client's.
        elsewhere: ids that the backend places in another region.
        vague: whether the backend has left zones out, so that nobody could know of `elsewhere`.
        ended_by_others: ids that an operator, EC2 or the Spot service has ended.
        workloads: ids that bear a `LogicalAgentId`.
        late: whether a report has been slower than its run, and so may be acknowledged unheard.
    """

    world: World
    kinds: dict[str, Kind] = field(default_factory=dict)
    zombies: set[str] = field(default_factory=set)
    replicas: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)
    vague: bool = False
    ended_by_others: set[str] = field(default_factory=set)
    workloads: dict[str, str] = field(default_factory=dict)
    late: bool = False

    @property
    def marked(self) -> set[str]:
        return self.zombies | self.replicas

    def may_end(self, instance_id: str, variables: dict[str, str]) -> bool:
        """Whether the function may terminate it at all, under these settings."""
        kind = self.kinds.get(instance_id)
        if instance_id not in self.marked or (instance_id in self.elsewhere and not self.vague):
            return False
        if kind == "group":
            return variables.get("ASG_MEMBERS") == SHRINK["ASG_MEMBERS"]
        return kind in {"plain", "one-time", "persistent"}


def _is(variables: dict[str, str], name: str, value: str) -> bool:
    return variables.get(name) == value


def check_run(book: Book, run: Run, *, enabled: bool = True, also: Run | None = None) -> None:
    """What holds after every run, whatever failed in it.

    Args:
        book: what is right.
        run: the run.
        enabled: whether the backend lets the agent terminate.
        also: a run that took place in the middle of this one; its deeds are among this one's.
    """
    variables = run.variables
    by_us = run.ended - book.ended_by_others
    for one in by_us:
        assert book.may_end(one, variables), f"{one} ({book.kinds.get(one)}) must not end"
    idle = (
        not enabled
        or _is(variables, "DRY_RUN", "true")
        or _is(variables, "AUTO_TERMINATE_ENABLED", "false")
    )
    if idle:
        assert not by_us, "something ended in a run that must end nothing"
        assert not run.recorded, "something was reported in a run that must report nothing"
    for report in run.recorded:
        if not report.success:
            continue
        assert report.state in {None, "shutting-down", "terminated"}, (
            f"success was reported of {report.instance_id}, which is {report.state}"
        )
        if _is(variables, "CONFIRM_TERMINATION", "true"):
            assert report.state in {None, "terminated"}, "success before EC2 showed its end"
        if report.instance_id in book.foreign:
            assert variables.get("MISSING_INSTANCE_POLICY", "report_terminated") == (
                "report_terminated"
            ), "success was reported of another account's instance"
    for line in run.wrote.lines:
        if line.get("outcome") == "failed":
            assert line.get("error_code") not in WAITS, "what only had to wait is no failure"
    _check_limits(book, run, by_us, runs=2 if also else 1)
    _check_account(book, run, also)


def _check_limits(book: Book, run: Run, by_us: frozenset[str], *, runs: int) -> None:
    """The bounds are each run's own: two at once may do twice as much."""
    world, variables = book.world, run.variables
    cap = int(variables.get("MAX_TERMINATIONS_PER_RUN", "500"))
    assert len(by_us) <= runs * cap, "over the cap"
    if world.aws.fleet.lag:
        return  # what EC2 shows is older than what is true: the limits go by what it shows
    fleet = sum(book.kinds.get(one) != "theirs" for one in run.live_before)
    percent = int(variables.get("MAX_FLEET_PERCENT", "100"))
    assert len(by_us) * 100 <= runs * percent * fleet, "over the fuse"
    if _is(variables, "REQUIRE_RUNNING_PEER", "true"):
        live = {key for key, each in world.instances.items() if each.live}
        for one in by_us & book.zombies:
            workload = book.workloads.get(one)
            if workload is None:
                continue
            carriers = {k for k, v in book.workloads.items() if v == workload}
            # A marked one may have vouched: see test_found.py, "is no peer while it is hidden".
            assert carriers & live, f"{workload} lost its last machine"


def _check_account(book: Book, run: Run, also: Run | None) -> None:
    world = book.world
    checks.says_nothing_of({world.token}, run.wrote)
    if run.error is not None:
        checks.hides({world.token}, run.error)
        assert not run.ended - book.ended_by_others or also, "a run that failed has done something"
        return
    checks.adds_up(run.wrote)
    counts = Counter(run.counts)
    counts.update(also.counts if also else {})
    acknowledged = run.acknowledged(success=True)
    counted = counts["terminated"] + counts["already_gone"]
    assert counted <= len(acknowledged), "more was counted than the backend acknowledged"
    book.late = book.late or any(name.endswith("slow") for name in run.backend_faults)
    if book.late:
        return  # an acknowledgement that comes after a run's time, or in the next run, is unheard
    assert counted == len(acknowledged), "less was counted than the backend acknowledged"
    if also is None:
        told = [
            line["instance_id"]
            for line in run.wrote.lines
            if line.get("outcome") in {"terminated", "already_gone"}
        ]
        assert sorted(told) == sorted(acknowledged)


def check_once(book: Book) -> None:
    """A success is recorded once in a window; every further one has its one allowed cause.

    The allowed causes: the acknowledgement of the earlier one was lost on its way, or came when
    its run had ended and said `unreported`, so nobody but the backend could know of it; or the
    ledger did not work in the run of either.
    """
    unheard = {
        line["instance_id"]
        for run in book.world.runs
        for line in run.wrote.lines
        if line.get("outcome") == "unreported"
    }
    recorded = [(report, run.ledger_broken) for run in book.world.runs for report in run.recorded]
    seen: set[int] = set()
    by_id: dict[str, list[tuple[float, bool]]] = {}
    for report, broken in recorded:
        if id(report) in seen or not report.success:
            continue
        seen.add(id(report))
        excused = broken or not report.acknowledged or report.instance_id in unheard
        by_id.setdefault(report.instance_id, []).append((report.at, excused))
    for instance_id, successes in by_id.items():
        assert book.world.successes(instance_id) == len(successes)
        ordered = sorted(successes)
        for (at, lost), (again_at, broken) in pairwise(ordered):
            assert lost or broken or again_at - at >= WINDOW, (
                f"{instance_id} was reported twice within the window, without a cause"
            )


def check_calm(book: Book, variables: dict[str, str], *, forgets: bool = False) -> None:
    """After the calm period: everything that should be gone is gone and confirmed, nothing else.

    Args:
        book: what is right.
        variables: the settings of the calm runs.
        forgets: EC2 no longer knows some instances that ended unreported, and
            `MISSING_INSTANCE_POLICY=ignore` leaves those alone.
    """
    world = book.world
    confirmed, now = world.confirmed(), world.instances
    for one in book.marked - book.elsewhere:
        instance = now.get(one)
        live = instance is not None and instance.live
        if book.may_end(one, variables):
            assert not live, f"{one} ({book.kinds[one]}) lives on"
        if not live and not (forgets and instance is None):
            assert one in confirmed, f"{one} ({book.kinds.get(one)}) has ended, its row says no"
        if live:
            assert one not in confirmed, f"{one} lives, its row says that it was terminated"
    for one, kind in book.kinds.items():
        if kind in {"protected", "tagged", "theirs", "denied"} and one not in book.ended_by_others:
            assert now[one].live, f"{one} ({kind}) must live"
    assert book.vague or not book.elsewhere & confirmed
    assert all(now[one].live for one in book.kinds.keys() - book.marked - book.ended_by_others)
    _check_nothing_came_back(book)
    check_once(book)


def _check_nothing_came_back(book: Book) -> None:
    fleet = book.world.aws.fleet
    ours = {one for run in book.world.runs for one in run.ended} - book.ended_by_others
    for one, kind in book.kinds.items():
        if kind == "persistent" and one in ours:
            instance = fleet._instances[one]
            request = fleet.requests[instance.spot_request_id or ""]
            assert request.state == "cancelled", f"the request of {one} is {request.state}"
            successors = [
                key
                for key, each in fleet._instances.items()
                if each.spot_request_id == request.id and key != one
            ]
            assert not successors, f"{one} came back as {successors}"
