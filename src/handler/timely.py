"""Calls side by side, and none waited for longer than there is time.

An HTTP client's own time limits are per try and per read; a server that drips, or a client that
tries again, outlasts them. What is late here goes on in its thread and is not listened to any
more. Nothing depends on its not happening: the next run looks at what is true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TypeVar, cast

A = TypeVar("A")
B = TypeVar("B")


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
