"""The run's own retry of what destroys: as long as the run has time, and never behind its back.

botocore makes such a call once. Before it is made again, whoever asked looks again at what it would
be done to: a decision that has waited is made again (`before_again`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from typing import TypeVar

from handler.aws.errors import AwsError, ErrorKind
from handler.deadline import Deadline, LateError, in_time, only_while

T = TypeVar("T")

FRESH_FOR = timedelta(seconds=5)
"""How long a decision may wait before it is carried out; an older one is made again first."""
TRIES = 20
"""How often one call is made at most; with the pauses between them, longer than a run."""
TRIES_WITHOUT_ANSWER = 3
"""How often a call that AWS did not answer, or answered with a fault of its own, is made."""
LONGEST_PAUSE = 5.0
"""Seconds; EC2's bucket of instances to terminate refills by 100 in this time (EC2 API throttling)."""

OUT_OF_TIME = AwsError("OutOfTime", "the run's time was up", ErrorKind.THROTTLED)
LATE = AwsError(
    "OutOfTime", "the run's time was up before there was an answer", ErrorKind.THROTTLED
)
"""Unlike OUT_OF_TIME: the call was under way, and may still be carried out."""
OUT_OF_CALLS = AwsError("OutOfCalls", "the run's calls were used up", ErrorKind.THROTTLED)


@dataclass(slots=True)
class Retry:
    """One run's way to make calls that destroy; several threads may use it.

    Args:
        deadline: no call is started, sent or waited for when its time to act is over.
        sleep: waits for so many seconds.
        most_calls: how many calls may be made in all, or None.
    """

    deadline: Deadline
    sleep: Callable[[float], None]
    most_calls: int | None = None
    calls: int = field(default=0, init=False)
    """Calls made so far."""
    _lock: Lock = field(default_factory=Lock, init=False)

    def __call__(
        self,
        call: Callable[[], T | AwsError],
        before_again: Callable[[], T | AwsError | None] = lambda: None,
    ) -> T | AwsError:
        """Make the call until there is an answer to it, within bounds of tries and time.

        `before_again` looks at the truth before each further try, and may give the answer itself.
        """
        unanswered = 0
        answer = OUT_OF_TIME
        for tries in range(TRIES):
            if tries:
                pause = min(LONGEST_PAUSE, 0.25 * 2 ** (tries - 1)) * random.uniform(0.5, 1)  # noqa: S311 - jitter
                self.sleep(min(pause, max(self.deadline.to_act(), 0.0)))
                if self.deadline.to_act() <= 0:
                    return OUT_OF_TIME if answer.kind is ErrorKind.THROTTLED else answer
                if (known := before_again()) is not None:
                    return known
            made = self._once(call)
            if not isinstance(made, AwsError) or made in {OUT_OF_TIME, LATE, OUT_OF_CALLS}:
                return made
            answer = made
            if answer.kind in {ErrorKind.NO_ANSWER, ErrorKind.FAULTY}:
                unanswered += 1
                if unanswered == TRIES_WITHOUT_ANSWER:
                    return answer
            elif answer.kind is not ErrorKind.THROTTLED:
                return answer
        return answer

    def _once(self, call: Callable[[], T | AwsError]) -> T | AwsError:
        def timely() -> T | AwsError:
            with only_while(self.deadline.to_act):
                return call()

        if self.deadline.to_act() <= 0:
            return OUT_OF_TIME
        if not self._take_call():
            return OUT_OF_CALLS
        try:
            return in_time(timely, self.deadline.to_act)
        except LateError:
            return LATE

    def _take_call(self) -> bool:
        with self._lock:
            if self.most_calls is not None and self.calls >= self.most_calls:
                return False
            self.calls += 1
            return True
