"""EC2's instances and their Spot requests, over boto3."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from handler.aws import error_codes
from handler.aws.errors import AwsError, ErrorKind
from handler.instances.model import Ending, Instance, Sight, State
from handler.instances.ports import Accepted, Change

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef, InstanceTypeDef

FILTER_VALUES = 200
"""Values of one filter (AWS, DescribeInstances)."""
LIVE = [State.PENDING, State.RUNNING, State.STOPPING, State.STOPPED]
STANDING = ["open", "active", "disabled"]
"""Spot request states in which a persistent request may still launch (EC2, Spot request status)."""

_WHEN = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:GMT|UTC)\)")


@dataclass(frozen=True, slots=True)
class Ec2Machines:
    """The port `Machines` on EC2 and Auto Scaling.

    Args:
        ec2: the client for the function's own region.
        autoscaling: makes the Auto Scaling client, the first time it is needed.
    """

    ec2: EC2Client
    autoscaling: Callable[[], AutoScalingClient]

    def look(self, ids: Collection[str]) -> Sight:
        """DescribeInstances by filter, 200 ids a call: unknown ids are just absent."""
        seen: dict[str, Instance] = {}
        unreadable: dict[str, AwsError] = {}
        for chunk in _chunks(ids):
            answer = self._find([{"Name": "instance-id", "Values": chunk}])
            if isinstance(answer, AwsError):
                unreadable |= dict.fromkeys(chunk, answer)
                continue
            for raw in answer:
                instance = _instance(raw)
                if isinstance(instance, AwsError):
                    unreadable[raw["InstanceId"]] = instance
                else:
                    seen[instance.instance_id] = instance
        return Sight(seen, unreadable)

    def terminate(self, ids: Sequence[str], *, dry_run: bool) -> Accepted | AwsError:
        """TerminateInstances, once; never with Force or SkipOsShutdown, which risk data."""
        try:
            answer = self.ec2.terminate_instances(InstanceIds=list(ids), DryRun=dry_run)
        except error_codes.SDK_ERRORS as error:
            return _unless_dry_run(error_codes.read(error))
        if error_codes.lacks(answer, "TerminatingInstances"):
            return error_codes.NOT_AWS
        changes = {
            one["InstanceId"]: Change(one["PreviousState"]["Name"], one["CurrentState"]["Name"])
            for one in answer["TerminatingInstances"]
        }
        return Accepted(changes, answer["ResponseMetadata"].get("RequestId"))

    def shrink(self, instance_id: str) -> Accepted | AwsError:
        """TerminateInstanceInAutoScalingGroup with decrement: the group does not replace it.

        A member that waits in a lifecycle hook runs on for up to 48 hours (AWS, "Lifecycle
        hooks"). It is not asked for again: nobody promises that the group would not get smaller
        once more.
        """
        groups = self.autoscaling()
        try:
            known = groups.describe_auto_scaling_instances(InstanceIds=[instance_id])
            if error_codes.lacks(known, "AutoScalingInstances"):
                return error_codes.NOT_AWS
            metadata = known["ResponseMetadata"]
            states = [member["LifecycleState"] for member in known["AutoScalingInstances"]]
            if not any(state.startswith("Terminating") for state in states):
                metadata = groups.terminate_instance_in_auto_scaling_group(
                    InstanceId=instance_id, ShouldDecrementDesiredCapacity=True
                )["ResponseMetadata"]
        except error_codes.SDK_ERRORS as error:
            return error_codes.read(error)
        # The group terminates it after its hooks; accepted is all that there is to know now.
        change = Change(State.RUNNING, State.SHUTTING_DOWN)
        return Accepted({instance_id: change}, metadata.get("RequestId"))

    def fleet_size(self, tags: Mapping[str, str]) -> int | AwsError:
        """Counts what is live and bears the tags, page by page."""
        found = self._bearing(tags, LIVE)
        return found if isinstance(found, AwsError) else len(found)

    def running(self, tags: Mapping[str, str]) -> tuple[Instance, ...] | AwsError:
        """Running instances that bear the tags, for who examines what may be done to them."""
        found = self._bearing(tags, [State.RUNNING])
        if isinstance(found, AwsError):
            return found
        read = [_instance(raw) for raw in found]
        return tuple(one for one in read if not isinstance(one, AwsError))

    def running_with(self, tag: str, values: Collection[str]) -> Mapping[str, str] | AwsError:
        """Running instances by the value of a tag, 200 values a call."""
        return self._by(
            f"tag:{tag}", [_literal(value) for value in values], [State.RUNNING], partial(_tag, tag)
        )

    def live_from(self, requests: Collection[str]) -> Mapping[str, str] | AwsError:
        """Live instances by the Spot request that launched them, 200 requests a call."""
        return self._by("spot-instance-request-id", requests, LIVE, _request)

    def standing_requests(self, requests: Collection[str]) -> frozenset[str] | AwsError:
        """DescribeSpotInstanceRequests by filter: the persistent ones that are not over."""
        standing: set[str] = set()
        for chunk in _chunks(requests):
            filters: list[FilterTypeDef] = [
                {"Name": "spot-instance-request-id", "Values": chunk},
                {"Name": "type", "Values": ["persistent"]},
                {"Name": "state", "Values": STANDING},
            ]
            pages = self.ec2.get_paginator("describe_spot_instance_requests")
            try:
                for page in pages.paginate(Filters=filters):
                    if error_codes.lacks(page, "SpotInstanceRequests"):
                        return error_codes.NOT_AWS
                    standing |= {
                        one["SpotInstanceRequestId"] for one in page["SpotInstanceRequests"]
                    }
            except error_codes.SDK_ERRORS as error:
                return error_codes.read(error)
        return frozenset(standing)

    def cancel_requests(self, requests: Sequence[str], *, dry_run: bool) -> Accepted | AwsError:
        """CancelSpotInstanceRequests, once."""
        try:
            answer = self.ec2.cancel_spot_instance_requests(
                SpotInstanceRequestIds=list(requests), DryRun=dry_run
            )
        except error_codes.SDK_ERRORS as error:
            return _unless_dry_run(error_codes.read(error))
        if error_codes.lacks(answer, "CancelledSpotInstanceRequests"):
            return error_codes.NOT_AWS
        changes = {
            one["SpotInstanceRequestId"]: Change("active", one["State"])
            for one in answer["CancelledSpotInstanceRequests"]
        }
        return Accepted(changes, answer["ResponseMetadata"].get("RequestId"))

    def _bearing(
        self, tags: Mapping[str, str], states: Sequence[str]
    ) -> list[InstanceTypeDef] | AwsError:
        filters: list[FilterTypeDef] = [
            {"Name": f"tag:{key}", "Values": [_literal(value)]} for key, value in tags.items()
        ]
        return self._find([*filters, {"Name": "instance-state-name", "Values": states}])

    def _by(
        self,
        name: str,
        values: Collection[str],
        states: Sequence[str],
        key: Callable[[InstanceTypeDef], str],
    ) -> Mapping[str, str] | AwsError:
        found: dict[str, str] = {}
        for chunk in _chunks(values):
            answer = self._find(
                [
                    {"Name": name, "Values": chunk},
                    {"Name": "instance-state-name", "Values": states},
                ]
            )
            if isinstance(answer, AwsError):
                return answer
            found |= {raw["InstanceId"]: key(raw) for raw in answer}
        return found

    def _find(self, filters: Sequence[FilterTypeDef]) -> list[InstanceTypeDef] | AwsError:
        """Every page or none: half an answer would make known instances look unknown."""
        found: list[InstanceTypeDef] = []
        try:
            for page in self.ec2.get_paginator("describe_instances").paginate(Filters=filters):
                if error_codes.lacks(page, "Reservations"):
                    return error_codes.NOT_AWS
                for reservation in page["Reservations"]:
                    found += reservation["Instances"]
        except error_codes.SDK_ERRORS as error:
            return error_codes.read(error)
        return found


def _instance(raw: InstanceTypeDef) -> Instance | AwsError:
    name = raw["State"]["Name"]
    try:
        state = State(name)
    except ValueError:  # a state that EC2 did not have when this was written: nothing is decided
        return AwsError("UnknownState", f"EC2 shows the state {name!r}", ErrorKind.FAULTY)
    return Instance(
        instance_id=raw["InstanceId"],
        state=state,
        zone=raw.get("Placement", {}).get("AvailabilityZone", ""),
        tags={tag["Key"]: tag["Value"] for tag in raw.get("Tags", [])},
        ending=_ending(raw) if state.ended else None,
        spot_request=raw.get("SpotInstanceRequestId"),
    )


def _ending(raw: InstanceTypeDef) -> Ending:
    """How it ended: EC2's `User initiated (2025-11-25 12:30:00 GMT)`, and the reason's code."""
    transition = raw.get("StateTransitionReason") or ""
    code = raw.get("StateReason", {}).get("Code") or "Client.UserInitiatedShutdown"
    when = _WHEN.search(transition)
    return Ending(
        by_api=transition.startswith("User initiated") and code == "Client.UserInitiatedShutdown",
        at=datetime.fromisoformat(when[1]).replace(tzinfo=UTC) if when else None,
    )


def _unless_dry_run(error: AwsError) -> Accepted | AwsError:
    if error.code == error_codes.DRY_RUN_ALLOWED:
        return Accepted({}, error.request_id)
    return error


def _chunks(values: Collection[str]) -> list[list[str]]:
    rest = iter(values)
    return list(iter(lambda: list(islice(rest, FILTER_VALUES)), []))


def _literal(value: str) -> str:
    """A filter's value without its wildcards (EC2, "Filter using wildcards")."""
    return re.sub(r"([\\*?])", r"\\\1", value)


def _tag(key: str, raw: InstanceTypeDef) -> str:
    return next(tag["Value"] for tag in raw["Tags"] if tag["Key"] == key)


def _request(raw: InstanceTypeDef) -> str:
    return raw["SpotInstanceRequestId"]
