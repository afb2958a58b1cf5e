"""Whole runs over the fakes: any list, any fleet, any policy, any trouble."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from handler.instances.model import State
from handler.instances.outcome import Outcome
from handler.instances.ownership import LOGICAL_ID_TAG, logical_id
from handler.instances.rules import GROUP_TAG, AsgMembers, MissingPolicy, in_another_region
from tests.fakes.build import REGION
from tests.fakes.worlds import World, worlds

many = settings(max_examples=3 * settings().max_examples)


def every_machine_ends_in_exactly_one_outcome(world: World) -> None:
    """Contract section 2: `listed` = the sum of the others, however many agents list it."""
    answer = world.outside.journal.summaries[-1].as_returned()
    outcomes = world.outside.journal.outcomes()
    assert set(outcomes) == set(world.marked)
    counted = Counter(outcome.key for outcome in outcomes.values())
    counted["invalid"] = sum(one.invalid + one.placeholders for one in world.lists)
    assert {key: answer[key] for key in (o.key for o in Outcome)} == {
        o.key: counted[o.key] for o in Outcome
    }
    assert answer["listed"] == len(outcomes) + counted["invalid"]
    for outcome in set(outcomes.values()):
        event(outcome.key)


def nothing_is_done_or_reported_but_by_the_owner(world: World) -> None:
    """No machine is acted on or reported by anyone but its owner, none with a foreign logical id."""
    agents = {one.agent_id: one for one in world.outside.agents}
    ours = {one.logical_id: one.agent_id for one in agents.values() if one.logical_id}
    listing = {
        one.agent.agent_id: {e.instance_id for e in one.marked}
        for one in world.lists
        if one.enabled
    }
    acts = {
        (line.marked.agent.agent_id, line.marked.instance_id)
        for line in world.outside.journal.lines
        if line.marked.instance_id in world.destroyed()
    }
    for agent_id, instance_id in {*world.outside.backend.by_agent, *acts}:
        assert instance_id in listing[agent_id], "an owner lists it, and its switch is on"
        borne = logical_id(world.before.get(instance_id))
        if borne in ours:
            assert ours[borne] == agent_id
        elif borne not in {None, "default"}:
            assert agents[agent_id].logical_id is None
            assert any(
                e.as_replica and e.agent.agent_id == agent_id for e in world.marked[instance_id]
            )
        elif any(e.as_replica for e in world.marked[instance_id]):
            event("a replica without a logical id")
        elif instance_id in world.before and not world.before[instance_id].state.ended:
            assert agents[agent_id].logical_id is None


def nothing_that_a_guard_spares_is_ever_destroyed(world: World) -> None:
    for one in world.destroyed():
        seen = world.before[one]
        entries = world.marked[one]  # nothing unlisted
        assert not all(in_another_region(entry.zone, REGION) for entry in entries)
        assert "DoNotTerminate" not in seen.tags
        assert seen.operator is None
        assert "fleet-keeps" not in seen.tags.values() or GROUP_TAG in seen.tags
        assert "fleet-lost" not in seen.tags.values() or GROUP_TAG in seen.tags
        replica = any(entry.as_replica for entry in entries)
        assert world.rules.tagged(seen.tags, as_replica=replica)
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


def a_replica_that_may_have_been_promoted_is_spared(world: World) -> None:
    """Quirk 10: the live primary may be listed as a replica that is not wanted."""
    for one in world.destroyed():
        seen = world.before[one]
        listed_on = [e for e in world.marked[one] if e.as_replica]
        enabled = {lst.agent for lst in world.lists if lst.enabled}
        if "ParentInstance" not in seen.tags or not any(e.agent in enabled for e in listed_on):
            continue
        others = [
            o
            for o in world.before.values()
            if o.state is State.RUNNING and o.instance_id not in world.marked
        ]
        assert any(
            o.instance_id == seen.tags["ParentInstance"]
            or (
                logical_id(seen)
                and logical_id(o) == logical_id(seen)
                and "ParentInstance" not in o.tags
            )
            for o in others
        )


def a_zombie_with_a_workload_goes_only_where_another_goes_on(world: World) -> None:
    if not world.rules.require_running_peer:
        return
    for one in world.destroyed():
        workload = world.before[one].tags.get(LOGICAL_ID_TAG)
        enabled = {lst.agent for lst in world.lists if lst.enabled}
        if not workload or all(e.as_replica for e in world.marked[one] if e.agent in enabled):
            continue
        peers = [
            other
            for other in world.before.values()
            if other.tags.get(LOGICAL_ID_TAG) == workload and other.instance_id not in world.marked
        ]
        assert any(
            other.state is State.RUNNING and not world.rules.lacking(other.tags) for other in peers
        )
        assert not world.destroyed() & {other.instance_id for other in peers}


def cap_and_fuse_bound_what_is_destroyed(world: World) -> None:
    destroyed = len(world.destroyed())
    assert destroyed <= world.bounds.max_terminations_per_run
    if world.bounds.max_fleet_percent < 100 and destroyed:
        live = sum(
            not one.state.ended
            and (
                world.rules.required_tags.items() <= one.tags.items()
                or world.rules.tagged(one.tags, as_replica=True)
            )
            for one in world.before.values()
        )
        assert destroyed <= live * world.bounds.max_fleet_percent / 100
        assert world.outside.fleet.size_error is None


def a_success_is_reported_only_of_what_has_ended(world: World) -> None:
    """A false success hides a running machine for ever (contract section 1, quirk 3)."""
    fleet = world.outside.fleet
    for one in world.outside.backend.successes():
        now = fleet.instances.get(one)
        if now is not None:
            assert now.state.ended
            assert not world.rules.confirm_termination or (
                now.state is State.TERMINATED or one in fleet.shrunk
            )
            continue
        assert world.rules.missing_instance is not MissingPolicy.IGNORE
        if world.rules.missing_instance is MissingPolicy.VERIFY:
            assert one in world.outside.the_history.lived
            assert world.outside.the_history.error is None


def reports_and_outcomes_agree(world: World) -> None:
    backend, outcomes = world.outside.backend, world.outside.journal.outcomes()
    succeeded = [o for o in outcomes if outcomes[o] in {Outcome.TERMINATED, Outcome.ALREADY_GONE}]
    assert sorted(backend.successes()) == sorted(succeeded)
    assert all(count == 1 for count in Counter(r.instance_id for r in backend.reports).values())
    for one in backend.failures():
        assert outcomes[one] in {Outcome.REFUSED, Outcome.FAILED}
    for report in backend.tried:
        assert (report.error is None) == (report.ended_at is not None)


def what_is_live_and_was_not_destroyed_is_untouched(world: World) -> None:
    after = world.outside.fleet.instances
    assert {one for one in after if after[one] != world.before[one]} == world.destroyed()


ALWAYS = (
    every_machine_ends_in_exactly_one_outcome,
    nothing_is_done_or_reported_but_by_the_owner,
    nothing_that_a_guard_spares_is_ever_destroyed,
    a_replica_that_may_have_been_promoted_is_spared,
    a_zombie_with_a_workload_goes_only_where_another_goes_on,
    cap_and_fuse_bound_what_is_destroyed,
    a_success_is_reported_only_of_what_has_ended,
    reports_and_outcomes_agree,
    what_is_live_and_was_not_destroyed_is_untouched,
)


@settings(max_examples=6 * settings().max_examples)
@given(worlds())
def test_whatever_is_listed_and_whatever_goes_wrong_this_holds(world: World) -> None:
    world.run()
    for holds in ALWAYS:
        holds(world)


@many
@given(worlds(dry_run=True), worlds(), st.booleans())
def test_the_dry_run_and_the_switch_change_and_report_nothing(
    world: World, other: World, switched_off: bool
) -> None:
    if switched_off:
        world = replace(other, bounds=replace(other.bounds, auto_terminate_enabled=False))
    summary = world.run()
    assert world.outside.fleet.instances == world.before
    assert world.outside.fleet.standing == world.standing
    assert world.outside.fleet.cancelled == []
    assert world.outside.backend.tried == []
    assert world.outside.cancelled == {}
    assert summary.counts[Outcome.TERMINATED] == summary.counts[Outcome.ALREADY_GONE] == 0
    if not world.enabled:
        assert world.outside.fleet.calls == []


@many
@given(worlds(calm=True, dry_run=False))
def test_without_trouble_two_runs_settle_everything(world: World) -> None:
    """Level-triggered: what is left after a calm run is refused, ignored, or an unknown fleet's."""
    world.run()
    for one, seen in list(world.outside.fleet.instances.items()):
        if seen.state is State.SHUTTING_DOWN:
            world.outside.fleet.change(one, State.TERMINATED)
    world.outside.journal.lines.clear()
    world.run()
    settled = set(world.outside.journal.outcomes().values())
    assert settled <= {
        Outcome.TERMINATED,
        Outcome.ALREADY_GONE,
        Outcome.REPLAYED,
        Outcome.REFUSED,
        Outcome.IGNORED,
        Outcome.DEFERRED,
    }
    for line in world.outside.journal.lines:
        assert line.outcome is not Outcome.DEFERRED or "fleet-lost" in line.why
    successes = Counter(world.outside.backend.successes())
    assert set(successes.values()) <= {1}
