"""A run's time: when to stop starting work, and calls that nobody waits for longer than there is time.

An HTTP client's own time limits are per try and per read; a server that drips, or a client that
tries again, outlasts them. What is late goes on in its thread and is not listened to any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

A = TypeVar("A")
B = TypeVar("B")

REPORTING_SHARE = 0.3
"""The share of a run that is kept for reports: at 8 side by side and 100 ms each, 15 s carry 1,200."""
REPORTING_AT_MOST = 15.0
"""Seconds."""
ACCOUNTING_SHARE = 0.05
"""The share that is kept for metrics, the summary and the way back to Lambda."""
ACCOUNTING_AT_MOST = 2.0
"""Seconds."""
LISTING_SHARE = 0.2
"""The share in which all lists are fetched (contract section 2, "One run, all agents")."""
LISTING_AT_MOST = 12.0
"""Seconds."""


class Deadline:
    """Seconds left for each part of a run, from Lambda's own remaining time.

    Args:
        left: seconds until Lambda ends the run.
    """

    def __init__(self, left: Callable[[], float]) -> None:
        self._left = left
        self._total = max(left(), 0.0)
        self._accounting = min(self._total * ACCOUNTING_SHARE, ACCOUNTING_AT_MOST)
        self._reporting = min(self._total * REPORTING_SHARE, REPORTING_AT_MOST)
        self._listing = min(self._total * LISTING_SHARE, LISTING_AT_MOST)

    @classmethod
    def of(cls, context: LambdaContext) -> Deadline:
        """That of an invocation."""
        return cls(lambda: context.get_remaining_time_in_millis() / 1000)

    def to_list(self) -> float:
        """Seconds in which lists may still be under way; negative when it is over."""
        return self._left() - self._total + self._listing

    def to_act(self) -> float:
        """Seconds in which AWS may still be asked for something; negative when it is over."""
        return self.to_report() - self._reporting

    def to_report(self) -> float:
        """Seconds in which reports may still be under way; negative when it is over."""
        return self._left() - self._accounting


class LateError(Exception):
    """The call was not over when the time was up."""


def side_by_side(
    call: Callable[[A], B], items: Sequence[A], *, at_once: int, left: Callable[[], float]
) -> Iterator[tuple[A, B]]:
    """Call for every item, `at_once` at a time; yield each with its answer as it comes.

    Ends when all are done or when `left` (seconds) is over: items that are not yielded were not
    done by then, and those that were not begun are never begun. What a call raises is raised.
    """
    waiting: SimpleQueue[A] = SimpleQueue()
    for item in items:
        waiting.put(item)
    done: SimpleQueue[tuple[A, B | None, BaseException | None]] = SimpleQueue()
    over = Event()

    def work() -> None:
        while not over.is_set():
            try:
                item = waiting.get_nowait()
            except Empty:
                return
            try:
                done.put((item, call(item), None))
            except BaseException as error:  # noqa: BLE001 - raised again where it is listened to
                done.put((item, None, error))

    for _ in range(min(at_once, len(items))):
        Thread(target=work, daemon=True).start()
    try:
        for _ in items:
            try:
                item, answer, error = done.get(timeout=max(left(), 0.001))
            except Empty:
                return
            if error is not None:
                raise error
            yield item, cast("B", answer)
    finally:
        over.set()


def in_time(call: Callable[[], B], left: Callable[[], float]) -> B:
    """Make one call. Raises LateError when it is not over in time, and what the call raises."""
    for _, answer in side_by_side(lambda _: call(), [None], at_once=1, left=left):
        return answer
    raise LateError


_acting: ContextVar[Callable[[], float] | None] = ContextVar("acting", default=None)


@contextmanager
def only_while(left: Callable[[], float]) -> Iterator[None]:
    """Within it, this thread may send AWS nothing once `left` (seconds) is over (`aws/sending.py`)."""
    token = _acting.set(left)
    try:
        yield
    finally:
        _acting.reset(token)


def may_still_act() -> bool:
    """Whether the run that this thread acts for is not over."""
    left = _acting.get()
    return left is None or left() > 0
