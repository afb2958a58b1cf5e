"""How the function is set up: its environment above all."""

import re
from importlib import import_module

import pytest

from handler.settings import ENVIRONMENT_VARIABLES, Settings
from tests.template.stack import BadParameterError, Stack, source, transformed

# Lambda sets the one; the other is for local runs, a secret that must not stand in a template.
NOT_IN_THE_TEMPLATE = {"AWS_REGION", "CLIENT_TOKEN"}
# Read by the housekeeping function alone: see test_housekeeping.py.
HOUSEKEEPING = {
    "CLEANUP_AMIS_OLDER_THAN_DAYS",
    "CLEANUP_SNAPSHOTS_OLDER_THAN_DAYS",
    "KEEP_LATEST_AMIS",
    "KEEP_LATEST_SNAPSHOTS",
    "MAX_DELETIONS_PER_RUN",
}
TERMINATION = ENVIRONMENT_VARIABLES - NOT_IN_THE_TEMPLATE - HOUSEKEEPING
CONTRACT = {
    "AUTO_TERMINATE_ENABLED": "true",
    "BACKEND_CA_PARAMETER": "",
    "BACKEND_CONCURRENCY": "8",
    "CONFIRM_TERMINATION": "false",
    "DRY_RUN": "false",
    "EVENT_BUS_NAME": "",
    "IDEMPOTENCY_WINDOW_SECONDS": "86400",
    "MAX_FLEET_PERCENT": "100",
    "MAX_TERMINATIONS_PER_RUN": "500",
    "MISSING_INSTANCE_POLICY": "report_terminated",
    "OVERDUE_AFTER_SECONDS": "3600",
    "POWERTOOLS_METRICS_NAMESPACE": "SpotOptimizer",
    "PROTECT_TAG": "DoNotTerminate",
    "REQUIRED_TAGS": "ManagedBy=SpotOptimizer",
    "UNTAGGED_REPLICAS": "refuse",
}
"""Variables with their defaults, as the contract has them."""


def camel(variable: str) -> str:
    return "".join(word.capitalize() for word in variable.split("_"))


def test_the_template_sets_every_variable_that_the_settings_read() -> None:
    environment = Stack.of().environment()
    assert environment.keys() == TERMINATION
    assert {name: environment[name] for name in CONTRACT} == CONTRACT


@pytest.mark.parametrize(("given", "told"), [("", "mine"), ("ours", "ours")])
def test_the_service_is_called_as_the_stack_unless_it_is_told_another_name(
    given: str, told: str
) -> None:
    stack = Stack.of("mine", PowertoolsServiceName=given, HousekeepingEnabled="true")
    for function in ("TerminationFunction", "HousekeepingFunction"):
        assert stack.environment(function)["POWERTOOLS_SERVICE_NAME"] == told


def test_every_variable_has_a_parameter_of_its_name() -> None:
    parameters = source()["Parameters"].keys()
    without = {v for v in Stack.of().environment() if camel(v) not in parameters}
    # Table and schedule are the stack's own; the level is also Lambda's: its parameter has no brand.
    assert without == {"IDEMPOTENCY_TABLE", "SCHEDULE_NAME", "POWERTOOLS_LOG_LEVEL"}


@pytest.mark.parametrize("function", ["TerminationFunction", "HousekeepingFunction"])
def test_a_parameter_reaches_its_variable(function: str) -> None:
    on = Stack.of(HousekeepingEnabled="true").environment(function)
    assert on["IDEMPOTENCY_TABLE"] == "spot-cleanup-IdempotencyTable"
    for variable in on.keys() - {"IDEMPOTENCY_TABLE", "SCHEDULE_NAME"}:
        name = "LogLevel" if variable == "POWERTOOLS_LOG_LEVEL" else camel(variable)
        values = [str(one) for one in source()["Parameters"][name].get("AllowedValues", [])]
        other = {
            "BackendConcurrency": "9",
            "RequiredTags": "ManagedBy=Other,Env=test",
            "EventBusName": "spot/events",
            "BackendCaParameter": "/spot/ca",
            "ServerUrl": "https://other.example.com/base",
        }.get(name, "77")
        value = values[-1] if values else other
        stack = Stack.of(**{"HousekeepingEnabled": "true", name: value})
        assert stack.environment(function)[variable] == value


