"""What outlives a run, and what is made only when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from handler.settings import Settings
from handler.wiring import Environment, RunOutside, environment
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

VARIABLES = {
    "AWS_REGION": "us-east-1",
    "AGENT_ID": "agent-1",
    "SERVER_URL": "https://backend.example",
    "CLIENT_TOKEN": "s3cret",
    "IDEMPOTENCY_TABLE": "reports",
}


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


def settings(**variables: str) -> Settings:
    return Settings.read(VARIABLES | variables, {})


def run(kept: Environment) -> RunOutside:
    return RunOutside(kept, FakeClock().deadline(), cast("LambdaContext", None))


def test_the_same_settings_share_an_environment() -> None:
    assert environment(settings(), {}) is environment(settings(), {})
    assert environment(settings(), {}) is not environment(settings(AGENT_ID="other"), {})


def test_another_endpoint_is_another_environment() -> None:
    first = environment(settings(), {"AWS_ENDPOINT_URL_EC2": "http://127.0.0.1:1"})
    assert environment(settings(), {"AWS_ENDPOINT_URL_EC2": "http://127.0.0.1:2"}) is not first


def test_clients_outlive_a_run_and_what_knows_the_run_s_time_does_not() -> None:
    kept = Environment(settings())
    first, second = run(kept), run(kept)
    assert first.machines is second.machines
    assert first.cancelled is second.cancelled
    assert first.backend is not second.backend
    assert first.backend.session is second.backend.session


def test_what_destroys_is_sent_once_within_short_limits() -> None:
    """botocore's own second try would not be counted, and hide a first that was carried out."""
    machines = Environment(settings()).machines
    for client in (machines.ec2, machines.autoscaling()):
        config: Any = client.meta.config
        assert config.retries == {"mode": "standard", "total_max_attempts": 1}
        assert (config.connect_timeout, config.read_timeout) == (3, 10)


def test_the_auto_scaling_client_is_made_once() -> None:
    machines = Environment(settings()).machines
    assert machines.autoscaling() is machines.autoscaling()


def test_the_cloudtrail_client_is_made_once() -> None:
    history = run(Environment(settings())).history
    assert history.client() is history.client()


def test_what_the_trail_does_not_know_is_remembered_over_runs() -> None:
    """Foreign zombies are listed in every run: 80 of them use up CloudTrail's two a second."""
    kept = Environment(settings())
    assert run(kept).history.unknown is run(kept).history.unknown
