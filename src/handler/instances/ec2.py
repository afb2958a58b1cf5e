"""EC2's instances and their Spot requests, over boto3."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handler.aws import error_codes
from handler.aws.errors import AwsError, ErrorKind
from handler.instances.auto_scaling import members, terminate_member
from handler.instances.calls import (
    chunks,
    filtered,
    in_calls,
    like,
    literal,
    once,
    read_all,
    request_id,
    tags_of,
)
from handler.instances.ec2_reading import Found, read_instance
from handler.instances.fleets import replacing
from handler.instances.model import Instance, Observed, State
from handler.instances.ownership import LOGICAL_ID_TAG
from handler.instances.ports import Accepted, Change
from handler.instances.spot_requests import OVER
from handler.instances.surroundings import Member

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_ec2 import EC2Client

REQUESTS = 200
"""Spot requests of one call."""
APART = 40
"""Calls at most to tell instances of unknown zones apart while a zone is ill, and to tell apart the Spot
requests of which EC2 does not know some."""
LIVE = [State.PENDING, State.RUNNING, State.STOPPING, State.STOPPED]
UNCONFIRMED = AwsError(
    "NotShown", "EC2 neither shows it nor says that it does not exist", ErrorKind.NO_ANSWER
)


@dataclass(frozen=True, slots=True)
class Ec2Machines:
    """The port `Machines`.

    Args:
        looking: EC2, for what may be asked again: with the SDK's retries.
        acting: EC2, for what destroys: without them.
        autoscaling: makes the Auto Scaling client, without retries, the first time it is needed.
    """

    looking: EC2Client
    acting: EC2Client
    autoscaling: Callable[[], AutoScalingClient]

    def look(self, zones: Mapping[str, str | None]) -> Observed:
        """DescribeInstances by filter; what that does not show is asked for by its id.

        A filter shows nothing of what another AWS service manages, unless it is asked to, and fails
        for the whole region while one zone is ill. Only asked by its id does EC2 say that an
        instance does not exist (EC2 API, DescribeInstances).
        """
        shown = self._find([{"Name": "instance-id", "Values": list(zones)}])
        found = Found()
        if not isinstance(shown, AwsError):
            found.add(shown)
            self._by_id(zones.keys() - found.ids, found)
        elif shown.kind in {ErrorKind.FAULTY, ErrorKind.NO_ANSWER}:
            by_zone: dict[str | None, list[str]] = {}
            for instance_id, zone in zones.items():
                by_zone.setdefault(zone, []).append(instance_id)
            for ids in by_zone.values():
                self._by_id(ids, found)
            self._apart([one for one in by_zone.get(None, ()) if one in found.unreadable], found)
        else:
            found.unreadable |= dict.fromkeys(zones, shown)
        return Observed(found.seen, frozenset(found.gone), found.unreadable)

    def _by_id(self, ids: Collection[str], found: Found) -> None:
        """Ask for these by their ids: `InvalidInstanceID.NotFound` names those that do not exist."""
        waiting = [sorted(ids)] if ids else []
        while waiting:
            asked = waiting.pop()
            shown = self._read(InstanceIds=asked)
            if not isinstance(shown, AwsError):
                found.add(shown)
                found.unreadable |= dict.fromkeys(set(asked) - found.ids, UNCONFIRMED)
            elif named := shown.named.intersection(asked):
                if shown.kind is ErrorKind.MISSING:
                    found.gone |= named
                else:  # malformed, says EC2: not gone, and no reason to know nothing of the others
                    found.unreadable |= dict.fromkeys(named, shown)
                if rest := [one for one in asked if one not in named]:
                    waiting.append(rest)
            elif shown.kind is not ErrorKind.MISSING:
                found.unreadable |= dict.fromkeys(asked, shown)
            elif len(asked) == 1:
                found.gone |= set(asked)
            else:
                waiting += [[one] for one in asked]

    def _apart(self, ids: Sequence[str], found: Found) -> None:
        """Of unknown zones, one that is ill fails a call for all of its ids: halve it, without retries."""
        errors = {one: found.unreadable.pop(one) for one in ids}
        waiting = [list(ids)] if ids else []
        for _ in range(APART):
            if not waiting:
                break
            asked = waiting.pop(0)
            shown = self._read(self.acting, InstanceIds=asked)
            if not isinstance(shown, AwsError):
                found.add(shown)
            elif shown.kind is ErrorKind.MISSING and (named := shown.named.intersection(asked)):
                found.gone |= named
                waiting += [rest] if (rest := [one for one in asked if one not in named]) else []
            elif shown.kind is ErrorKind.FAULTY and len(asked) > 1:
                waiting += [asked[: len(asked) // 2], asked[len(asked) // 2 :]]
        known = found.ids | found.gone
        found.unreadable |= {one: error for one, error in errors.items() if one not in known}

    def neighbours(
        self, logical_ids: Collection[str], ids: Collection[str]
    ) -> tuple[Instance, ...] | AwsError:
        """Running instances by their tag and by their ids; others may be among them."""
        found: list[Instance] = []
        running = filtered("instance-state-name", [State.RUNNING])
        for name, values in (
            (f"tag:{LOGICAL_ID_TAG}", [like(one) for one in sorted(logical_ids)]),
            ("instance-id", sorted(ids)),
        ):
            for filters in in_calls(name, values, running):
                shown = self._find(filters)
                if isinstance(shown, AwsError):
                    return shown
                found += [one for one in map(read_instance, shown) if not isinstance(one, AwsError)]
        return tuple(found)

    def fleet_size(self, tags: Mapping[str, str], *, or_keys: Collection[str]) -> int | AwsError:
        """Counts what is live and bears the tags (or all of the keys), page by page."""
        live = filtered("instance-state-name", LIVE)
        bearing = self._find(
            [*(filtered(f"tag:{key}", [literal(value)]) for key, value in tags.items()), live]
        )
        if isinstance(bearing, AwsError) or not or_keys:
            return bearing if isinstance(bearing, AwsError) else len(bearing)
        others = self._find([filtered("tag-key", [literal(min(or_keys))]), live])
        if isinstance(others, AwsError):
            return others
        ids = {raw["InstanceId"] for raw in bearing}
        ids |= {raw["InstanceId"] for raw in others if set(or_keys) <= tags_of(raw).keys()}
        return len(ids)

    def running(self, tags: Mapping[str, str]) -> tuple[Instance, ...] | AwsError:
        """Running instances that bear the tags, for who examines what may be done to them."""
        filters = [filtered(f"tag:{key}", [literal(value)]) for key, value in tags.items()]
        found = self._find([*filters, filtered("instance-state-name", [State.RUNNING])])
        if isinstance(found, AwsError):
            return found
        return tuple(one for one in map(read_instance, found) if not isinstance(one, AwsError))

    def fleets(self, fleets: Collection[str]) -> Mapping[str, bool | AwsError]:
        """DescribeFleets and DescribeSpotFleetRequests."""
        return replacing(self.looking, fleets)

    def members(
        self, ids: Collection[str], left: Callable[[], float]
    ) -> Mapping[str, Member | AwsError]:
        """DescribeAutoScalingInstances, and of each shown DescribeInstanceAttribute."""
        return members(self.autoscaling(), self.looking, ids, left)

    def terminate(self, ids: Sequence[str], *, dry_run: bool) -> Accepted | AwsError:
        """TerminateInstances, once; never with Force or SkipOsShutdown, which risk data."""
        answer = once(
            lambda: self.acting.terminate_instances(InstanceIds=list(ids), DryRun=dry_run),
            "TerminatingInstances",
        )
        if isinstance(answer, AwsError):
            return _unless_dry_run(answer)
        changes = {
            one["InstanceId"]: Change(_state(one, "PreviousState"), _state(one, "CurrentState"))
            for one in answer["TerminatingInstances"]
            if "InstanceId" in one
        }
        return Accepted(changes, request_id(answer))

    def terminate_in_group(self, instance_id: str) -> Accepted | AwsError:
        """TerminateInstanceInAutoScalingGroup, once."""
        return terminate_member(self.autoscaling(), instance_id)

    def standing_requests(
        self, requests: Collection[str]
    ) -> Mapping[str, str | AwsError | None] | AwsError:
        """DescribeSpotInstanceRequests by their ids: only so EC2 names those that it does not know."""
        states: dict[str, str | AwsError | None] = dict.fromkeys(requests, UNCONFIRMED)
        waiting = list(chunks(sorted(states), REQUESTS))
        for _ in range(len(waiting) + APART):
            if not waiting:
                break
            asked = waiting.pop(0)
            found = read_all(
                self.looking,
                "describe_spot_instance_requests",
                "SpotInstanceRequests",
                SpotInstanceRequestIds=asked,
            )
            if not isinstance(found, AwsError):
                states |= {raw["SpotInstanceRequestId"]: _standing(raw) for raw in found}
            elif found.kind is not ErrorKind.MISSING:
                return found
            else:
                named = found.named.intersection(asked) or set(asked if len(asked) == 1 else ())
                states |= dict.fromkeys(named, found)
                rest = [one for one in asked if one not in named]
                half = 0 if named else len(rest) // 2
                waiting += [some for some in (rest[:half], rest[half:]) if some]
        return states

    def cancel_requests(self, requests: Sequence[str], *, dry_run: bool) -> Accepted | AwsError:
        """CancelSpotInstanceRequests, once."""
        answer = once(
            lambda: self.acting.cancel_spot_instance_requests(
                SpotInstanceRequestIds=list(requests), DryRun=dry_run
            ),
            "CancelledSpotInstanceRequests",
        )
        if isinstance(answer, AwsError):
            return _unless_dry_run(answer)
        changes = {
            one["SpotInstanceRequestId"]: Change("active", one.get("State", ""))
            for one in answer["CancelledSpotInstanceRequests"]
            if "SpotInstanceRequestId" in one
        }
        return Accepted(changes, request_id(answer))

    def live_from(self, requests: Collection[str]) -> Mapping[str, str] | AwsError:
        """Live instances by the Spot request that launched them."""
        live: dict[str, str] = {}
        alive = filtered("instance-state-name", LIVE)
        for filters in in_calls("spot-instance-request-id", requests, alive):
            found = self._find(filters)
            if isinstance(found, AwsError):
                return found
            live |= {raw["InstanceId"]: raw["SpotInstanceRequestId"] for raw in found}
        return live

    def _find(self, filters: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]] | AwsError:
        return self._read(Filters=list(filters), IncludeManagedResources=True)

    def _read(
        self, client: EC2Client | None = None, **given: object
    ) -> list[dict[str, Any]] | AwsError:
        """Every page or none: half an answer would make known instances look unknown."""
        found = read_all(client or self.looking, "describe_instances", "Reservations", **given)
        if isinstance(found, AwsError):
            return found
        return [raw for reservation in found for raw in reservation.get("Instances", [])]


def _unless_dry_run(error: AwsError) -> Accepted | AwsError:
    if error.code == error_codes.DRY_RUN_ALLOWED:
        return Accepted({}, error.request_id)
    return error


def _standing(raw: Mapping[str, Any]) -> str | None:
    """Its state while it may launch another instance; a type or state that is not told may."""
    state = raw.get("State") or "unknown"
    return None if raw.get("Type") == "one-time" or state in OVER else state


def _state(raw: Mapping[str, Any], key: str) -> str:
    return str(raw.get(key, {}).get("Name", "no state"))
