"""Finds the ids of images and snapshots wherever they stand."""

from __future__ import annotations

import re
from collections.abc import Mapping

_ID = re.compile(r"\b(?:ami|snap)-[0-9a-f]{8,17}\b")


def ids_in(node: object) -> set[str]:
    """Every image's and snapshot's id in a value, however deep."""
    if isinstance(node, str):
        return set(_ID.findall(node))
    if isinstance(node, Mapping):
        node = list(node.values())
    if isinstance(node, list | tuple):
        return set[str]().union(*(ids_in(one) for one in node))
    return set()
