"""The least that housekeeping could do: list the account's images and snapshots with boto3."""

from __future__ import annotations

from collections.abc import Callable


def prepare() -> Callable[[], object]:
    """Import boto3, and read every page of both."""

    def look() -> int:
        import boto3  # noqa: PLC0415 - as in a cold start, importing it is part of the work

        ec2 = boto3.client("ec2")
        images = ec2.get_paginator("describe_images").paginate(
            Owners=["self"], PaginationConfig={"PageSize": 1000}
        )
        snapshots = ec2.get_paginator("describe_snapshots").paginate(
            OwnerIds=["self"], PaginationConfig={"PageSize": 1000}
        )
        return sum(len(page["Images"]) for page in images) + sum(
            len(page["Snapshots"]) for page in snapshots
        )

    return look
