"""Who in the account refers to an image or a snapshot: every kind of reference that can be seen.

docs/housekeeping.md has a row for each, and says what cannot be seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from handler.aws.errors import AwsError
from handler.aws.lists import each_of, read_all
from handler.images.model import Kind, References, Unseen
from handler.images.parameters import Parameters

LIVE = ["pending", "running", "stopping", "stopped"]
TEMPLATE_PAGE = 200
"""Launch templates, or their versions, of one page (EC2 API)."""
VANISHED = frozenset(
    {"InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateName.NotFoundException"}
)
"""A template that somebody deleted between two calls: it uses nothing any more."""
ALIAS = "resolve:ssm:"
_ID = re.compile(r"(?:ami|snap)-[0-9a-f]{8,17}")
"""Whatever stands around it: `golden_ami-0123456789abcdef0_v2` refers to it as well."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of which every item may name an image or a snapshot anywhere in it."""

    what: str
    service: str
    operation: str
    key: str
    kind: str
    name: str
    given: Mapping[str, object]
    state: str = ""
    over: frozenset[str] = frozenset()


LISTS = (
    Listed(
        "launch configurations",
        *("autoscaling", "describe_launch_configurations", "LaunchConfigurations"),
        *("launch configuration", "LaunchConfigurationName"),
        {},
    ),
    # Their templates and configurations are looked at as such; an override may name an image itself.
    Listed(
        "Auto Scaling groups",
        *("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups"),
        *("Auto Scaling group", "AutoScalingGroupName"),
        {},
    ),
    # A standing request launches from its image again.
    Listed(
        "Spot requests",
        *("ec2", "describe_spot_instance_requests", "SpotInstanceRequests"),
        *("Spot request", "SpotInstanceRequestId"),
        {"Filters": [{"Name": "state", "Values": ["open", "active", "disabled"]}]},
    ),
    Listed(
        "EC2 Fleets",
        *("ec2", "describe_fleets", "Fleets", "EC2 Fleet", "FleetId"),
        {},
        "FleetState",
        frozenset({"deleted", "deleted_running", "deleted_terminating", "failed"}),
    ),
    Listed(
        "Spot Fleets",
        *("ec2", "describe_spot_fleet_requests", "SpotFleetRequestConfigs"),
        *("Spot Fleet", "SpotFleetRequestId"),
        {},
        "SpotFleetRequestState",
        frozenset({"cancelled", "cancelled_running", "cancelled_terminating", "failed"}),
    ),
    # Somebody pays by the hour for being able to use it at once.
    Listed(
        "fast snapshot restores",
        *("ec2", "describe_fast_snapshot_restores", "FastSnapshotRestores"),
        *("fast snapshot restore in", "AvailabilityZone"),
        {},
        "State",
        frozenset({"disabled"}),
    ),
)


