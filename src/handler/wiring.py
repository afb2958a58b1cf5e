"""The only place that builds sessions and clients: once per execution environment, when needed.

A run with nothing to do asks for the backend only, so it loads no AWS client at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, cast

from handler.backend.api import BackendApi, open_session
from handler.backend.token import ClientToken
from handler.telemetry import CloudWatchJournal, logger

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from aws_lambda_powertools.utilities.parameters import SSMProvider
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_dynamodb import DynamoDBClient

    from handler.aws.retry import Patience
    from handler.deadline import Deadline
    from handler.images.ec2 import Ec2Estate
    from handler.images.image_uses import AccountUsers
    from handler.images.journal import HousekeepingCloudWatchJournal
    from handler.images.outbox_table import BacklogTable
    from handler.images.recycle_bin import RecycleBinRules
    from handler.instances.ec2 import Ec2Machines
    from handler.instances.history import CloudTrailHistory, Unknown
    from handler.instances.idempotency import AgentLedger, IdempotencyTable
    from handler.instances.ports import CancelledRequest
    from handler.settings import Settings


class Environment:
    """What outlives a run: connections, clients, the token, the ledger's memory."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.cancelled: dict[str, CancelledRequest] = {}
        self.listed: dict[str, datetime] = {}
        self._patient: dict[str, Any] = {}

    @cached_property
    def session(self) -> Any:  # noqa: ANN401 - requests.Session, typed where it is used
        """The HTTP session to the backend."""
        return open_session(self.settings.server_url, self.settings.backend_concurrency)

    @cached_property
    def aws(self) -> Any:  # noqa: ANN401 - boto3 is loaded only when AWS is needed
        """The boto3 session."""
        import boto3

        return boto3.session.Session(region_name=self.settings.region)

    def client(
        self,
        service: str,
        *,
        read_timeout: float,
        pool: int = 10,
        tries: int = 2,
        checked: bool = True,
    ) -> Any:  # noqa: ANN401 - boto3 makes the class at run time
        """A client with time limits and botocore's `standard` retries.

        `standard`, not `adaptive`: adaptive slows every call of the client down after one
        throttle, for as long as it likes. What destroys is tried once: a call that the run no
        longer waits for must not be made again behind its back. Tries beyond these are the run's
        own, which knows how much time is left (`Patience`).
        """
        from botocore.config import Config

        return self.aws.client(
            service,
            config=Config(
                connect_timeout=3,
                read_timeout=read_timeout,
                max_pool_connections=pool,
                retries={"mode": "standard", "total_max_attempts": tries},
                parameter_validation=checked,
            ),
        )

    def patient_client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes the class at run time
        """A client that makes each call once: housekeeping's own patience makes it again."""
        from handler.aws.lists import tell_unknown_calls

        if service not in self._patient:
            self._patient[service] = self.client(service, read_timeout=30, tries=1)
            tell_unknown_calls(self._patient[service])
        return self._patient[service]

    @cached_property
    def token_provider(self) -> SSMProvider:
        """Powertools' provider of SSM parameters, which keeps what it has fetched."""
        from aws_lambda_powertools.utilities.parameters import SSMProvider

        return SSMProvider(boto3_client=self.client("ssm", read_timeout=5))

    @cached_property
    def machines(self) -> Ec2Machines:
        """EC2, and Auto Scaling should it be needed."""
        from handler.instances.ec2 import Ec2Machines

        return Ec2Machines(
            self.client("ec2", read_timeout=10, tries=1),
            lambda: self.autoscaling,
        )

    @cached_property
    def dynamodb(self) -> Any:  # noqa: ANN401 - boto3 makes the class at run time
        """DynamoDB, for what Powertools' idempotency does not keep."""
        return self.client("dynamodb", read_timeout=3)

    @cached_property
    def autoscaling(self) -> Any:  # noqa: ANN401 - boto3 makes the class at run time
        """Auto Scaling, for members of groups."""
        return self.client("autoscaling", read_timeout=10, tries=1)

    @cached_property
    def cloudtrail(self) -> Any:  # noqa: ANN401 - boto3 makes the class at run time
        """CloudTrail's event history."""
        return self.client("cloudtrail", read_timeout=5)

    @cached_property
    def unknown(self) -> Unknown:
        """What CloudTrail did not know lately."""
        from handler.instances.history import Unknown

        return Unknown()

    @cached_property
    def idempotency(self) -> IdempotencyTable:
        """The idempotency table."""
        from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer

        from handler.instances.grouped_writes import GroupedWrites
        from handler.instances.idempotency import IdempotencyTable

        # Powertools builds the requests: to check each of a hundred writes again costs more than to sign them.
        client = self.client(
            "dynamodb", read_timeout=3, pool=self.settings.backend_concurrency, checked=False
        )
        store = DynamoDBPersistenceLayer(
            table_name=self.settings.idempotency_table,
            boto3_client=cast("DynamoDBClient", GroupedWrites(client)),
        )
        return IdempotencyTable(store, self.settings.idempotency_window_seconds)


