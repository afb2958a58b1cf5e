"""The decision about one machine, as tables: by itself, and by what is around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handler.aws.errors import AwsError, ErrorKind
from handler.instances.model import (
    REPLICA,
    ZOMBIE,
    Ending,
    Instance,
    State,
    UntaggedReplicas,
)
from handler.instances.outcome import Denied, Ended, Left, Outcome
from handler.instances.ownership import LOGICAL_ID_TAG, Agents, Owned
from handler.instances.rules import (
    GROUP_TAG,
    PARENT_TAG,
    AsgMembers,
    Decision,
    MissingPolicy,
    Policy,
    ToProve,
    ToTerminate,
    decide,
    fuse_blown,
    in_another_region,
    within_cap,
)
from handler.instances.surroundings import (
    Leaving,
    Member,
    Surroundings,
    hold_back,
    needs_neighbours,
)
from tests.fakes.build import (
    AGENT,
    NOW,
    OURS,
    candidate,
    decision,
    error,
    iid,
    instance,
    marked,
    policy,
)

EARLIER = datetime(2025, 11, 25, 12, 0, tzinfo=UTC)
WORKER = {"ReplicaId": "r-1", "ParentInstance": iid(9)}
GROUP = OURS | {"aws:autoscaling:groupName": "web"}
BY_API, BY_ITSELF = Ending(by_api=True, at=EARLIER), Ending(by_api=False, at=EARLIER)
SHRINK = {"asg_members": AsgMembers.TERMINATE_AND_SHRINK}
WORKERS_TOO = {"untagged_replicas": UntaggedReplicas.TERMINATE}
GONE = None


def said(found: Decision) -> str:
    """A decision in a word or two."""
    if isinstance(found, ToTerminate):
        return "through its group" if found.through_group else "terminate"
    if isinstance(found, ToProve):
        return "prove"
    if isinstance(found, Ended):
        return "ended by api" if found.by_api else "ended by itself"
    return found.outcome.key + (" untagged" if isinstance(found, Left) and found.untagged else "")


def tagged(**tags: str) -> Instance:
    return instance(tags=OURS | {key.replace("__", ":"): value for key, value in tags.items()})


def one(seen: Instance | AwsError | None, *, reason: str = ZOMBIE, **given: Any) -> Decision:
    rules = policy(**{k: v for k, v in given.items() if k not in {"zone", "waited"}})
    entry = marked(1, reason, given.get("zone", "us-east-1a"), given.get("waited", 320.0))
    return decide(candidate(entry), seen, Agents([AGENT]), rules, NOW)


ROWS: Sequence[tuple[str, str, Instance | AwsError | None, dict[str, Any]]] = [
    *((f"{state} goes", "terminate", instance(state=state), {}) for state in State if not state.ended),
    ("an unknown reason goes like a zombie's", "terminate", instance(), {"reason": "other"}),
    # tags
    ("the protect tag holds, whatever its value", "refused", tagged(DoNotTerminate=""), {}),
    ("the protect tag is the policy's", "refused", tagged(Keep="no"), {"protect_tag": "Keep"}),
    ("another case of it is another tag", "terminate", tagged(donotterminate="1"), {}),
    ("a live zombie without tags is not ours to judge", "ignored untagged", instance(tags={}), {}),
    ("nor is one that is protected as well", "ignored untagged", instance(tags={"DoNotTerminate": ""}), {}),
    ("another value is another tag", "ignored untagged", instance(tags={"ManagedBy": "spotoptimizer"}), {}),
    ("every required tag must be there", "ignored untagged", instance(), {"required_tags": OURS | {"Env": "prod"}}),
    ("an empty value demands an empty tag", "ignored untagged", instance(), {"required_tags": {"Env": ""}}),
    ("no required tags is no check", "terminate", instance(tags={}), {"required_tags": {}}),
    ("an untagged replica is ours, and refused", "refused", instance(tags={}), {"reason": REPLICA}),
    ("the worker's tags are none by default", "refused", instance(tags=WORKER), {"reason": REPLICA}),
    ("the worker's tags count where the operator says so", "terminate", instance(tags=WORKER), {"reason": REPLICA} | WORKERS_TOO),
    ("one of the two is not enough", "refused", instance(tags={"ReplicaId": "r"}), {"reason": REPLICA} | WORKERS_TOO),
    ("they count for replicas alone", "ignored untagged", instance(tags=WORKER), WORKERS_TOO),
    ("they do not lift protection", "refused", instance(tags=WORKER | {"DoNotTerminate": ""}), {"reason": REPLICA} | WORKERS_TOO),
    # who else looks after it
    ("what an AWS service manages is ended there", "refused", replace(instance(), operator="eks.amazonaws.com"), {}),
    ("a group would replace its member", "refused", instance(tags=GROUP), {}),
    ("unless it may shrink", "through its group", instance(tags=GROUP), SHRINK),
    ("a fleet's member is asked about first", "terminate", tagged(**{"aws__ec2__fleet-id": "fleet-1"}), {}),
    # where it is
    ("another region's zone is ignored", "ignored", instance(), {"zone": "eu-west-1a"}),
    ("a name that is no zone's is none's", "terminate", instance(), {"zone": "??"}),
    ("no zone is no reason", "terminate", instance(), {"zone": None}),
    # what has ended
    ("ended through the API", "ended by api", instance(state=State.TERMINATED, ending=BY_API), {}),
    ("ended by itself", "ended by itself", instance(state=State.TERMINATED, ending=BY_ITSELF), {}),
    ("what has ended needs no tag", "ended by api", instance(state=State.TERMINATED, ending=BY_API, tags={}), {}),
    ("it is protected no more", "ended by api", instance(state=State.SHUTTING_DOWN, ending=BY_API, tags={"DoNotTerminate": ""}), {}),
    ("shutting down is pending under confirmation", "pending", instance(state=State.SHUTTING_DOWN, ending=BY_API), {"confirm_termination": True}),
    ("terminated is confirmed", "ended by api", instance(state=State.TERMINATED, ending=BY_API), {"confirm_termination": True}),
    ("a dry run reports no end", "deferred", instance(state=State.TERMINATED, ending=BY_API), {"dry_run": True}),
    # what is not there
    ("gone is reported", "ended by itself", GONE, {}),
    ("gone is ignored under ignore", "ignored", GONE, {"missing_instance": MissingPolicy.IGNORE}),
    ("gone is proven under verify", "prove", GONE, {"missing_instance": MissingPolicy.VERIFY}),
    ("a replica, too", "prove", GONE, {"missing_instance": MissingPolicy.VERIFY, "reason": REPLICA}),
    ("a dry run does not report it", "deferred", GONE, {"dry_run": True}),
    ("what could not be asked is deferred", "deferred", error(ErrorKind.FAULTY), {}),
    ("even where it may be ignored", "deferred", error(ErrorKind.FAULTY), {"missing_instance": MissingPolicy.IGNORE}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "seen", "given"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS]
)
def test_a_machine_by_itself(
    expected: str, seen: Instance | AwsError | None, given: dict[str, Any]
) -> None:
    assert said(one(seen, **given)) == expected


def test_with_every_switch_off_all_is_deferred_whatever_else_holds() -> None:
    off = candidate(off=(marked(1, zone="eu-west-1a"),))
    found = decide(off, instance(tags={}), Agents([AGENT]), policy(), NOW)
    assert said(found) == "deferred"


def test_an_error_keeps_its_code() -> None:
    found = one(error(ErrorKind.REFUSED, "UnauthorizedOperation"))
    assert isinstance(found, Left)
    assert found.trace.error_code == "UnauthorizedOperation"


@pytest.mark.parametrize(
    ("ending", "at"),
    [
        (BY_API, EARLIER),
        (Ending(by_api=True), NOW),
        (Ending(by_api=True, at=NOW + timedelta(days=1)), NOW),
    ],
)
def test_an_end_is_when_ec2_says_and_never_in_the_future(ending: Ending, at: datetime) -> None:
    found = one(instance(state=State.TERMINATED, ending=ending))
    assert isinstance(found, Ended)
    assert found.at == at


@pytest.mark.parametrize(
    ("waited", "at"),
    [(320.0, NOW - timedelta(seconds=320)), (None, NOW), (0.0, NOW), (1e18, NOW)],
)
def test_what_ec2_has_forgotten_ended_when_it_was_marked(
    waited: float | None, at: datetime
) -> None:
    found = one(GONE, waited=waited)
    assert isinstance(found, Ended)
    assert found.at == at


@pytest.mark.parametrize(
    ("zone", "elsewhere"),
    [("us-east-1a", False), ("us-east-1-bos-1a", False), ("us-east-1-wl1-bos-wlz-1", False),
     ("us-east-2a", True), ("eu-west-1a", True), ("us-west-2-lax-1a", True), ("us-gov-east-1a", True),
     ("eusc-de-east-1a", True), ("us-east-1", False), ("", False), ("?", False), (None, False)],
)  # fmt: skip
def test_a_zone_s_region_is_read_from_its_name(zone: str | None, *, elsewhere: bool) -> None:
    assert in_another_region(zone, "us-east-1") is elsewhere


# ---- what is around it ----

SHOP: dict[str, Any] = {LOGICAL_ID_TAG: "shop"}


def replica(**tags: str) -> ToTerminate:
    owned = Owned(marked(1, REPLICA), as_replica=True, as_zombie=False)
    return ToTerminate(owned, instance(tags=OURS | {PARENT_TAG: iid(9)} | tags))


def zombie(**tags: str) -> ToTerminate:
    return decision(1, tags=OURS | tags)


def peer(number: int = 9, state: State = State.RUNNING, **tags: str) -> Instance:
    return instance(number, state, tags=OURS | tags)


PEERS = policy(require_running_peer=True)
TROUBLE = error(ErrorKind.THROTTLED)
STRANGER = instance(9, tags=SHOP)
Around = tuple[str, str, ToTerminate, Surroundings, Policy]
AROUND: Sequence[Around] = [
    # a replica may have been promoted (quirk 10)
    ("its parent runs on", "terminate", replica(), Surroundings([peer()]), policy()),
    ("nobody runs", "refused", replica(), Surroundings(), policy()),
    ("its parent is stopped", "refused", replica(), Surroundings([peer(9, State.STOPPED)]), policy()),
    ("its parent is listed, too", "refused", replica(), Surroundings([peer()], {iid(9)}), policy()),
    ("its parent was listed lately", "refused", replica(), Surroundings([peer()], (), {iid(9)}), policy()),
    ("a primary was listed lately", "refused", replica(**SHOP), Surroundings([peer(7, **SHOP)], (), {iid(7)}), policy()),
    ("another primary of its workload runs", "terminate", replica(**SHOP), Surroundings([peer(7, **SHOP)]), policy()),
    ("a replica is no primary", "refused", replica(**SHOP), Surroundings([peer(7, **SHOP, ParentInstance=iid(3))]), policy()),
    ("another workload's primary is none", "refused", replica(**SHOP), Surroundings([peer(7, LogicalAgentId="mail")]), policy()),
    ("an empty workload is none", "refused", replica(LogicalAgentId=""), Surroundings([peer(7, LogicalAgentId="")]), policy()),
    ("an empty parent is none", "refused", replica(ParentInstance=""), Surroundings([peer()]), policy()),
    ("unknown", "deferred", replica(), Surroundings(TROUBLE), policy()),
    ("a zombie was promoted and replaced", "terminate", zombie(ParentInstance=iid(9)), Surroundings(), policy()),
    # a zombie's peers
    ("peers are not asked for by default", "terminate", zombie(**SHOP), Surroundings(), policy()),
    ("a peer carries on", "terminate", zombie(**SHOP), Surroundings([peer(**SHOP)]), PEERS),
    ("nobody carries on", "refused", zombie(**SHOP), Surroundings(), PEERS),
    ("a stranger does not vouch", "refused", zombie(**SHOP), Surroundings([STRANGER]), PEERS),
    ("a marked one does not", "refused", zombie(**SHOP), Surroundings([peer(**SHOP)], {iid(9)}), PEERS),
    ("nor one that was lately", "refused", zombie(**SHOP), Surroundings([peer(**SHOP)], (), {iid(9)}), PEERS),
    ("nor one that is stopped", "refused", zombie(**SHOP), Surroundings([peer(9, State.STOPPED, **SHOP)]), PEERS),
    ("no workload needs none", "terminate", zombie(), Surroundings(), PEERS),
    ("unknown peers", "deferred", zombie(**SHOP), Surroundings(TROUBLE), PEERS),
    # fleets
    *(
        row
        for tag in ("aws:ec2:fleet-id", "aws:ec2spot:fleet-request-id")
        for row in (
            (f"{tag}: maintains", "refused", zombie(**{tag: "f"}), Surroundings(fleets={"f": True}), policy()),
            (f"{tag}: replaces nothing", "terminate", zombie(**{tag: "f"}), Surroundings(fleets={"f": False}), policy()),
            (f"{tag}: not shown", "deferred", zombie(**{tag: "f"}), Surroundings(), policy()),
            (f"{tag}: unknown", "deferred", zombie(**{tag: "f"}), Surroundings(fleets={"f": TROUBLE}), policy()),
            (f"{tag}: the group's", "deferred", zombie(**{tag: "f", GROUP_TAG: "web"}), Surroundings(fleets={"f": True}), policy()),
        )
    ),
    # groups
    *(
        (f"member {leaving} {scale_in} {protected}", expected, zombie(**{GROUP_TAG: "web"}), Surroundings(members={iid(1): Member(leaving, scale_in, protected)}), policy())
        for leaving, scale_in, protected, expected in (
            (Leaving.NO, False, False, "through its group"),
            (Leaving.NO, True, False, "refused"),
            (Leaving.NO, False, True, "refused"),
            (Leaving.RETAINED, True, False, "through its group"),
            (Leaving.RETAINED, False, True, "refused"),
            (Leaving.BY_ITSELF, True, False, "through its group"),
        )
    ),
    ("a member that is not shown", "deferred", zombie(**{GROUP_TAG: "web"}), Surroundings(), policy()),
    ("a group that cannot be asked", "deferred", zombie(**{GROUP_TAG: "web"}), Surroundings(members={iid(1): TROUBLE}), policy()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "given", "around", "rules"), [r[1:] for r in AROUND], ids=[r[0] for r in AROUND]
)
def test_a_machine_by_what_is_around_it(
    expected: str, given: ToTerminate, around: Surroundings, rules: Policy
) -> None:
    assert said(hold_back(given, around, rules)) == expected


def test_an_unknown_reason_is_the_dangerous_one() -> None:
    owned = Owned(marked(1, "whatever"), as_replica=False, as_zombie=True)
    given = ToTerminate(owned, instance(tags=OURS | SHOP))
    assert needs_neighbours(given, PEERS)
    assert said(hold_back(given, Surroundings(), PEERS)) == "refused"


def test_one_that_is_listed_as_both_passes_the_guards_of_both() -> None:
    owned = Owned(marked(1, REPLICA), as_replica=True, as_zombie=True)
    given = ToTerminate(owned, instance(tags=OURS | SHOP | {PARENT_TAG: iid(9)}))
    parent = Surroundings([instance(9, tags={})])
    assert said(hold_back(given, parent, policy())) == "terminate"
    assert said(hold_back(given, parent, PEERS)) == "refused"


def test_what_is_refused_says_why_and_what_ec2_shows() -> None:
    found = hold_back(zombie(**SHOP), Surroundings(), PEERS)
    assert isinstance(found, Denied)
    assert found.why == "no other running instance carries LogicalAgentId=shop"
    assert found.trace.current_state == "running"


def test_the_cap_takes_the_longest_waiting_first() -> None:
    given = [replace_wait(n, waited) for n, waited in ((1, 10.0), (2, 30.0), (3, None), (4, 20.0))]
    now, over = within_cap(given, 2, {iid(3): 25.0})
    assert [d.marked.instance_id for d in now] == [iid(2), iid(3)]
    assert {d.marked.instance_id: d.outcome for d in over} == dict.fromkeys(
        (iid(1), iid(4)), Outcome.DEFERRED
    )


def replace_wait(number: int, waited: float | None) -> ToTerminate:
    owned = Owned(marked(number, waited=waited), as_replica=False, as_zombie=True)
    return ToTerminate(owned, instance(number))


@pytest.mark.parametrize(
    ("wanted", "fleet", "percent", "blown"),
    [(1, 10, 10, False), (2, 10, 10, True), (1, 9, 10, True), (1, 0, 99, True), (0, 0, 1, False)],
)
def test_the_fuse_is_exact(wanted: int, fleet: int, percent: int, *, blown: bool) -> None:
    assert fuse_blown(wanted, fleet, percent) is blown
