"""What AWS services run in the account is asked for, too.

Unless told so, EC2 leaves it out of its lists
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/amazon-ec2-managed-instances.html). Lambda's runtime
brings boto3, and may bring one that does not know the parameter: then it would be left out in silence,
and what is not listed looks unused. So it is added to the call itself.
"""

from __future__ import annotations

from typing import Any

from botocore.session import Session

LISTS = (
    "DescribeInstances",
    "DescribeLaunchTemplates",
    "DescribeLaunchTemplateVersions",
    "DescribeVolumes",
)


def list_managed_too(core: Session) -> None:
    """From now on clients of this session list what is managed as well."""
    for operation in LISTS:
        core.register(f"before-call.ec2.{operation}", _ask)


def _ask(**call: Any) -> None:  # noqa: ANN401 - as botocore calls its handlers
    call["params"]["body"]["IncludeManagedResources"] = "true"
