"""What cannot be drawn says where it stands and why."""

from __future__ import annotations


class CannotDrawError(Exception):
    """Something in a dashboard that this drawing does not know; nothing is left out in silence."""


class WidgetError(CannotDrawError):
    """The same, with the widget's title."""

    def __init__(self, title: str, why: str) -> None:
        super().__init__(f"widget {title!r}: {why}")
