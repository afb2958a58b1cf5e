"""How long what a run says may get: a thousand items may each bear AWS's kilobytes of details."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

LONGEST_ERROR = 300
"""Bytes of an error that are told: EC2 adds kilobytes of encoded details to a denial."""
LONGEST_WHY = 1_000
"""Bytes of the reason of one item."""
LONGEST_LINE = 100_000
"""Bytes of what one line lists: one of CloudWatch Logs holds 256 KB."""
LONGEST_PLAN = 5_000_000
"""Bytes of the plan in the function's answer: Lambda takes answers of 6 MB."""


def cut(text: str, most: int) -> str:
    """As much of a text as goes into so many bytes."""
    return text.encode(errors="replace")[:most].decode(errors="ignore")


def pieces(text: str, most: int) -> Iterator[tuple[int, str]]:
    """All of a text in pieces of at most so many characters, each with where it begins."""
    for start in range(0, len(text), most):
        yield start, text[start : start + most]


def fitting(items: Iterable[T], most: int) -> Iterator[T]:
    """The first items, as many as go into so many bytes of JSON."""
    for item in items:
        most -= len(json.dumps(item)) + 2
        if most < 0:
            return
        yield item
