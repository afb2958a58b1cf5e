"""Whole runs over the fakes: any list, any fleet, any policy, any trouble."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from handler.instances.guard import (
    GROUP_TAG,
    PEER_TAG,
    AsgMembers,
    MissingPolicy,
    in_another_region,
)
from handler.instances.model import REPLICA, ZOMBIE, State
from handler.instances.outcome import Outcome
from tests.fakes.build import REGION
from tests.fakes.worlds import World, worlds

many = settings(max_examples=3 * settings().max_examples)


@many
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


@many
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


@many
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


@many
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
        assert destroyed <= live * world.bounds.max_fleet_percent / 100
        assert world.outside.fleet.size_error is None


@many
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


@many
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


@many
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


@many
@given(worlds())
def test_what_is_live_and_was_not_destroyed_is_untouched(world: World) -> None:
    world.run()
    after = world.outside.fleet.instances
    assert {one for one in after if after[one] != world.before[one]} == world.destroyed()


@many
@given(worlds(calm=True, dry_run=False))
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
