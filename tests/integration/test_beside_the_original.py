"""What went wrong beside the original backend and agent, ten things: none of them happens any more.

Each is played whole, for the three agents of `owner.py` and with every quirk on where it is the backend's
doing. Their rules have tables of their own: tests/unit/test_ownership.py (1, 2), test_rules.py (3, 9), test_listing.py
(6, 10), test_settings_event.py (7), test_settings.py (8), test_reporter.py (5), and tests/backend/test_original.py for the backend's side.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from backend.quirks import ALL_QUIRKS
from handler import housekeeping, termination
from handler.settings import EventError, SettingsError
from local.invoke import Handler, invoke
from tests.integration.owner import PLAIN, SLOW, WAITS, Owner
from tests.integration.scripted import LIST, Exchange, ScriptedBackend
from tests.integration.world import PAUSE, Account, Stopwatch
from tests.support.backend import AgentApi, on_sqlite

EVENTS = sorted((Path(__file__).parents[2] / "events").glob("*.json"))
MINUTE = 60
A_DAY = 86_400


def test_1_another_agents_switch_and_wait_are_not_bypassed(owner: Owner) -> None:
    """Zombies are listed to every agent of the region; the owner alone decides."""
    for _ in range(3):
        owner.run()  # which holds that neither neighbour's zombie is touched or reported
        owner.pass_time(MINUTE)
    slow = owner.neighbours.pop(SLOW)
    owner.operator.age(owner.agents[SLOW], WAITS[SLOW], instance_id=slow)
    assert owner.run().outcome(slow)["outcome"] == "terminated"
    assert owner.events(slow) == [(SLOW, None)]


def test_2_an_owner_that_waits_longer_than_its_neighbour_is_not_starved(owner: Owner) -> None:
    """A neighbour's failure report hid the row and started its wait anew, for ever."""
    zombie = owner.zombie(SLOW, 0)
    waited = 0
    while owner.state(zombie) == "running" and waited < 3_600:
        owner.run()
        owner.pass_time(MINUTE)
        waited += MINUTE
    assert waited == WAITS[SLOW] + MINUTE, "at its first run after its wait"
    assert owner.events(zombie) == [(SLOW, None)]


@on_sqlite
def test_3_the_polling_workers_replica_ends_once_its_own_tags_are_taken(owner: Owner) -> None:
    """It bears neither `ManagedBy` nor `LogicalAgentId`, and was refused for ever."""
    primary = owner.first_server(SLOW)
    replica = owner.polled_replica(SLOW, primary)
    owner.with_replica(SLOW, primary, replica)
    owner.operator.disable_manual_replica(owner.agents[SLOW])
    assert owner.counts() == {"listed": 1, "refused": 1}

    owner.pass_time(PAUSE)
    assert owner.counts(UNTAGGED_REPLICAS="terminate") == {"listed": 1, "terminated": 1}
    assert (owner.state(primary), owner.state(replica)) == ("running", "terminated")
    who, why = owner.events(replica)[0]
    assert (who, str(why)) == (SLOW, "required tag missing: ManagedBy=SpotOptimizer")
    assert owner.events(replica)[1:] == [(SLOW, None)]


@on_sqlite
@pytest.mark.parametrize("name", [SLOW, PLAIN])
def test_3_a_first_server_runs_on_untouched_and_is_counted(owner: Owner, name: str) -> None:
    """It bears no tag of ours; a report would hide it from whoever can end it."""
    first = owner.first_server(name)
    owner.operator.add_zombies(owner.agents[name], [first], age_seconds=9_000)

    done = owner.run(UNTAGGED_REPLICAS="terminate")

    assert done.outcome(first)["outcome"] == "ignored"
    assert done.returned["untagged"] == 1
    assert done.metrics["InstancesUntagged"] == [1.0]
    assert (owner.state(first), owner.events(first)) == ("running", [])


def test_4_a_date_that_was_reported_stays_what_it_was(owner: Owner) -> None:
    """A confirmed replica comes back for ever: each report gave it a new date, and counted it."""
    owner.operator.set_quirks(replace(ALL_QUIRKS, odd_entries=False))  # else its entry says no time
    primary = owner.server(SLOW)
    replica = owner.manual_replica(SLOW, primary)
    owner.with_replica(SLOW, primary, replica)
    owner.operator.disable_manual_replica(owner.agents[SLOW])
    agent = AgentApi(owner.account.server_url, owner.agents[SLOW], owner.client.token)
    last_month = owner.backend_clock.wire(-30 * A_DAY)
    agent.report_success(replica, last_month)
    owner.account.aws.fleet.terminate(replica)
    owner.account.aws.fleet.forget(replica)
    owner.pass_time(PAUSE)

    done = owner.run()

    assert done.outcome(replica)["outcome"] == "already_gone"
    told = datetime.fromisoformat(owner.replica_row(SLOW, replica)["terminated_at"])
    since = told - datetime.fromisoformat(last_month)
    assert abs(since) <= timedelta(seconds=PAUSE + 5), "the backend's clock was put forward by that"
    for _ in range(3):
        owner.pass_time(PAUSE)
        assert owner.run().outcome(replica)["outcome"] == "replayed", "counted once"


