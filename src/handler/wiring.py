"""The only place that builds sessions and clients: once per execution environment, when needed.

A run with nothing to do asks for the backend only, so it loads no AWS client at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from handler.adapters.backend_api import BackendApi, open_session
from handler.adapters.token import ClientToken
from handler.telemetry import CloudWatchJournal, logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.parameters import SSMProvider
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from handler.adapters.ec2_instances import Ec2Machines
    from handler.adapters.history import CloudTrailHistory
    from handler.adapters.ledger import AgentLedger, IdempotencyTable
    from handler.domain.deadline import Deadline
    from handler.domain.ports import CancelledRequest
    from handler.settings import Settings


class Environment:
    """What outlives a run: connections, clients, the token, the ledger's memory."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.cancelled: dict[str, CancelledRequest] = {}

    @cached_property
    def session(self) -> Any:  # noqa: ANN401 - requests.Session, typed where it is used
        """The HTTP session to the backend."""
        return open_session(self.settings.backend_concurrency)

    @cached_property
    def aws(self) -> Any:  # noqa: ANN401 - boto3 is loaded only when AWS is needed
        """The boto3 session."""
        import boto3

        return boto3.session.Session(region_name=self.settings.region)

    def client(self, service: str, *, read_timeout: float, pool: int = 10) -> Any:  # noqa: ANN401 - boto3 makes the class at run time
        """A client with time limits and botocore's `standard` retries.

        `standard`, not `adaptive`: adaptive slows every call of the client down after one
        throttle, for as long as it likes. Two tries here; past them the run itself waits, which
        knows how much time is left.
        """
        from botocore.config import Config

        return self.aws.client(
            service,
            config=Config(
                connect_timeout=3,
                read_timeout=read_timeout,
                max_pool_connections=pool,
                retries={"mode": "standard", "total_max_attempts": 2},
            ),
        )

    @cached_property
    def token_provider(self) -> SSMProvider:
        """Powertools' provider of SSM parameters, which keeps what it has fetched."""
        from aws_lambda_powertools.utilities.parameters import SSMProvider

        return SSMProvider(boto3_client=self.client("ssm", read_timeout=5))

    @cached_property
    def machines(self) -> Ec2Machines:
        """EC2, and Auto Scaling should it be needed."""
        from handler.adapters.ec2_instances import Ec2Machines

        return Ec2Machines(
            self.client("ec2", read_timeout=10),
            lambda: self.client("autoscaling", read_timeout=10),
        )

    @cached_property
    def idempotency(self) -> IdempotencyTable:
        """The idempotency table."""
        from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer

        from handler.adapters.ledger import IdempotencyTable

        store = DynamoDBPersistenceLayer(
            table_name=self.settings.idempotency_table,
            boto3_client=self.client(
                "dynamodb", read_timeout=3, pool=self.settings.backend_concurrency
            ),
        )
        return IdempotencyTable(store, self.settings.idempotency_window_seconds)


@dataclass
class RunOutside:
    """The port `Outside` for one run: what the environment holds, bound to agent and deadline."""

    environment: Environment
    deadline: Deadline
    context: LambdaContext

    @cached_property
    def backend(self) -> BackendApi:
        """The backend, as the agent of this run."""
        settings = self.environment.settings
        token = ClientToken(
            settings.client_token,
            settings.token_parameter,
            lambda: self.environment.token_provider,
        )
        return BackendApi(
            self.environment.session, settings.server_url, settings.agent_id, token, self.deadline
        )

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
        from handler.adapters.history import CloudTrailHistory

        return CloudTrailHistory(
            lambda: self.environment.client("cloudtrail", read_timeout=5), self.ledger.remember
        )

    @property
    def cancelled(self) -> dict[str, CancelledRequest]:
        """Spot requests cancelled lately by this execution environment."""
        return self.environment.cancelled

    @cached_property
    def journal(self) -> CloudWatchJournal:
        """The log and the metrics."""
        settings = self.environment.settings
        return CloudWatchJournal(settings, settings.agent_id)


@lru_cache(maxsize=8)
def _environment(settings: Settings, _sdk: tuple[tuple[str, str], ...]) -> Environment:
    return Environment(settings)


def environment(settings: Settings, variables: Mapping[str, str]) -> Environment:
    """The execution environment's own; another one when the settings or the SDK's change."""
    sdk = tuple(sorted(item for item in variables.items() if item[0].startswith("AWS_")))
    return _environment(settings, sdk)
