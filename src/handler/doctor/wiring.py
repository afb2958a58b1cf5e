"""What the doctor examines, built when it is asked for; the clients are made by `wiring`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from handler.backend.api import BackendApi, open_session
from handler.backend.token import ClientToken
from handler.deadline import Deadline
from handler.doctor.authorization import AuthorizationMessages
from handler.doctor.backend_probe import BackendProbe
from handler.doctor.run_metrics import LambdaRuns
from handler.doctor.schedule import SchedulerSchedules
from handler.doctor.table_probe import TableProbe
from handler.doctor.token_probe import TokenProbe
from handler.settings import Settings
from handler.wiring import Environment

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.parameters import SSMProvider

    from handler.instances.ec2 import Ec2Machines

READ_TIMEOUT = 5.0
"""Seconds; a call is made twice at most, and the job waits for six in all."""
FOR_THE_BACKEND = 30.0
"""Seconds of a run's time that the backend gets: two thirds of them to answer in."""


@dataclass
class DoctorSurroundings:
    """The port `Surroundings`.

    Args:
        environment: makes the clients.
        function_name: Lambda's own.
    """

    environment: Environment
    function_name: str

    @cached_property
    def schedules(self) -> SchedulerSchedules:
        """EventBridge Scheduler."""
        client = self.environment.client
        return SchedulerSchedules(lambda: client("scheduler", read_timeout=READ_TIMEOUT))

    @cached_property
    def runs(self) -> LambdaRuns:
        """CloudWatch's metrics."""
        client = self.environment.client
        return LambdaRuns(
            lambda: client("cloudwatch", read_timeout=READ_TIMEOUT), self.function_name
        )


@dataclass
class DoctorOutside(DoctorSurroundings):
    """The port `ToExamine`. Nothing is kept from one examination to the next.

    Args:
        clock: the time now (UTC).
        left: seconds until Lambda ends the invocation.
        monotonic: seconds, for measuring.
    """

    clock: Callable[[], datetime]
    left: Callable[[], float]
    monotonic: Callable[[], float]

    @cached_property
    def token(self) -> TokenProbe:
        """The token, as SSM has it now."""
        client = self.environment.client
        return TokenProbe(self._token, lambda: client("ssm", read_timeout=READ_TIMEOUT))

    @cached_property
    def backend(self) -> BackendProbe:
        """The backend, over a new connection."""
        settings, began = self.environment.settings, self.monotonic()
        deadline = Deadline(lambda: min(self.left(), FOR_THE_BACKEND - (self.monotonic() - began)))
        session = open_session(settings.server_url, 1)
        api = BackendApi(session, settings.server_url, settings.agent_id, self._token, deadline)
        return BackendProbe(api, self.clock)

    @property
    def machines(self) -> Ec2Machines:
        """EC2."""
        return self.environment.machines

    @cached_property
    def authorizations(self) -> AuthorizationMessages:
        """STS."""
        client = self.environment.client
        return AuthorizationMessages(lambda: client("sts", read_timeout=READ_TIMEOUT))

    @cached_property
    def table(self) -> TableProbe:
        """The idempotency table."""
        return TableProbe(
            lambda: self.environment.dynamodb, self.environment.settings.idempotency_table
        )

    @cached_property
    def _token(self) -> ClientToken:
        """What the environment has kept is passed over: SSM may have another by now, or none."""
        settings = self.environment.settings
        return ClientToken(
            settings.client_token, settings.token_parameter(settings.agent_id), self._provider
        )

    def _provider(self) -> SSMProvider:
        from aws_lambda_powertools.utilities.parameters import SSMProvider

        return SSMProvider(boto3_client=self.environment.client("ssm", read_timeout=READ_TIMEOUT))


_UNUSED = {
    "AGENT_ID": "-",
    "SERVER_URL": "https://unused",
    "CLIENT_TOKEN": "-",
    "IDEMPOTENCY_TABLE": "-",
}


def surroundings_without_settings(region: str, function_name: str) -> DoctorSurroundings:
    """What can be examined where the settings are bad: the region is all that the clients need."""
    settings = Settings.read({**_UNUSED, "AWS_REGION": region}, {})
    return DoctorSurroundings(Environment(settings), function_name)