@dataclass(frozen=True, slots=True)
class AccountReferences:
    """Every look-up on EC2, Auto Scaling and Parameter Store, whatever becomes of the others.

    Args:
        clients: boto3's clients by service.
        time_left: seconds in which AWS may still be asked.
    """

    clients: Mapping[str, Any]
    time_left: Callable[[], float]

    def look_ups(self) -> dict[str, Callable[[], References | AwsError]]:
        """By what they look for; independent of each other."""
        return {
            "instances": self._instances,
            "launch templates": self._templates,
            "SSM parameters": self._parameters,
            **{one.what: partial(self._listed, one) for one in LISTS},
        }

    def _listed(self, listed: Listed) -> References | AwsError:
        found = read_all(
            self.clients[listed.service],
            listed.operation,
            listed.key,
            self.time_left,
            **listed.given,
        )
        if isinstance(found, AwsError):
            return found
        return References(
            {
                each: f"{listed.kind} {item.get(listed.name)}"
                for item in found
                if not listed.state or item.get(listed.state) not in listed.over
                for each in ids_in(item)
            }
        )

    def _instances(self) -> References | AwsError:
        ec2 = self.clients["ec2"]
        found = read_all(
            ec2,
            "describe_instances",
            "Reservations",
            self.time_left,
            Filters=[{"Name": "instance-state-name", "Values": LIVE}],
            MaxResults=1000,
            IncludeManagedResources=True,
        )
        if isinstance(found, AwsError):
            return found
        return References(
            {
                instance["ImageId"]: f"instance {instance['InstanceId']}"
                for reservation in found
                for instance in reservation["Instances"]
            }
        )

    def _templates(self) -> References | AwsError:
        """Every version of every template: one call for all latest ones, one more per older history."""
        ec2 = self.clients["ec2"]
        templates = read_all(
            ec2,
            "describe_launch_templates",
            "LaunchTemplates",
            self.time_left,
            MaxResults=TEMPLATE_PAGE,
            IncludeManagedResources=True,
        )
        if isinstance(templates, AwsError):
            return templates
        versions: list[dict[str, Any]] = []
        # A template whose latest version is its first has no other: those are had all at once.
        if any(one["LatestVersionNumber"] == 1 for one in templates):
            latest = self._versions(Versions=["$Latest"])
            if isinstance(latest, AwsError):
                return latest
            versions += latest
        covered = {one["LaunchTemplateId"] for one in versions if one["VersionNumber"] == 1}
        others = sorted({one["LaunchTemplateId"] for one in templates} - covered)
        histories = each_of(
            lambda one: self._versions(LaunchTemplateId=one), others, self.time_left
        )
        if isinstance(histories, AwsError):
            return histories
        for _, history in histories:
            if isinstance(history, AwsError):
                if history.code in VANISHED:
                    continue
                return history
            versions += history
        return self._named_by(versions)

    def _versions(self, **given: object) -> list[dict[str, Any]] | AwsError:
        ec2, operation = self.clients["ec2"], "describe_launch_template_versions"
        return read_all(
            ec2,
            operation,
            "LaunchTemplateVersions",
            self.time_left,
            MaxResults=TEMPLATE_PAGE,
            IncludeManagedResources=True,
            **given,
        )

    def _named_by(self, versions: Iterable[Mapping[str, Any]]) -> References | AwsError:
        """What the versions name, and what their SSM aliases stand for: an alias may pin a version."""
        users: dict[str, str] = {}
        aliases: dict[str, str] = {}
        for one in versions:
            user = f"launch template {one['LaunchTemplateId']} version {one['VersionNumber']}"
            data = one["LaunchTemplateData"]
            users |= dict.fromkeys(ids_in(data), user)
            if (image := data.get("ImageId", "")).startswith(ALIAS):
                aliases[image.removeprefix(ALIAS)] = user
        answers = Parameters(self.clients["ssm"], self.time_left).values(aliases)
        if isinstance(answers, AwsError):
            return answers
        unseen = []
        for name, value in answers.items():
            user = aliases.get(name, "a launch template")
            if isinstance(value, AwsError):
                # An alias stands where only an image's id may stand.
                what = f"SSM parameter {name} of {user}"
                unseen.append(Unseen(what, value, frozenset({Kind.IMAGE}), _cure(name)))
            else:
                by_alias = f"{user}, by the SSM parameter {name}"
                users |= dict.fromkeys(ids_in(value) - users.keys(), by_alias)
        return References(users, tuple(unseen))

    def _parameters(self) -> References | AwsError:
        """Every id in a readable parameter of the account, whatever its data type."""
        parameters = Parameters(self.clients["ssm"], self.time_left)
        names = parameters.names()
        answers = names if isinstance(names, AwsError) else parameters.values(names)
        if isinstance(answers, AwsError):
            return answers
        users: dict[str, str] = {}
        unseen = []
        for name, value in answers.items():
            if isinstance(value, AwsError):
                unseen.append(Unseen(f"SSM parameter {name}", value, cure=_cure(name)))
            else:
                users |= dict.fromkeys(ids_in(value), f"SSM parameter {name}")
        return References(users, tuple(unseen))


def ids_in(node: object) -> set[str]:
    """Every image's and snapshot's id in a value, however deep."""
    if isinstance(node, str):
        return set(_ID.findall(node))
    if isinstance(node, Mapping):
        node = list(node.values())
    if isinstance(node, list | tuple):
        return set[str]().union(*(ids_in(one) for one in node))
    return set()


def _cure(name: str) -> str:
    return f"let the function's role read {name} (ssm:GetParameters), or delete what refers to it"
