"""A script of faults: which call meets which trouble, and whether the effect has happened by then."""

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tools.ec2_emulator.calls import Call
from tools.ec2_emulator.errors import AwsError

Kind = Literal["error", "dropped", "silent", "truncated", "cut", "raw", "meanwhile"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to a call. Made by the functions below."""

    kind: Kind
    after_effect: bool = False
    error: AwsError | None = None
    seconds: float = 0.0
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    action: Callable[[], None] | None = None


def error(
    code: str,
    message: str = "Injected.",
    *,
    status: int | None = None,
    after_effect: bool = False,
    extra: Mapping[str, Any] | None = None,
) -> Fault:
    """AWS answers with this error; with `after_effect` although the operation was carried out.

    `extra` are further members of a JSON service's error, such as `CancellationReasons`.
    """
    return Fault("error", after_effect, error=AwsError(code, message, status=status, extra=extra))


def throttled(code: str = "RequestLimitExceeded") -> Fault:
    return error(code, "Request limit exceeded.")


def server_error(status: int = 500, *, after_effect: bool = False) -> Fault:
    code = {500: "InternalError", 503: "Unavailable"}.get(status, "InternalFailure")
    return error(code, "An internal error has occurred", status=status, after_effect=after_effect)


def dropped(*, after_effect: bool) -> Fault:
    """The connection closes without an answer: before anything happened, or after all of it did."""
    return Fault("dropped", after_effect)


def silent(seconds: float = 30.0, *, after_effect: bool = False) -> Fault:
    """No answer for this long, then a closed connection: the client's read time-out decides."""
    return Fault("silent", after_effect, seconds=seconds)


def truncated() -> Fault:
    """A well-formed HTTP answer whose body is the first half of the right one."""
    return Fault("truncated", after_effect=True)


def cut() -> Fault:
    """The connection closes in the middle of the body."""
    return Fault("cut", after_effect=True)


def raw(status: int, body: str, headers: Mapping[str, str] | None = None) -> Fault:
    """An answer that is not AWS's, such as a proxy's page; with 200 it looks like a success.

    `headers` may hold any oddity: another Content-Type, a Retry-After that is no number.
    """
    return Fault("raw", status=status, body=body.encode(), headers=headers or {})


def meanwhile(action: Callable[[], None]) -> Fault:
    """Something happens to the fleet just before the call, which then goes on as ever."""
    return Fault("meanwhile", action=action)


def later_page(call: Call) -> bool:
    """A condition: the call asks for the second page or a further one."""
    return "NextToken" in call.parameters


@dataclass(slots=True)
class Rule:
    """One line of the script."""

    operation: str
    fault: Fault
    skip: int
    times: int | None
    when: Callable[[Call], bool]
    probability: float
    random: random.Random
    fired: int = field(default=0, init=False)

    def fires(self, call: Call) -> bool:
        if self.operation not in {"*", f"{call.service}:*", call.operation}:
            return False
        if (self.times is not None and self.fired >= self.times) or not self.when(call):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.probability < 1 and self.random.random() >= self.probability:
            return False
        self.fired += 1
        return True


class Faults:
    """The script. The first rule that applies to a call decides; each HTTP attempt is a call."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def add(
        self,
        operation: str,
        fault: Fault,
        *,
        times: int | None = 1,
        nth: int = 1,
        when: Callable[[Call], bool] = lambda _: True,
        probability: float = 1.0,
        seed: int = 0,
    ) -> Rule:
        """Script a fault; the rule that is returned counts how often it `fired`.

        Args:
            operation: `TerminateInstances`, `ec2:*` or `*`.
            fault: what happens.
            times: to how many calls; None means all of them.
            nth: the first matching call that it may happen to.
            when: a condition on the call, beyond its operation.
            probability: of happening to a call that matches.
            seed: of that probability, so that a run can be repeated.
        """
        rule = Rule(operation, fault, nth - 1, times, when, probability, random.Random(seed))
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def take(self, call: Call) -> Fault | None:
        with self._lock:
            return next((rule.fault for rule in self._rules if rule.fires(call)), None)