@on_sqlite
def test_5_a_report_that_is_answered_with_500_is_made_again_within_the_run(owner: Owner) -> None:
    """The row may be confirmed by then, and never be listed again: event and metric were lost."""
    zombies = [owner.zombie(SLOW, 700) for _ in range(21)]

    done = owner.run()

    assert done.returned["terminated"] == 21
    assert done.returned["unreported"] == 0
    assert sum(done.metrics["InstancesTerminated"]) == 21
    assert [owner.events(one) for one in zombies] == [[(SLOW, None)]] * 21


@on_sqlite
def test_6_placeholders_and_a_null_switch_alarm_nobody(owner: Owner) -> None:
    """Placeholders warned every minute; `null` failed every run."""
    done = owner.run()

    assert "agents_failed" not in done.returned
    placeholders = [line for line in done.lines if "placeholder" in str(line.get("why"))]
    assert len(placeholders) == 6
    assert {line["level"] for line in placeholders} == {"INFO"}
    told = sum(done.metrics["InvalidEntries"])
    assert told == done.returned["invalid"] - len(placeholders)


@on_sqlite
def test_7_a_misspelt_wish_ends_the_run_before_anything_is_done(owner: Owner) -> None:
    zombie = owner.zombie(PLAIN, 400)
    asked = len(owner.account.aws.calls)
    for handler in (termination.lambda_handler, housekeeping.lambda_handler):
        for event in ({"Doctor": True}, {"dry_run": "true"}, {"agent_id": "agent-1"}):
            with pytest.raises(EventError):
                invoke(cast("Handler", handler), owner.account.environment(), event)
    assert len(owner.account.aws.calls) == asked
    assert owner.state(zombie) == "running"


@on_sqlite
def test_7_a_dry_event_is_dry(owner: Owner) -> None:
    zombie = owner.zombie(PLAIN, 400)
    assert owner.counts({"dry_run": True}) == {"listed": 1, "planned": 1}
    assert (owner.state(zombie), owner.events(zombie)) == ("running", [])


def test_7_no_sample_event_names_an_agent() -> None:
    """It would stand in the place of the stack's own."""
    naming = [path.name for path in EVENTS if "agent_id" in json.loads(path.read_text())]
    assert naming == ["agent.json"]


@on_sqlite
def test_8_an_agent_id_cannot_ask_for_a_version_of_anothers_token(owner: Owner) -> None:
    parameter = "/spot-optimizer/{agent_id}/token"
    with pytest.raises(SettingsError, match="AGENT_ID"):
        owner.run(AGENT_ID="team:1", CLIENT_TOKEN_PARAMETER=parameter)
    assert owner.account.aws.calls.count("GetParameter") == 0


@pytest.mark.parametrize(
    ("shared_backend", "name", "ending"),
    [
        ("sqlite", SLOW, "delete_agent"),
        pytest.param("mariadb", PLAIN, "auto_switch_on", marks=pytest.mark.mariadb),
    ],
    indirect=["shared_backend"],
)
def test_9_a_promoted_replica_that_is_the_live_primary_is_not_ended(
    owner: Owner, name: str, ending: str
) -> None:
    """It is listed as `replica_terminated`, and a manual one bears the required tag."""
    replica = _promoted(owner, name, owner.server(name), ending)
    for _ in range(3):  # beside its old primary, and after that one's end
        assert owner.run().outcome(replica)["outcome"] == "refused"
        owner.pass_time(PAUSE)
    assert owner.state(replica) == "running"
    assert all("it may have been promoted" in str(why) for _, why in owner.events(replica))


@on_sqlite
def test_9_nor_while_the_backend_hides_its_old_primary(owner: Owner) -> None:
    """A failed end hides the zombie for five minutes, in which it would count as the primary."""
    old = owner.server(SLOW, protected=True)
    agent = owner.agents[SLOW]
    replica = _promoted(owner, SLOW, old)
    assert owner.run().outcome(old)["outcome"] == "failed"

    owner.operator.auto_switch_on(agent)
    done = owner.run()

    assert [line for line in done.lines if line.get("instance_id") == old] == []
    assert done.outcome(replica)["outcome"] == "refused"
    assert owner.state(replica) == "running"


def _promoted(owner: Owner, name: str, old: str, ending: str | None = None) -> str:
    """A manual replica that took over from this primary, whose wait is over; marked by quirk 10, if told."""
    replica = owner.manual_replica(name, old)
    owner.with_replica(name, old, replica)
    owner.operator.promote_replica(owner.agents[name], replica)
    owner.pass_time(WAITS[name] + 1)
    if ending is not None:
        assert getattr(owner.operator, ending)(owner.agents[name]) == 1
    return replica


def test_10_one_agent_of_sixty_that_hangs_does_not_stop_the_others(
    account: Account, scripted: ScriptedBackend
) -> None:
    """Their lists took 38 s then, which left no time to act."""
    time = 10.0
    (zombie,) = account.launch(tags={"ManagedBy": "SpotOptimizer", "LogicalAgentId": "web-59"})
    scripted.mark(zombie)

    def seventh_hangs(exchange: Exchange) -> None:
        if "/agent-7/" in exchange.handler.path:
            exchange.wait(3 * time)
        else:
            exchange.genuine()

    scripted.always_meets(LIST, seventh_hangs)
    watch = Stopwatch()
    sixty = ",".join(f"agent-{number}=web-{number}" for number in range(60))
    done = account.run(AGENT_ID=sixty, timeout=time)

    assert watch.seconds < time / 2
    assert done.returned["agents_failed"] == 1
    assert done.outcome(zombie)["outcome"] == "terminated"
    assert done.outcome(zombie)["agent_id"] == "agent-59"
