"""Who in the account refers to an image or a snapshot: one look-up per kind of user, for all ids.

What it does not see is in docs/housekeeping.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handler.aws.errors import AwsError, ErrorKind
from handler.aws.lists import read_all
from handler.aws.retry import Patience
from handler.images.model import Uses
from handler.images.parameter_uses import ParameterUses
from handler.images.resource_ids import ids_in
from handler.images.template_uses import TemplateUses

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ssm import SSMClient

LIVE = ["pending", "running", "stopping", "stopped"]
GROUP_PAGE = 100
"""Auto Scaling's MaxRecords."""
ALL_VERSIONS = "10000"
"""DescribeImageReferences looks at the latest 10 versions of a template unless told so (EC2 API)."""

Found = Mapping[str, str]
"""id → who uses it."""


@dataclass(frozen=True, slots=True)
class AccountUsers:
    """The port `Users` on EC2, Auto Scaling and Parameter Store.

    Args:
        ec2, autoscaling, ssm: the clients; each makes a call once.
        patience: makes the calls again, page by page.
    """

    ec2: EC2Client
    autoscaling: AutoScalingClient
    ssm: SSMClient
    patience: Patience

    def uses(self) -> Uses:
        """Every look-up, whatever becomes of the others."""
        users: dict[str, str] = {}
        failed: dict[str, AwsError] = {}
        for what, look_up in self._look_ups():
            found = look_up()
            if isinstance(found, AwsError):
                failed[what] = found
            else:
                users = {**found, **users}
        return Uses(users, failed)

    def references(self, image_ids: Collection[str]) -> Found | AwsError | None:
        """DescribeImageReferences of up to ten images, every version of every template.

        It adds Image Builder's recipes to what `uses` sees. The runtime's botocore, or a region,
        may not have it yet.
        """
        if not hasattr(self.ec2, "describe_image_references"):
            return None
        found = read_all(
            self.patience,
            self.ec2.describe_image_references,
            "ImageReferences",
            ImageIds=list(image_ids),
            IncludeAllResourceTypes=True,
            ResourceTypes=[
                {
                    "ResourceType": "ec2:LaunchTemplate",
                    "ResourceTypeOptions": [
                        {"OptionName": "version-depth", "OptionValues": [ALL_VERSIONS]}
                    ],
                },
                {
                    "ResourceType": "ec2:Instance",
                    "ResourceTypeOptions": [{"OptionName": "state-name", "OptionValues": LIVE}],
                },
            ],
        )
        if isinstance(found, AwsError):
            return None if found.kind is ErrorKind.NO_SUCH_CALL else found
        return {one["ImageId"]: f"{one['ResourceType']} {one['Arn']}" for one in found}

    def _look_ups(self) -> Iterator[tuple[str, Callable[[], Found | AwsError]]]:
        ec2, autoscaling = self.ec2, self.autoscaling
        parameters = ParameterUses(self.ssm, self.patience)
        templates = TemplateUses(ec2, parameters, self.patience)
        yield "instances", self._instances
        yield "launch templates", templates.find
        yield (
            "launch configurations",
            lambda: self._listed(
                autoscaling.describe_launch_configurations,
                "LaunchConfigurations",
                "launch configuration",
                "LaunchConfigurationName",
                MaxRecords=GROUP_PAGE,
            ),
        )
        # Their templates and configurations are looked at above; an override may name an image itself.
        yield (
            "Auto Scaling groups",
            lambda: self._listed(
                autoscaling.describe_auto_scaling_groups,
                "AutoScalingGroups",
                "Auto Scaling group",
                "AutoScalingGroupName",
                MaxRecords=GROUP_PAGE,
            ),
        )
        # A standing request launches from its image again.
        yield (
            "Spot requests",
            lambda: self._listed(
                ec2.describe_spot_instance_requests,
                "SpotInstanceRequests",
                "Spot request",
                "SpotInstanceRequestId",
                Filters=[{"Name": "state", "Values": ["open", "active", "disabled"]}],
            ),
        )
        yield "SSM parameters", parameters.find

    def _listed(
        self,
        call: Callable[..., Mapping[str, Any]],
        key: str,
        kind: str,
        name: str,
        **given: object,
    ) -> Found | AwsError:
        """Every id that stands anywhere in the items of a list."""
        found = read_all(self.patience, call, key, **given)
        if isinstance(found, AwsError):
            return found
        return {one: f"{kind} {item[name]}" for item in found for one in ids_in(item)}

    def _instances(self) -> Found | AwsError:
        found = read_all(
            self.patience,
            self.ec2.describe_instances,
            "Reservations",
            Filters=[{"Name": "instance-state-name", "Values": LIVE}],
            MaxResults=1000,
        )
        if isinstance(found, AwsError):
            return found
        return {
            instance["ImageId"]: f"instance {instance['InstanceId']}"
            for reservation in found
            for instance in reservation["Instances"]
            if "ImageId" in instance
        }
