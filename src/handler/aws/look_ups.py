"""Look-ups of one run: each within the run's time, and a failed one told, with its code.

Tries are botocore's (`standard` retries): a look-up changes nothing, so it may be made again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from handler.aws.errors import AwsError
from handler.aws.retry import OUT_OF_TIME
from handler.deadline import Deadline, LateError, in_time

T = TypeVar("T")


@dataclass(slots=True)
class LookUps:
    """Ask AWS, and know what could not be known.

    Args:
        deadline: nothing is asked, and nothing waited for, when its time to act is over.
        failed: told of each look-up that AWS refused or did not answer: what, and the error.
    """

    deadline: Deadline
    failed: Callable[[str, AwsError], None]
    failures: int = field(default=0, init=False)

    def __call__(
        self,
        what: str,
        ask: Callable[[], T | AwsError],
        left: Callable[[], float] | None = None,
    ) -> T | AwsError:
        """Ask once, within the seconds `left`, or the run's time to act.

        The run's own lack of time is no failure of AWS's, and is not told.
        """
        left = left or self.deadline.to_act
        if left() <= 0:
            return OUT_OF_TIME
        from handler.aws.lists import sound  # idle runs load no AWS SDK

        try:
            answer = in_time(lambda: sound(ask), left)
        except LateError:
            return OUT_OF_TIME
        if isinstance(answer, AwsError):
            self.tell(what, answer)
        return answer

    def tell(self, what: str, error: AwsError) -> None:
        """A failure that came with a partial answer."""
        self.failures += 1
        self.failed(what, error)
