"""The decision about one entry, as a table, and the arithmetic of cap and fuse."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from handler.instances.guard import (
    GROUP_TAG,
    PEER_TAG,
    Action,
    AsgMembers,
    MissingPolicy,
    decide,
    in_another_region,
    needs_peer,
)
from handler.instances.model import REPLICA, ZOMBIE, Ending, Instance, State
from handler.instances.outcome import Outcome
from tests.fakes.build import NOW, OURS, instance, marked, policy

EARLIER = datetime(2025, 11, 25, 12, 0, tzinfo=UTC)
GROUP = OURS | {GROUP_TAG: "web"}
WORK = OURS | {PEER_TAG: "shop"}
BY_API = Ending(by_api=True, at=EARLIER)
BY_ITSELF = Ending(by_api=False, at=EARLIER)


@dataclass(frozen=True)
class Row:
    """One rule: what is given, and what must follow."""

    rule: str
    action: Action
    outcome: Outcome
    why: str
    seen: Instance | None = field(default_factory=instance)
    policy: dict[str, Any] = field(default_factory=dict)
    reason: str = ZOMBIE
    zone: str | None = "us-east-1a"
    carried: frozenset[str] = frozenset()
    ended_at: datetime | None = None


def row(rule: str, action: Action, outcome: Outcome, why: str, **fields: Any) -> Row:
    return Row(rule, action, outcome, why, **fields)


T, SHRINK, REPORT, PROVE, SETTLE = (
    Action.TERMINATE,
    Action.SHRINK,
    Action.REPORT,
    Action.PROVE,
    Action.SETTLE,
)

LIVE_ROWS = [
    row(f"{state} is terminated", T, Outcome.TERMINATED, ZOMBIE, seen=instance(state=state))
    for state in State
    if not state.ended
]
PROTECTED = "protected by its tag DoNotTerminate"
UNTAGGED = "required tag missing: ManagedBy=SpotOptimizer"
IN_GROUP = "member of the Auto Scaling group web, which would replace it"
ALONE = "no other running instance carries LogicalAgentId=shop"
GONE = "EC2 does not know it"

ROWS = [
    *LIVE_ROWS,
    row(
        "an unknown reason is terminated like a known one",
        T,
        Outcome.TERMINATED,
        "unknown",
        reason="unknown",
    ),
    # tags
    row(
        "the protect tag holds, whatever its value",
        SETTLE,
        Outcome.REFUSED,
        PROTECTED,
        seen=instance(tags=OURS | {"DoNotTerminate": ""}),
    ),
    row(
        "the protect tag is the one of the policy",
        SETTLE,
        Outcome.REFUSED,
        "protected by its tag Keep",
        seen=instance(tags=OURS | {"Keep": "false"}),
        policy={"protect_tag": "Keep"},
    ),
    row(
        "another case of the protect tag is another tag",
        T,
        Outcome.TERMINATED,
        ZOMBIE,
        seen=instance(tags=OURS | {"donotterminate": "1"}),
    ),
    row(
        "protection goes before a missing tag",
        SETTLE,
        Outcome.REFUSED,
        PROTECTED,
        seen=instance(tags={"DoNotTerminate": "1"}),
    ),
    row("no tags is a refusal", SETTLE, Outcome.REFUSED, UNTAGGED, seen=instance(tags={})),
    row(
        "another value is a refusal",
        SETTLE,
        Outcome.REFUSED,
        UNTAGGED,
        seen=instance(tags={"ManagedBy": "spotoptimizer"}),
    ),
    row(
        "every required tag must be there; the lacking one is named",
        SETTLE,
        Outcome.REFUSED,
        "required tag missing: Env=prod",
        seen=instance(tags=OURS),
        policy={"required_tags": OURS | {"Env": "prod"}},
    ),
    row(
        "an empty required value demands an empty tag, not just any",
        SETTLE,
        Outcome.REFUSED,
        "required tag missing: Env=",
        seen=instance(tags=OURS),
        policy={"required_tags": {"Env": ""}},
    ),
    row(
        "no required tags is no check",
        T,
        Outcome.TERMINATED,
        ZOMBIE,
        seen=instance(tags={}),
        policy={"required_tags": {}},
    ),
    row(
        "no required tags still protects",
        SETTLE,
        Outcome.REFUSED,
        PROTECTED,
        seen=instance(tags={"DoNotTerminate": ""}),
        policy={"required_tags": {}},
    ),
    row(
        "a stopped protected one is refused too",
        SETTLE,
        Outcome.REFUSED,
        PROTECTED,
        seen=instance(state=State.STOPPED, tags=OURS | {"DoNotTerminate": "1"}),
    ),
    row(
        "the dry run refuses alike",
        SETTLE,
        Outcome.REFUSED,
        UNTAGGED,
        seen=instance(tags={}),
        policy={"dry_run": True},
    ),
    row(
        "the dry run decides to terminate, and EC2 is asked",
        T,
        Outcome.TERMINATED,
        ZOMBIE,
        policy={"dry_run": True},
    ),
    # Auto Scaling
    row(
        "a group's member is refused, with the group's name",
        SETTLE,
        Outcome.REFUSED,
        IN_GROUP,
        seen=instance(tags=GROUP),
    ),
    row(
        "a group's member is terminated through the group on demand",
        SHRINK,
        Outcome.TERMINATED,
        ZOMBIE,
        seen=instance(tags=GROUP),
        policy={"asg_members": AsgMembers.TERMINATE_AND_SHRINK},
    ),
    row(
        "shrinking does not lift protection",
        SETTLE,
        Outcome.REFUSED,
        PROTECTED,
        seen=instance(tags=GROUP | {"DoNotTerminate": ""}),
        policy={"asg_members": AsgMembers.TERMINATE_AND_SHRINK},
    ),
    row(
        "shrinking does not lift the required tag",
        SETTLE,
        Outcome.REFUSED,
        UNTAGGED,
        seen=instance(tags={GROUP_TAG: "web"}),
        policy={"asg_members": AsgMembers.TERMINATE_AND_SHRINK},
    ),
    row(
        "a group without a name is a group",
        SETTLE,
        Outcome.REFUSED,
        "member of the Auto Scaling group , which would replace it",
        seen=instance(tags=OURS | {GROUP_TAG: ""}),
    ),
    # peers
    row(
        "a zombie without a peer is refused",
        SETTLE,
        Outcome.REFUSED,
        ALONE,
        seen=instance(tags=WORK),
        policy={"require_running_peer": True},
    ),
    row(
        "another workload is no peer",
        SETTLE,
        Outcome.REFUSED,
        ALONE,
        seen=instance(tags=WORK),
        policy={"require_running_peer": True},
        carried=frozenset({"mail"}),
    ),
    row(
        "a zombie with a peer is terminated",
        T,
        Outcome.TERMINATED,
        ZOMBIE,
        seen=instance(tags=WORK),
        policy={"require_running_peer": True},
        carried=frozenset({"shop"}),
    ),
    row(
        "a zombie of no workload needs no peer",
        T,
        Outcome.TERMINATED,
        ZOMBIE,
        policy={"require_running_peer": True},
    ),
    row(
        "a replica needs no peer",
        T,
        Outcome.TERMINATED,
        REPLICA,
        seen=instance(tags=WORK),
        policy={"require_running_peer": True},
        reason=REPLICA,
    ),
    row(
        "peers count only when they are asked for",
        T,
        Outcome.TERMINATED,
        ZOMBIE,
        seen=instance(tags=WORK),
    ),
    # what has ended
    row(
        "ended by the API: a success of this function",
        REPORT,
        Outcome.TERMINATED,
        "it was terminated before this run",
        seen=instance(state=State.TERMINATED, ending=BY_API),
        ended_at=EARLIER,
    ),
    row(
        "shutting down counts, unless confirmation is asked for",
        REPORT,
        Outcome.TERMINATED,
        "it was terminated before this run",
        seen=instance(state=State.SHUTTING_DOWN, ending=BY_API),
        ended_at=EARLIER,
    ),
    row(
        "shutting down is pending under CONFIRM_TERMINATION",
        SETTLE,
        Outcome.PENDING,
        "EC2 is shutting it down",
        seen=instance(state=State.SHUTTING_DOWN, ending=BY_API),
        policy={"confirm_termination": True},
    ),
    row(
        "terminated is confirmed",
        REPORT,
        Outcome.TERMINATED,
        "it was terminated before this run",
        seen=instance(state=State.TERMINATED, ending=BY_API),
        policy={"confirm_termination": True},
        ended_at=EARLIER,
    ),
    row(
        "ended for another cause",
        REPORT,
        Outcome.ALREADY_GONE,
        "it ended by itself",
        seen=instance(state=State.TERMINATED, ending=BY_ITSELF),
        ended_at=EARLIER,
    ),
    row(
        "EC2 gives no ending: now stands for it",
        REPORT,
        Outcome.ALREADY_GONE,
        "it ended by itself",
        seen=instance(state=State.TERMINATED, ending=None),
        ended_at=NOW,
    ),
    row(
        "EC2 gives no time: now stands for it",
        REPORT,
        Outcome.TERMINATED,
        "it was terminated before this run",
        seen=instance(state=State.TERMINATED, ending=Ending(by_api=True)),
        ended_at=NOW,
    ),
    row(
        "an ended one has lost its tags, and needs none",
        REPORT,
        Outcome.TERMINATED,
        "it was terminated before this run",
        seen=instance(state=State.TERMINATED, ending=BY_API, tags={}),
        ended_at=EARLIER,
    ),
    row(
        "an ended member of a group is reported",
        REPORT,
        Outcome.TERMINATED,
        "it was terminated before this run",
        seen=instance(state=State.TERMINATED, ending=BY_API, tags=GROUP),
        ended_at=EARLIER,
    ),
    row(
        "the dry run does not report what has ended",
        SETTLE,
        Outcome.DEFERRED,
        "dry run: it is terminated already",
        seen=instance(state=State.TERMINATED, ending=BY_API),
        policy={"dry_run": True},
    ),
    # what EC2 does not know
    row("missing is gone", REPORT, Outcome.ALREADY_GONE, GONE, seen=None, ended_at=NOW),
    row(
        "missing is ignored under `ignore`",
        SETTLE,
        Outcome.IGNORED,
        "EC2 does not know it (MISSING_INSTANCE_POLICY=ignore)",
        seen=None,
        policy={"missing_instance": MissingPolicy.IGNORE},
    ),
    row(
        "missing is to be proven under `verify`",
        PROVE,
        Outcome.ALREADY_GONE,
        GONE,
        seen=None,
        policy={"missing_instance": MissingPolicy.VERIFY},
        ended_at=NOW,
    ),
    row(
        "an unknown reason is to be proven under `verify`",
        PROVE,
        Outcome.ALREADY_GONE,
        GONE,
        seen=None,
        policy={"missing_instance": MissingPolicy.VERIFY},
        reason="unknown",
        ended_at=NOW,
    ),
    row(
        "a replica needs no proof under `verify`",
        REPORT,
        Outcome.ALREADY_GONE,
        GONE,
        seen=None,
        policy={"missing_instance": MissingPolicy.VERIFY},
        reason=REPLICA,
        ended_at=NOW,
    ),
    row(
        "a replica is ignored under `ignore` too",
        SETTLE,
        Outcome.IGNORED,
        "EC2 does not know it (MISSING_INSTANCE_POLICY=ignore)",
        seen=None,
        policy={"missing_instance": MissingPolicy.IGNORE},
        reason=REPLICA,
    ),
    *(
        row(
            f"the dry run reports nothing missing under {missing}",
            SETTLE,
            Outcome.DEFERRED,
            "dry run: EC2 does not know it",
            seen=None,
            policy={"missing_instance": missing, "dry_run": True},
        )
        for missing in (MissingPolicy.REPORT_TERMINATED, MissingPolicy.VERIFY)
    ),
    # other regions
    row(
        "another region's zone is ignored",
        SETTLE,
        Outcome.IGNORED,
        "zone eu-west-1a is not in us-east-1",
        seen=None,
        zone="eu-west-1a",
    ),
    row(
        "another region's zone is ignored even where EC2 shows the id",
        SETTLE,
        Outcome.IGNORED,
        "zone eu-west-1a is not in us-east-1",
        zone="eu-west-1a",
    ),
    row(
        "another region's zone is ignored in the dry run",
        SETTLE,
        Outcome.IGNORED,
        "zone eu-west-1a is not in us-east-1",
        seen=None,
        zone="eu-west-1a",
        policy={"dry_run": True, "missing_instance": MissingPolicy.VERIFY},
    ),
    row("no zone is no reason against it", T, Outcome.TERMINATED, ZOMBIE, zone=None),
]


@pytest.mark.parametrize("given", ROWS, ids=lambda given: given.rule)
def test_each_rule_gives_its_action_outcome_and_reason(given: Row) -> None:
    entry = marked(reason=given.reason, zone=given.zone)
    made = decide(entry, given.seen, policy(**given.policy), given.carried, NOW)
    assert (made.action, made.outcome, made.why, made.ended_at) == (
        given.action,
        given.outcome,
        given.why,
        given.ended_at,
    )
    assert made.marked is entry


@pytest.mark.parametrize("state", State)
def test_only_two_states_have_no_way_back(state: State) -> None:
    assert state.ended == (state in {State.SHUTTING_DOWN, State.TERMINATED})


@pytest.mark.parametrize(
    ("zone", "region", "elsewhere"),
    [
        ("us-east-1a", "us-east-1", False),
        ("us-east-1f", "us-east-1", False),
        ("us-east-2a", "us-east-1", True),
        ("us-east-1a", "us-east-2", True),
        ("us-west-2a", "us-east-1", True),
        ("ap-southeast-10a", "ap-southeast-1", True),
        ("ap-southeast-1a", "ap-southeast-10", True),
        ("us-gov-west-1a", "us-gov-west-1", False),
        ("us-gov-west-1a", "us-west-1", True),
        ("us-west-2-lax-1a", "us-west-2", False),
        ("us-west-2-lax-1a", "us-east-1", True),
        ("us-east-1-wl1-bos-wlz-1", "us-east-1", False),
        ("eu-west-2-wl1-lon-wlz-1", "us-east-1", True),
        ("us-isob-east-1a", "us-isob-east-1", False),
        ("eusc-de-east-1a", "eusc-de-east-1", False),
        ("eusc-de-east-1a", "eu-central-1", True),
        (None, "us-east-1", False),
        ("", "us-east-1", False),
        ("use1-az1", "us-east-1", False),
        ("eu-west-1", "us-east-1", False),
        ("somewhere", "us-east-1", False),
        ("EU-WEST-1A", "us-east-1", False),
        ("eu-west-1a\n", "us-east-1", False),
        (" eu-west-1a", "us-east-1", False),
        ("eu-west-1a; drop", "us-east-1", False),
        ("\u0663eu-west-1a", "us-east-1", False),
    ],
)
def test_a_zone_of_known_form_tells_its_region(
    zone: str | None, region: str, *, elsewhere: bool
) -> None:
    assert in_another_region(zone, region) is elsewhere


@pytest.mark.parametrize("state", [s for s in State if s.ended])
def test_what_has_ended_asks_for_no_peer(state: State) -> None:
    seen = instance(state=state, tags=WORK)
    assert needs_peer(marked(), seen, policy(require_running_peer=True)) is None


def test_a_live_zombie_asks_for_a_peer_of_its_workload() -> None:
    rules = policy(require_running_peer=True)
    assert needs_peer(marked(), instance(tags=WORK), rules) == "shop"