@pytest.mark.parametrize("function", ["TerminationFunction", "HousekeepingFunction"])
def test_the_code_is_where_the_template_says_and_takes_its_environment(function: str) -> None:
    """That both have the same defaults: test_configuration.py."""
    stack = Stack.of(HousekeepingEnabled="true")
    module, name = stack.properties(function)["Handler"].rsplit(".", 1)
    assert callable(getattr(import_module(module), name))
    environment = stack.environment(function)
    assert environment.keys() <= ENVIRONMENT_VARIABLES
    Settings.read({**environment, "AWS_REGION": "eu-west-1"}, {})


@pytest.mark.parametrize(("given", "reserved"), [("0", None), ("1", "1"), ("3", "3")])
def test_concurrency_is_reserved_only_where_it_is_asked_for(
    given: str, reserved: str | None
) -> None:
    """A new account's limit of 10 is too small to reserve from."""
    function = Stack.of(ReservedConcurrency=given).properties("TerminationFunction")
    assert function.get("ReservedConcurrentExecutions") == reserved
    assert source()["Parameters"]["ReservedConcurrency"]["Default"] == 0


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_function_and_layer_are_of_one_architecture(architecture: str) -> None:
    stack = Stack.of(Architecture=architecture)
    function = stack.properties("TerminationFunction")
    layer = stack.one("AWS::Lambda::LayerVersion")
    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == layer["CompatibleArchitectures"] == [architecture]
    metadata = source()["Resources"]["DependenciesLayer"]["Metadata"]
    assert metadata["BuildArchitecture"] == {"Ref": "Architecture"}


def test_arm64_is_the_default() -> None:
    assert Stack.of().properties("TerminationFunction")["Architectures"] == ["arm64"]


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_lambda_and_powertools_log_at_one_level_to_a_group_with_an_end(level: str) -> None:
    stack = Stack.of(LogLevel=level, LogRetentionDays="30")
    function = stack.properties("TerminationFunction")
    assert function["LoggingConfig"] == {
        "LogFormat": "JSON",
        "ApplicationLogLevel": level,
        "LogGroup": "spot-cleanup-TerminationLogGroup",
    }
    assert stack.environment()["POWERTOOLS_LOG_LEVEL"] == level
    assert stack.properties("TerminationLogGroup")["RetentionInDays"] == "30"


def test_the_audit_trail_cannot_be_switched_off_by_the_log_level() -> None:
    with pytest.raises(BadParameterError):
        Stack.of(LogLevel="ERROR")


def test_the_function_is_in_a_vpc_only_where_subnets_are_given() -> None:
    assert "VpcConfig" not in Stack.of().properties("TerminationFunction")
    inside = Stack.of(VpcSubnetIds="subnet-0a,subnet-0b", VpcSecurityGroupIds="sg-0c")
    assert inside.properties("TerminationFunction")["VpcConfig"] == {
        "SubnetIds": ["subnet-0a", "subnet-0b"],
        "SecurityGroupIds": ["sg-0c"],
    }


@pytest.mark.parametrize(
    ("subnets", "groups", "holds"),
    [("", "", True), ("subnet-0a", "sg-0c", True), ("subnet-0a", "", False), ("", "sg-0c", False)],
)
def test_subnets_and_security_groups_come_together(subnets: str, groups: str, holds: bool) -> None:
    stack = Stack.of(VpcSubnetIds=subnets, VpcSecurityGroupIds=groups)
    assert stack.rule_holds("SubnetsAndSecurityGroupsTogether") is holds


def test_the_table_is_what_powertools_expects() -> None:
    table = Stack.of().one("AWS::DynamoDB::Table")
    assert table["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expiration", "Enabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}


def test_no_secret_is_a_parameter() -> None:
    named = [name for name in transformed()["Parameters"] if re.search("Secret|Password", name)]
    assert not named
    assert "ClientToken" not in transformed()["Parameters"]
