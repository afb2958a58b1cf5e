"""What an examination works with: the function's dependencies, its own time, and its notes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from handler.aws.errors import AwsError, ErrorKind
from handler.backend.token import ClientToken
from handler.deadline import Deadline, LateError, in_time, side_by_side
from handler.doctor.findings import Check, Finding, grouped, skipped

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.parameters import SSMProvider

    from handler.doctor.barriers import Barrier
    from handler.instances.ec2 import Ec2Machines
    from handler.instances.model import AgentList, Instance
    from handler.instances.rules import Policy
    from handler.instances.run import Limits
    from handler.settings import Settings
    from handler.wiring import Environment

T = TypeVar("T")

READ_TIMEOUT = 4.0
"""Seconds; as the three in which a client connects, less than a look: so the SDK itself says what did
not come, the connection or the answer. For the same reason a call is made once."""
LONGEST_LOOK = 5.0
"""Seconds for one look at AWS: where nothing answers, all of them together fit into an invocation."""
LATE = AwsError("NoAnswer", f"no answer within {LONGEST_LOOK:.0f} s", ErrorKind.NO_ANSWER)


@dataclass(frozen=True, slots=True)
class Unreached:
    """There was no HTTP answer; `said` is the innermost error's text."""

    barrier: Barrier
    said: str


@dataclass(frozen=True, slots=True)
class Answered:
    """There was one.

    Attributes:
        status: of HTTP.
        own: whether it is the backend's own: its list, or `{"error": ...}`.
        said: the backend's error, or what is wrong with the list.
        listing: the list, where it is one.
        stated: the answer's date.
        sent: when the request was sent, at the earliest.
        received: when the answer came.
    """

    status: int
    own: bool
    said: str
    listing: AgentList | None
    stated: datetime | None
    sent: datetime
    received: datetime


@dataclass(frozen=True, slots=True)
class Schedule:
    """What starts the runs."""

    enabled: bool
    expression: str


@dataclass
class Dependencies:
    """All that a run depends on. Nothing is kept from one examination to the next.

    Args:
        environment: makes the clients.
        settings: the function's; where they are bad, the region alone.
        function_name: Lambda's own.
        schedule_name: `group/name` of what starts the runs, where it is known.
        deadline: the examination's time.
        clock: the time now (UTC).
        sleep: waits for so many seconds.
        policy: how a run reads its policy from the settings.
        limits: how a run reads its limits.
        local: whether this is SAM's local Lambda, without a schedule and without metrics.
    """

    environment: Environment
    settings: Settings
    function_name: str
    schedule_name: str | None
    deadline: Deadline
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    policy: Callable[[Settings], Policy]
    limits: Callable[[Settings], Limits]
    local: bool = False

    # Notes: what a check leaves for those after it.
    tokenless: set[str] = field(default_factory=set)
    """Agents whose token cannot be read."""
    answers: dict[str, Answered | Unreached] = field(default_factory=dict)
    """The backend's answer to each agent."""
    listings: dict[str, AgentList] = field(default_factory=dict)
    """The lists that a run would work with, by agent."""
    running: tuple[Instance, ...] = ()
    """Running instances that bear the required tags."""
    schedule: Schedule | None = None
    """None where it is not known; one that does not exist is not enabled either."""

    @property
    def agents(self) -> Sequence[str]:
        """The ids of the agents that the function acts for."""
        return [one.agent_id for one in self.settings.acting]

    def per_agent(
        self, checks: Sequence[Check], examine: Callable[[str], list[Finding]], most: float
    ) -> list[Finding]:
        """Examine every agent, side by side; what is alike is told once.

        Args:
            checks: what `examine` finds something on, in this order.
            examine: examines the agent of this id.
            most: seconds for all of them; an agent that is not done by then is skipped.
        """
        agents, ends_at = self.agents, time.monotonic() + most
        at_once = self.settings.backend_concurrency
        found = dict(
            side_by_side(
                examine,
                agents,
                at_once=at_once,
                left=lambda: min(self.deadline.to_report(), ends_at - time.monotonic()),
            )
        )
        late = [skipped(check, "there was no time left for it") for check in checks]
        return grouped({agent_id: found.get(agent_id, late) for agent_id in agents})

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes the class at run time
        """A client of an AWS service."""
        return self.environment.client(service, read_timeout=READ_TIMEOUT, tries=1)

    @cached_property
    def machines(self) -> Ec2Machines:
        """EC2, within the same limits: a run's own would still be trying when the look is over."""
        return self.environment.machines_within(read_timeout=READ_TIMEOUT, tries=1)

    def token(self, agent_id: str) -> ClientToken:
        """What the environment has kept is passed over: SSM may have another by now, or none."""
        parameter = self.settings.token_parameter(agent_id)
        return ClientToken(self.settings.client_token, parameter, lambda: self._token_provider)

    def look(self, call: Callable[[], T | AwsError]) -> T | AwsError:
        """Look at AWS, and do not wait for long; one check's trouble must not hide the others."""
        try:
            return in_time(call, lambda: min(LONGEST_LOOK, self.deadline.to_report()))
        except LateError:
            return LATE
        except Exception as error:  # noqa: BLE001 - such as the SDK's ValueError of a bad endpoint
            return AwsError(type(error).__name__, str(error), ErrorKind.REFUSED)

    @cached_property
    def _token_provider(self) -> SSMProvider:
        """Keeps each parameter for as long as the examination takes."""
        from aws_lambda_powertools.utilities.parameters import SSMProvider

        return SSMProvider(boto3_client=self.client("ssm"))


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the examination: asks, judges, and finds something on each of its checks.

    Args:
        examine: changes nothing.
        checks: what it finds something on, in this order.
        needs: checks before it; where one failed, these are skipped.
        needs_settings: whether it works with more than the region.
        not_local: why it is skipped under `sam local`; None where it is not.
    """

    examine: Callable[[Dependencies], Iterable[Finding]]
    checks: tuple[Check, ...]
    needs: tuple[Check, ...]
    needs_settings: bool
    not_local: str | None


def examines(
    *checks: Check,
    needs: tuple[Check, ...] = (),
    needs_settings: bool = True,
    not_local: str | None = None,
) -> Callable[[Callable[[Dependencies], Iterable[Finding]]], Part]:
    """Say what a function examines: arguments as of `Part`."""
    return lambda examine: Part(examine, checks, needs, needs_settings, not_local)
