"""Whole runs over the fakes: any list, any fleet, any policy, any trouble."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import event, given
from hypothesis import strategies as st

from handler.adapters.wire import read_listing
from handler.domain.errors import AwsError, ErrorKind
from handler.domain.guard import (
    GROUP_TAG,
    PEER_TAG,
    AsgMembers,
    MissingPolicy,
    Policy,
    fuse_blown,
    in_another_region,
)
from handler.domain.model import REPLICA, ZOMBIE, Ending, Instance, Marked, State
from handler.domain.outcome import Outcome, Summary
from handler.jobs.terminate import Limits
from tests.fakes.build import NOW, OURS, REGION, error, iid, limits, policy
from tests.fakes.clock import FakeClock
from tests.fakes.fleet import FakeFleet
from tests.fakes.outside import FakeOutside
from tests.fakes.run import run

NUMBERS = st.sampled_from(range(7))
ZONES = ["us-east-1a", "us-east-1b"]
MOSTLY = st.sampled_from([True] * 7 + [False])
TAGS = {
    "DoNotTerminate": st.sampled_from(["", "true"]),
    GROUP_TAG: st.just("web"),
    PEER_TAG: st.sampled_from(["shop", "mail", ""]),
}


@st.composite
def instances(draw: st.DrawFn, number: int) -> Instance:
    state = draw(st.sampled_from([*[State.RUNNING] * 8, *State]))
    tags = draw(st.sampled_from([*[OURS] * 8, {}, {"ManagedBy": "somebody"}]))
    for key, value in TAGS.items():
        if not draw(MOSTLY):
            tags = tags | {key: draw(value)}
    ending = draw(st.sampled_from([None, Ending(by_api=True, at=NOW), Ending(by_api=False)]))
    return Instance(
        iid(number),
        state,
        draw(st.sampled_from(ZONES)),
        tags,
        ending if state.ended else None,
        draw(st.sampled_from([None, None, f"sir-{number:08d}"])),
    )


VALID = st.fixed_dictionaries(
    {"instance_id": NUMBERS.map(iid)},
    optional={
        "reason": st.sampled_from([ZOMBIE, ZOMBIE, REPLICA, "other", None]),
        "az": st.sampled_from([*ZONES * 4, "eu-west-1a", "us-west-2-lax-1a", "?", "", None]),
        "seconds_waiting": st.one_of(st.none(), st.integers(-5, 10**6)),
        "seconds_since_marked": st.one_of(st.none(), st.floats(0, 1e6)),
    },
)
INVALID: list[Any] = [
    None, 5, "i-12345678", [], {}, {"instance_id": "i-xyz"}, {"instance_id": None},
    {"instance_id": iid(1), "seconds_waiting": "soon"},
]  # fmt: skip
LISTS: st.SearchStrategy[list[Any]] = st.builds(
    lambda valid, invalid, twice: [*valid, *invalid, *valid[:twice]],
    st.lists(VALID, max_size=9, unique_by=lambda one: str(one["instance_id"])),
    st.lists(st.sampled_from(INVALID), max_size=2),
    st.integers(0, 1),
).flatmap(st.permutations)

FAULTS: st.SearchStrategy[AwsError | None] = st.one_of(
    st.none(),
    st.builds(
        error,
        st.sampled_from([k for k in ErrorKind if k is not ErrorKind.THROTTLED]),
        st.just("Fault"),
        st.just("words"),
    ),
    st.just(error(ErrorKind.THROTTLED, "RequestLimitExceeded")),
)


@dataclass
class World:
    """Everything that is given, and what it looked like before the run."""

    outside: FakeOutside
    rules: Policy
    bounds: Limits
    raw: list[Any]
    enabled: bool
    before: dict[str, Instance] = field(default_factory=dict)
    standing: set[str] = field(default_factory=set)

    @property
    def marked(self) -> dict[str, Marked]:
        return {one.instance_id: one for one in self.outside.the_backend.listing.marked}

    def run(self) -> Summary:
        self.before = dict(self.outside.fleet.instances)
        self.standing = set(self.outside.fleet.standing)
        return run(self.outside, self.rules, self.bounds, FakeClock())

    def destroyed(self) -> set[str]:
        return {*self.outside.fleet.terminated, *self.outside.fleet.shrunk}


@st.composite
def worlds(draw: st.DrawFn, /, *, trouble: bool = True, calm: bool = False, **rule: Any) -> World:
    """Any world; `calm` ones are switched on and unbounded, `rule` fixes fields of the policy."""
    numbers = draw(st.sampled_from([range(7), range(7), range(2, 5), range(0)]))
    fleet = FakeFleet([draw(instances(n)) for n in sorted(numbers)])
    some = st.one_of(st.builds(set[str]), st.sets(NUMBERS.map(iid), max_size=2))
    outside = FakeOutside(fleet)
    fleet.standing = {one.spot_request for one in fleet.instances.values() if one.spot_request}
    fleet.standing -= {f"sir-{n:08d}" for n in draw(st.sets(NUMBERS, max_size=4))}
    if trouble:
        if not draw(MOSTLY):  # as a rule, one or two kinds of trouble at once
            fleet.forbidden = draw(some)
        fleet.protected = draw(some)
        fleet.silent = draw(some)
        fleet.odd_states = dict.fromkeys(draw(some), "running")
        fleet.unreadable = {one: error(ErrorKind.FAULTY) for one in draw(some)}
        fleet.faults = draw(
            st.one_of(st.builds(list[AwsError | None]), st.lists(FAULTS, max_size=5))
        )
        fleet.lost_answers = draw(st.booleans())
        fleet.cancelled_as = draw(st.sampled_from(["cancelled", "cancelled", "active"]))
        fleet.size_error, fleet.peers_error, fleet.standing_error = (
            draw(st.sampled_from([None] * 7 + [error(ErrorKind.REFUSED, "No")])) for _ in range(3)
        )
        outside.the_backend.deaf_to = draw(some)
        outside.the_ledger.acknowledged = draw(some)
        outside.the_ledger.under_way = draw(some)
        outside.the_ledger.down = not draw(MOSTLY)
        outside.the_history.error = draw(st.sampled_from([None] * 5 + [error(ErrorKind.REFUSED)]))
    outside.the_history.lived = draw(st.sets(NUMBERS.map(iid)))
    raw = draw(LISTS)
    enabled = calm or draw(MOSTLY)
    body = json.dumps({"instances": raw, "auto_terminate_enabled": int(enabled)}).encode()
    outside.the_backend.listing = read_listing(body)
    rules = policy(
        required_tags=draw(st.sampled_from([OURS, OURS, {}])),
        missing_instance=draw(st.sampled_from(MissingPolicy)),
        asg_members=draw(st.sampled_from(AsgMembers)),
        require_running_peer=draw(st.booleans()),
        confirm_termination=draw(st.booleans()),
        dry_run=not draw(MOSTLY),
    )
    rules = replace(rules, **rule)
    bounds = limits(
        auto_terminate_enabled=draw(MOSTLY),
        max_terminations_per_run=draw(st.sampled_from([1, 2, 5, 500])),
        max_fleet_percent=draw(st.sampled_from([100, 100, 100, 100, 60, 20])),
    )
    if calm:
        bounds = limits()
    return World(outside, rules, bounds, raw, enabled and bounds.auto_terminate_enabled)


@given(worlds())
def test_every_entry_ends_in_exactly_one_outcome(world: World) -> None:
    """Contract section 2: `listed` = the sum of the others."""
    answer = world.run().as_returned()
    outcomes = world.outside.the_journal.outcomes()
    assert set(outcomes) == set(world.marked)
    counted = Counter(outcome.key for outcome in outcomes.values())
    counted["invalid"] = len(world.raw) - len(outcomes)
    assert {key: answer[key] for key in (o.key for o in Outcome)} == {
        o.key: counted[o.key] for o in Outcome
    }
    assert answer["listed"] == len(world.raw)
    assert len(world.outside.the_journal.invalid_entries) == counted["invalid"]
    for outcome in set(outcomes.values()):
        event(outcome.key)


@given(worlds())
def test_nothing_that_a_guard_spares_is_ever_destroyed(world: World) -> None:
    world.run()
    for one in world.destroyed():
        seen = world.before[one]
        entry = world.marked[one]  # nothing unlisted
        assert not in_another_region(entry.zone, REGION)
        assert "DoNotTerminate" not in seen.tags
        assert world.rules.required_tags.items() <= seen.tags.items()
        assert one not in world.outside.fleet.protected | world.outside.fleet.forbidden or (
            one in world.outside.fleet.shrunk  # the group's own call knows no such wall here
        )
        assert one not in world.outside.fleet.unreadable
        assert not seen.state.ended
        assert world.enabled
        assert not world.rules.dry_run
        in_group = GROUP_TAG in seen.tags
        assert in_group == (one in world.outside.fleet.shrunk)
        assert not in_group or world.rules.asg_members is AsgMembers.TERMINATE_AND_SHRINK
        if seen.spot_request in world.standing:
            assert seen.spot_request in world.outside.fleet.cancelled
            assert world.outside.fleet.cancelled_as == "cancelled"


@given(worlds(require_running_peer=True, dry_run=False))
def test_a_zombie_with_a_workload_goes_only_where_another_goes_on(world: World) -> None:
    world.run()
    for one in world.destroyed():
        workload = world.before[one].tags.get(PEER_TAG)
        if world.marked[one].reason != ZOMBIE or workload is None:
            continue
        peers = [
            other
            for other in world.before.values()
            if other.tags.get(PEER_TAG) == workload and other.instance_id not in world.marked
        ]
        assert any(other.state is State.RUNNING for other in peers)
        assert not world.destroyed() & {other.instance_id for other in peers}


@given(worlds())
def test_cap_and_fuse_bound_what_is_destroyed(world: World) -> None:
    world.run()
    destroyed = len(world.destroyed())
    assert destroyed <= world.bounds.max_terminations_per_run
    if world.bounds.max_fleet_percent < 100 and destroyed:
        live = sum(
            not one.state.ended and world.rules.required_tags.items() <= one.tags.items()
            for one in world.before.values()
        )
        assert not fuse_blown(destroyed, live, world.bounds.max_fleet_percent)
        assert world.outside.fleet.size_error is None


@given(worlds(dry_run=True), worlds(), st.booleans())
def test_the_dry_run_and_the_switch_change_and_report_nothing(
    world: World, other: World, switched_off: bool
) -> None:
    if switched_off:
        world = replace(
            other, bounds=replace(other.bounds, auto_terminate_enabled=False), enabled=False
        )
    summary = world.run()
    assert world.outside.fleet.instances == world.before
    assert world.outside.fleet.standing == world.standing
    assert world.outside.fleet.cancelled == []
    assert world.outside.the_backend.tried == []
    assert world.outside.cancelled == {}
    assert summary.counts[Outcome.TERMINATED] == summary.counts[Outcome.ALREADY_GONE] == 0
    if not world.enabled:
        assert world.outside.fleet.calls == []


@given(worlds())
def test_a_success_is_reported_only_of_what_has_ended(world: World) -> None:
    """A false success hides a running machine for ever (contract section 1, quirk 3)."""
    world.run()
    fleet = world.outside.fleet
    for one in world.outside.the_backend.successes():
        now = fleet.instances.get(one)
        if now is not None:
            assert now.state.ended
            assert not world.rules.confirm_termination or (
                now.state is State.TERMINATED or one in fleet.shrunk
            )
            continue
        assert world.rules.missing_instance is not MissingPolicy.IGNORE
        if world.rules.missing_instance is MissingPolicy.VERIFY:
            ours = world.marked[one].reason == REPLICA
            assert ours or one in world.outside.the_history.lived
            assert ours or world.outside.the_history.error is None


@given(worlds())
def test_reports_and_outcomes_agree(world: World) -> None:
    world.run()
    backend, outcomes = world.outside.the_backend, world.outside.the_journal.outcomes()
    succeeded = [o for o in outcomes if outcomes[o] in {Outcome.TERMINATED, Outcome.ALREADY_GONE}]
    assert sorted(backend.successes()) == sorted(succeeded)
    assert all(count == 1 for count in Counter(r.instance_id for r in backend.tried).values())
    for one in backend.failures():
        assert outcomes[one] in {Outcome.REFUSED, Outcome.FAILED}
    for report in backend.tried:
        assert (report.error is None) == (report.ended_at is not None)


@given(worlds())
def test_what_is_live_and_was_not_destroyed_is_untouched(world: World) -> None:
    world.run()
    after = world.outside.fleet.instances
    assert {one for one in after if after[one] != world.before[one]} == world.destroyed()


@given(worlds(trouble=False, calm=True, dry_run=False))
def test_without_trouble_two_runs_settle_everything(world: World) -> None:
    """Level-triggered: what is left after a calm run is refused, ignored or switched off."""
    world.run()
    for one, seen in list(world.outside.fleet.instances.items()):
        if seen.state is State.SHUTTING_DOWN:
            world.outside.fleet.change(one, State.TERMINATED)
    world.outside.the_journal.lines.clear()
    world.run()
    settled = set(world.outside.the_journal.outcomes().values())
    assert settled <= {
        Outcome.TERMINATED,
        Outcome.ALREADY_GONE,
        Outcome.REPLAYED,
        Outcome.REFUSED,
        Outcome.IGNORED,
    }
    successes = Counter(world.outside.the_backend.successes())
    assert set(successes.values()) <= {1}
