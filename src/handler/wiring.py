"""The only place that builds sessions and clients: once per execution environment, when needed.

A run with nothing to do asks for the backend only, so it loads no AWS client at all.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, cached_property, lru_cache, partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from handler import VERSION
from handler.backend.api import BackendApi
from handler.backend.session import open_session
from handler.backend.token import ClientToken, private_ca
from handler.instances.journal import Journal
from handler.instances.listing import read_list
from handler.instances.termination_report import TerminationReports
from handler.telemetry import logger, metrics_to

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import requests
    from aws_lambda_powertools.utilities.parameters import SSMProvider
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from handler.aws.lists import CallCount
    from handler.deadline import Deadline
    from handler.images.run import Dependencies
    from handler.instances.ec2 import Ec2Machines
    from handler.instances.first_seen import FirstSeen
    from handler.instances.idempotency import Acknowledged, IdempotencyTable
    from handler.instances.model import Agent, AgentList
    from handler.instances.outcome import Settled
    from handler.instances.ports import CancelledRequest
    from handler.instances.provenance import CloudTrailHistory, Unknown
    from handler.settings import Settings
    from handler.telemetry import Metric


class Environment:
    """What outlives a run: connections, clients, the token, what was acknowledged and seen."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings  # the variables'; what the event adds is a run's own
        self.cancelled: dict[str, CancelledRequest] = {}
        self._clients: dict[tuple[object, ...], Any] = {}
        self._making = Lock()
        self._counted: set[int] = set()

    @cached_property
    def send_metrics(self) -> Callable[[Sequence[Metric]], None]:
        """Powertools' metrics."""
        return metrics_to(self.settings.metrics_namespace, self.settings.service_name)

    @cached_property
    def session(self) -> requests.Session:
        """The HTTP session to the backend."""
        settings = self.settings
        return open_session(
            settings.server_url, settings.backend_concurrency, os.environ, self.private_ca
        )

    @property
    def private_ca(self) -> str | None:
        """The certificates of the operator's own CA (`BACKEND_CA_PARAMETER`), beside the public ones."""
        parameter = self.settings.backend_ca_parameter
        return private_ca(self.parameters, parameter) if parameter else None

    @cached_property
    def aws(self) -> Any:  # noqa: ANN401 - boto3 is loaded only when AWS is needed
        """The boto3 session."""
        from handler.aws.clients import aws_session

        return aws_session(self.settings.region)

    def client(self, service: str, **limits: Any) -> Any:  # noqa: ANN401 - boto3 makes the class at run time
        """A client within these limits (`aws.clients.Limits`), made once."""
        from handler.aws.clients import Limits, aws_client

        with self._making:  # boto3's sessions are not for several threads
            key = (service, Limits(**limits))
            if key not in self._clients:
                self._clients[key] = aws_client(self.aws, *key)
            return self._clients[key]

    @cached_property
    def parameters(self) -> SSMProvider:
        """Powertools' provider of SSM parameters, which keeps what it has fetched."""
        from aws_lambda_powertools.utilities.parameters import SSMProvider

        return SSMProvider(boto3_client=self.client("ssm", read_timeout=5, tries=2))

    @cached_property
    def machines(self) -> Ec2Machines:
        """EC2, and Auto Scaling should it be needed."""
        return self.machines_within()

    def machines_within(self, **limits: Any) -> Ec2Machines:  # noqa: ANN401 - as above
        """The same, with look-ups within these limits (`aws.clients.Limits`)."""
        from handler.instances.ec2 import Ec2Machines

        return Ec2Machines(
            self.client("ec2", **limits),
            self.client("ec2", **{**limits, "tries": 1}),
            lambda: self.client("autoscaling", tries=1),
        )

    @cached_property
    def unknown(self) -> Unknown:
        """What CloudTrail did not know lately."""
        from handler.instances.provenance import Unknown

        return Unknown()

    def counted(self, service: str, **limits: Any) -> Any:  # noqa: ANN401 - as above
        """Housekeeping's clients: its calls are counted, and many may be under way."""
        client = self.client(service, read_timeout=30, pool=24, **limits)
        if id(client) not in self._counted:
            self._counted.add(id(client))
            self.calls.watch(client)
        return client

    @cached_property
    def calls(self) -> CallCount:
        """What housekeeping sends to AWS."""
        from handler.aws.lists import CallCount

        return CallCount()

    @cached_property
    def dynamodb(self) -> Any:  # noqa: ANN401 - boto3 makes the class at run time
        """DynamoDB. Its requests are not checked: code builds them from ids alone, up to 2,000 in a burst."""
        return self.client("dynamodb", read_timeout=3, tries=2, checked=False)

    @cached_property
    def acknowledged(self) -> Acknowledged:
        """Reports and proofs that are known to be in the table."""
        from handler.instances.idempotency import Acknowledged

        return Acknowledged()

    @cached_property
    def first_seen(self) -> FirstSeen:
        """When each machine was first seen."""
        from handler.instances.first_seen import FirstSeen

        return FirstSeen(lambda: self.dynamodb, self.settings.idempotency_table)


