"""Asks AWS again when it was too busy or did not answer, as long as the run has time for it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeVar

from handler.aws.errors import AwsError, ErrorKind
from handler.deadline import Deadline
from handler.timely import LateError, in_time

T = TypeVar("T")

TRIES = 20
"""How often one call is made at most; with the pauses between them, longer than a run."""
TRIES_WITHOUT_ANSWER = 3
"""How often a call that AWS did not answer, or answered with a fault of its own, is made."""
LONGEST_PAUSE = 5.0
"""Seconds; EC2's bucket of describe calls refills by 100 in this time, that of instances to
terminate by 100 (EC2 API throttling)."""

OUT_OF_TIME = AwsError("OutOfTime", "the run's time was up", ErrorKind.THROTTLED)
OUT_OF_CALLS = AwsError("OutOfCalls", "the run's calls were used up", ErrorKind.THROTTLED)


@dataclass(slots=True)
class Patience:
    """One run's way to make a call; several threads may use it.

    Args:
        deadline: no call is started, and none is waited for, when its time to act is over.
        sleep: waits for so many seconds.
        most_calls: how many calls may be made in all, or None.
        tries: how often one call is made at most. Few, where others wait for the answer.
    """

    deadline: Deadline
    sleep: Callable[[float], None]
    most_calls: int | None = None
    tries: int = TRIES
    calls: int = field(default=0, init=False)
    """Calls made so far."""
    _lock: Lock = field(default_factory=Lock, init=False)

    def __call__(self, call: Callable[[], T | AwsError]) -> T | AwsError:
        """Make the call until there is an answer to it, within bounds of tries and time."""
        unanswered = 0
        answer: T | AwsError = OUT_OF_TIME
        for tries in range(self.tries):
            answer = self._once(call)
            if not isinstance(answer, AwsError) or answer in {OUT_OF_TIME, OUT_OF_CALLS}:
                return answer
            if answer.kind in {ErrorKind.NO_ANSWER, ErrorKind.FAULTY}:
                unanswered += 1
                if unanswered == TRIES_WITHOUT_ANSWER:
                    return answer
            elif answer.kind is not ErrorKind.THROTTLED:
                return answer
            pause = min(LONGEST_PAUSE, 0.25 * 2**tries) * random.uniform(0.5, 1)  # noqa: S311 - jitter
            self.sleep(min(pause, max(self.deadline.to_act(), 0.0)))
        return answer

    def _once(self, call: Callable[[], T | AwsError]) -> T | AwsError:
        if self.deadline.to_act() <= 0:
            return OUT_OF_TIME
        if not self._take_call():
            return OUT_OF_CALLS
        try:
            return in_time(call, self.deadline.to_act)
        except LateError:
            return OUT_OF_TIME

    def _take_call(self) -> bool:
        with self._lock:
            if self.most_calls is not None and self.calls >= self.most_calls:
                return False
            self.calls += 1
            return True
