"""The images and snapshots that launch templates name, in any of their versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handler.aws.errors import AwsError
from handler.aws.lists import read_all
from handler.aws.retry import Patience
from handler.images.parameter_uses import ParameterUses
from handler.images.resource_ids import ids_in

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

TEMPLATE_PAGE = 200
"""Launch templates, or their versions, of one page (EC2 API)."""
_ALIAS = "resolve:ssm:"


@dataclass(frozen=True, slots=True)
class TemplateUses:
    """EC2's launch templates."""

    ec2: EC2Client
    parameters: ParameterUses
    patience: Patience

    def find(self) -> Mapping[str, str] | AwsError:
        """Every version of every template: one call for all latest ones, one more per older history."""
        call, key = self.ec2.describe_launch_template_versions, "LaunchTemplateVersions"
        templates = read_all(
            self.patience,
            self.ec2.describe_launch_templates,
            "LaunchTemplates",
            MaxResults=TEMPLATE_PAGE,
        )
        if isinstance(templates, AwsError):
            return templates
        versions: list[dict[str, Any]] = []
        # A template whose latest version is its first has no other: those are had all at once.
        single = [one for one in templates if one["LatestVersionNumber"] == 1]
        if single:
            latest = read_all(
                self.patience, call, key, Versions=["$Latest"], MaxResults=TEMPLATE_PAGE
            )
            if isinstance(latest, AwsError):
                return latest
            versions += latest
        covered = {one["LaunchTemplateId"] for one in versions if one["VersionNumber"] == 1}
        for template in templates:
            if template["LaunchTemplateId"] in covered:
                continue
            found = read_all(
                self.patience,
                call,
                key,
                LaunchTemplateId=template["LaunchTemplateId"],
                MaxResults=TEMPLATE_PAGE,
            )
            if isinstance(found, AwsError):
                return found
            versions += found
        return self._resolved(versions)

    def _resolved(self, versions: list[dict[str, Any]]) -> Mapping[str, str] | AwsError:
        """What the versions name, and what their SSM aliases stand for: an alias may pin a version."""
        users: dict[str, str] = {}
        aliases: dict[str, str] = {}
        for one in versions:
            user = f"launch template {one['LaunchTemplateId']} version {one['VersionNumber']}"
            data = one.get("LaunchTemplateData") or {}
            users |= dict.fromkeys(ids_in(data), user)
            if (image := str(data.get("ImageId", ""))).startswith(_ALIAS):
                aliases[image.removeprefix(_ALIAS)] = user
        values = self.parameters.values(sorted(aliases))
        if isinstance(values, AwsError):
            return values
        return {**dict.fromkeys(ids_in(values), "launch template, by an SSM parameter"), **users}
