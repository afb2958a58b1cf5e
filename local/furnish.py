"""What a local stack has to do: zombies, and an old image."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends

from local.stack import MANAGED, Stack

ACCOUNT = "123456789012"
"""Moto's own."""
SOURCE = "i-0f000000000000001"
"""What the images were made of: the newest of one instance always stays."""


def furnish(stack: Stack) -> list[str]:
    """Two zombies whose wait is over, whose ids are returned, and two images, of which the older one may go."""
    zombies = stack.launch("a", count=2)
    stack.operator.add_zombies(stack.agent_id, zombies, age_seconds=400)
    add_image(stack, "unused", zombies[0], age_days=60)
    add_image(stack, "newest", zombies[0], age_days=40)
    return zombies


def add_image(stack: Stack, name: str, instance: str, *, age_days: float) -> str:
    """An image of ours of that age; nothing uses it.

    Args:
        stack: where.
        name: its name, once in the account.
        instance: what it is made of.
        age_days: how old it looks. Moto must run in this process: no call of EC2's makes anything older.
    """
    tags = [{"Key": k, "Value": v} for k, v in {**MANAGED, "SourceInstance": SOURCE}.items()]
    specification: Any = [{"ResourceType": "image", "Tags": tags}]
    image = stack.ec2.create_image(InstanceId=instance, Name=name, TagSpecifications=specification)[
        "ImageId"
    ]
    moto: Any = ec2_backends[ACCOUNT][stack.region]
    moto.amis[image].creation_date = utcnow() - timedelta(days=age_days)
    return image