@dataclass
class TerminationDependencies:
    """What one termination run talks to: what the environment holds, bound to the run's time."""

    environment: Environment
    deadline: Deadline
    context: LambdaContext
    _tokens: dict[str, ClientToken] = field(default_factory=dict, init=False)

    def backend_of(self, agent: Agent) -> BackendApi:
        """The backend, as this agent."""
        settings = self.environment.settings
        parameter = settings.token_parameter(agent.agent_id)
        token = self._tokens.setdefault(
            parameter,
            ClientToken(settings.client_token, parameter, lambda: self.environment.parameters),
        )
        return BackendApi(self.environment.session, settings.server_url, agent.agent_id, token)

    def list_of(self, agent: Agent, left: Callable[[], float]) -> AgentList:
        """This agent's list, within so many seconds. Raises BackendError."""
        envelope = self.backend_of(agent).list(left)
        return read_list(agent, envelope, datetime.now(UTC))

    def report_as(self, agent: Agent) -> TerminationReports:
        """The backend, as this agent reports to it."""
        return TerminationReports(self.backend_of(agent), self.deadline)

    @cached_property
    def table(self) -> IdempotencyTable:
        """The idempotency table."""
        from handler.instances.idempotency import IdempotencyTable

        settings = self.environment.settings
        return IdempotencyTable(
            self.environment.dynamodb,
            table=settings.idempotency_table,
            window_seconds=settings.idempotency_window_seconds,
            known=self.environment.acknowledged,
            deadline=self.deadline,
            warn=self.journal.table_not_usable,
        )

    @property
    def first_seen(self) -> FirstSeen:
        """When each machine was first seen; the memory outlives the run, who is told of its trouble does not."""
        memory = self.environment.first_seen
        memory.warn = partial(self.journal.look_up_failed, "when first seen")
        return memory

    def tell(self, settled: Sequence[Settled]) -> None:
        """Send the run's events, where the operator wants any."""
        bus = self.environment.settings.event_bus_name
        if bus:
            from handler.instances.events import RunEvents

            client = self.environment.client
            RunEvents(
                lambda: client("events", read_timeout=3, tries=2),
                bus,
                self.deadline,
                _without_events,
            ).tell(settled)

    @property
    def machines(self) -> Ec2Machines:
        """EC2."""
        return self.environment.machines

    @cached_property
    def history(self) -> CloudTrailHistory:
        """CloudTrail."""
        from handler.instances.provenance import CloudTrailHistory

        return CloudTrailHistory(
            lambda: self.environment.client("cloudtrail", read_timeout=5, tries=2),
            self.table.remember,
            unknown=self.environment.unknown,
        )

    @property
    def cancelled(self) -> dict[str, CancelledRequest]:
        """Spot requests cancelled lately by this execution environment."""
        return self.environment.cancelled

    @cached_property
    def journal(self) -> Journal:
        """The log and the metrics."""
        return Journal(self.environment.send_metrics, VERSION)


def housekeeping_dependencies(
    environment: Environment, settings: Settings, deadline: Deadline
) -> Dependencies:
    """What one housekeeping run talks to; it reports as the first agent that it acts for."""
    from handler.images.journal import Journal as HousekeepingJournal
    from handler.images.outbox_table import OutboxTable
    from handler.images.run import Dependencies

    @cache
    def backend(agent_id: str) -> BackendApi:
        parameter = settings.token_parameter(agent_id)
        token = ClientToken(settings.client_token, parameter, lambda: environment.parameters)
        return BackendApi(environment.session, settings.server_url, agent_id, token)

    def send(agent_id: str, body: dict[str, Any]) -> None:
        backend(agent_id).post("cleanup-report", body, deadline.to_report)

    own = settings.acting[0].agent_id
    others = [one.agent_id for one in settings.agents if one.agent_id != own]
    return Dependencies(
        accepted=lambda: backend(own).list(deadline.to_act),
        send=send,
        client=environment.counted,
        destroying=lambda: environment.counted("ec2", tries=1),
        calls=environment.calls,
        tables=[
            OutboxTable(lambda: environment.dynamodb, settings.idempotency_table, agent_id)
            for agent_id in (own, *others)
        ],
        journal=HousekeepingJournal(environment.send_metrics, VERSION),
    )


def _without_events(cause: str) -> None:
    logger.warning("events not delivered", extra={"cause": cause})


@lru_cache(maxsize=8)
def _environment(settings: Settings, _built_from: tuple[str | None, ...]) -> Environment:
    return Environment(settings)


CONNECTION_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SESSION_TOKEN",
    *(
        f"AWS_ENDPOINT_URL{service}"
        for service in (
            *("", "_EC2", "_SSM", "_DYNAMODB", "_AUTO_SCALING", "_CLOUDTRAIL", "_RBIN"),
            *("_STS", "_SCHEDULER", "_CLOUDWATCH", "_EVENTBRIDGE"),
        )
    ),
    "REQUESTS_CA_BUNDLE",
    "HTTPS_PROXY",
    "NO_PROXY",
)
"""What connections are built from, besides the settings. In Lambda these never change."""


def environment(settings: Settings, variables: Mapping[str, str]) -> Environment:
    """The execution environment's own; another one when what it was built from has changed.

    What the event asks for changes nothing of that: a dry run, or one for a single agent, has the same clients.
    """
    lasting = settings._replace(acting=(), dry_run=False, doctor=False)
    return _environment(lasting, tuple(variables.get(name) for name in CONNECTION_VARIABLES))