def _backend(environment: Environment, deadline: Deadline) -> BackendApi:
    settings = environment.settings
    token = ClientToken(
        settings.client_token,
        settings.token_parameter(settings.agent_id),
        lambda: environment.token_provider,
    )
    return BackendApi(environment.session, settings.server_url, settings.agent_id, token, deadline)


@dataclass
class RunOutside:
    """The port `Outside` for one run: what the environment holds, bound to agent and deadline."""

    environment: Environment
    deadline: Deadline
    context: LambdaContext

    @cached_property
    def backend(self) -> BackendApi:
        """The backend, as the agent of this run."""
        return _backend(self.environment, self.deadline)

    @property
    def machines(self) -> Ec2Machines:
        """EC2."""
        return self.environment.machines

    @cached_property
    def ledger(self) -> AgentLedger:
        """The idempotency table, for this run's agent."""
        agent_id = self.environment.settings.agent_id
        return self.environment.idempotency.ledger(agent_id, self.context, logger)

    @cached_property
    def history(self) -> CloudTrailHistory:
        """CloudTrail."""
        from handler.instances.history import CloudTrailHistory

        return CloudTrailHistory(
            lambda: self.environment.cloudtrail,
            self.ledger.remember,
            unknown=self.environment.unknown,
        )

    @property
    def cancelled(self) -> dict[str, CancelledRequest]:
        """Spot requests cancelled lately by this execution environment."""
        return self.environment.cancelled

    @property
    def listed(self) -> dict[str, datetime]:
        """Instances listed lately to this execution environment."""
        return self.environment.listed

    @cached_property
    def journal(self) -> CloudWatchJournal:
        """The log and the metrics."""
        settings = self.environment.settings
        return CloudWatchJournal(settings, settings.agent_id)


@dataclass
class HousekeepingRunOutside:
    """The port `HousekeepingOutside` for one run."""

    environment: Environment
    deadline: Deadline
    patience: Patience

    @cached_property
    def backend(self) -> BackendApi:
        """The backend, as the agent of this run."""
        return _backend(self.environment, self.deadline)

    @cached_property
    def backlogs(self) -> BacklogTable:
        """The idempotency table, for what waits to be reported."""
        from handler.images.outbox_table import BacklogTable

        settings = self.environment.settings
        return BacklogTable(
            lambda: self.environment.dynamodb,
            settings.idempotency_table,
            settings.agent_id,
        )

    @cached_property
    def estate(self) -> Ec2Estate:
        """EC2's images and snapshots."""
        from handler.images.ec2 import Ec2Estate

        return Ec2Estate(self.environment.patient_client("ec2"), self.patience)

    @cached_property
    def users(self) -> AccountUsers:
        """What refers to them."""
        from handler.images.image_uses import AccountUsers

        client = self.environment.patient_client
        return AccountUsers(client("ec2"), client("autoscaling"), client("ssm"), self.patience)

    @cached_property
    def recycle_bin(self) -> RecycleBinRules:
        """The Recycle Bin's rules."""
        from handler.images.recycle_bin import RecycleBinRules

        return RecycleBinRules(self.environment.patient_client("rbin"), self.patience)

    @cached_property
    def journal(self) -> HousekeepingCloudWatchJournal:
        """The log and the metrics."""
        from handler.images.journal import HousekeepingCloudWatchJournal

        settings = self.environment.settings
        return HousekeepingCloudWatchJournal(settings, settings.agent_id)


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
            *("_STS", "_SCHEDULER", "_CLOUDWATCH"),
        )
    ),
    "REQUESTS_CA_BUNDLE",
    "HTTPS_PROXY",
    "NO_PROXY",
)
"""What connections are built from, besides the settings. In Lambda these never change."""


def environment(settings: Settings, variables: Mapping[str, str]) -> Environment:
    """The execution environment's own; another one when what it was built from has changed."""
    return _environment(settings, tuple(variables.get(name) for name in CONNECTION_VARIABLES))
