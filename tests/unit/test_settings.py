"""The environment: every variable's default, what it takes, and what it does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from handler.instances.guard import AsgMembers, MissingPolicy
from handler.settings import ENVIRONMENT_VARIABLES, Settings, SettingsError

SRC = Path(__file__).parents[2] / "src"
SECRET_VALUE = "s3cr3t-t0ken"
LEAST = {
    "AWS_REGION": "us-east-1",
    "AGENT_ID": "agent-1",
    "SERVER_URL": "https://backend.example",
    "CLIENT_TOKEN_PARAMETER": "/spot/token",
    "IDEMPOTENCY_TABLE": "reports",
}


def read(event: object = None, /, **variables: str) -> Settings:
    return Settings.read(LEAST | variables, {} if event is None else event)


def refusal(event: object = None, /, **variables: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(event, **variables)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    return str(caught.value)


def test_the_variables_are_the_contract_s() -> None:
    """Contract section 2, "Environment", and the names beyond it."""
    contract = {
        "AGENT_ID", "SERVER_URL", "CLIENT_TOKEN_PARAMETER", "CLIENT_TOKEN",
        "AUTO_TERMINATE_ENABLED", "DRY_RUN", "CONFIRM_TERMINATION", "REQUIRED_TAGS", "PROTECT_TAG",
        "MISSING_INSTANCE_POLICY", "MAX_TERMINATIONS_PER_RUN", "MAX_FLEET_PERCENT",
        "BACKEND_CONCURRENCY", "IDEMPOTENCY_TABLE", "IDEMPOTENCY_WINDOW_SECONDS",
        "CLEANUP_SNAPSHOTS_OLDER_THAN_DAYS", "CLEANUP_AMIS_OLDER_THAN_DAYS",
        "POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL",
        "ASG_MEMBERS", "REQUIRE_RUNNING_PEER", "STUCK_AFTER_SECONDS",
    }  # fmt: skip
    assert contract <= ENVIRONMENT_VARIABLES


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("region", "us-east-1"),
        ("agent_id", "agent-1"),
        ("server_url", "https://backend.example"),
        ("client_token", None),
        ("client_token_parameter", "/spot/token"),
        ("auto_terminate_enabled", True),
        ("dry_run", False),
        ("confirm_termination", False),
        ("required_tags", (("ManagedBy", "SpotOptimizer"),)),
        ("protect_tag", "DoNotTerminate"),
        ("missing_instance_policy", MissingPolicy.REPORT_TERMINATED),
        ("max_terminations_per_run", 500),
        ("max_fleet_percent", 100),
        ("asg_members", AsgMembers.REFUSE),
        ("require_running_peer", False),
        ("stuck_after_seconds", 900),
        ("backend_concurrency", 8),
        ("idempotency_table", "reports"),
        ("idempotency_window_seconds", 3600),
        ("snapshots_older_than_days", 7),
        ("amis_older_than_days", 30),
        ("service_name", "spot-cleanup"),
        ("metrics_namespace", "SpotOptimizer"),
        ("log_level", "INFO"),
    ],
)
def test_the_least_environment_gives_the_contract_s_defaults(field: str, value: object) -> None:
    assert getattr(read(), field) == value


GOOD = [
    ("AGENT_ID", "a/b?c", "agent_id", "a/b?c"),
    ("SERVER_URL", "https://b.example/base/", "server_url", "https://b.example/base"),
    ("SERVER_URL", "https://b.example:8443", "server_url", "https://b.example:8443"),
    ("SERVER_URL", "http://127.0.0.1:5000", "server_url", "http://127.0.0.1:5000"),
    ("SERVER_URL", "http://127.9.9.9", "server_url", "http://127.9.9.9"),
    ("SERVER_URL", "http://[::1]:5000", "server_url", "http://[::1]:5000"),
    ("SERVER_URL", "http://localhost:5000/", "server_url", "http://localhost:5000"),
    ("CLIENT_TOKEN", SECRET_VALUE, "client_token", SECRET_VALUE),
    ("REQUIRED_TAGS", "", "required_tags", ()),
    ("REQUIRED_TAGS", "a=b", "required_tags", (("a", "b"),)),
    ("REQUIRED_TAGS", " a = b , c=d=e,", "required_tags", (("a", "b"), ("c", "d=e"))),
    ("REQUIRED_TAGS", "a=", "required_tags", (("a", ""),)),
    ("PROTECT_TAG", "Keep", "protect_tag", "Keep"),
    ("MISSING_INSTANCE_POLICY", "ignore", "missing_instance_policy", MissingPolicy.IGNORE),
    ("MISSING_INSTANCE_POLICY", "verify", "missing_instance_policy", MissingPolicy.VERIFY),
    ("MAX_TERMINATIONS_PER_RUN", "1", "max_terminations_per_run", 1),
    ("MAX_FLEET_PERCENT", "1", "max_fleet_percent", 1),
    ("ASG_MEMBERS", "terminate_and_shrink", "asg_members", AsgMembers.TERMINATE_AND_SHRINK),
    ("STUCK_AFTER_SECONDS", "60", "stuck_after_seconds", 60),
    ("BACKEND_CONCURRENCY", "1", "backend_concurrency", 1),
    ("BACKEND_CONCURRENCY", "64", "backend_concurrency", 64),
    ("IDEMPOTENCY_TABLE", "other", "idempotency_table", "other"),
    ("SCHEDULE_NAME", "group/name", "schedule_name", "group/name"),
    ("SCHEDULE_NAME", "group/run-{agent_id}", "schedule_name", "group/run-agent-1"),
    ("SCHEDULE_NAME", "", "schedule_name", None),
    ("IDEMPOTENCY_WINDOW_SECONDS", "60", "idempotency_window_seconds", 60),
    ("CLEANUP_SNAPSHOTS_OLDER_THAN_DAYS", "1", "snapshots_older_than_days", 1),
    ("CLEANUP_AMIS_OLDER_THAN_DAYS", "1", "amis_older_than_days", 1),
    ("POWERTOOLS_SERVICE_NAME", "mine", "service_name", "mine"),
    ("POWERTOOLS_METRICS_NAMESPACE", "Mine", "metrics_namespace", "Mine"),
    ("POWERTOOLS_LOG_LEVEL", "debug", "log_level", "DEBUG"),
    *(
        (name, text, name.lower(), value)
        for name in (
            "AUTO_TERMINATE_ENABLED", "DRY_RUN", "CONFIRM_TERMINATION", "REQUIRE_RUNNING_PEER",
        )
        for text, value in (
            ("true", True), ("True", True), ("1", True), ("yes", True),
            ("false", False), ("FALSE", False), ("0", False), ("no", False), ("off", False),
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "field", "value"), GOOD)
def test_a_good_value_is_taken(name: str, text: str, field: str, value: object) -> None:
    assert getattr(read(**{name: text}), field) == value


BAD = [
    ("AGENT_ID", "two words"),
    ("AGENT_ID", "tab\t"),
    ("AGENT_ID", "line\n"),
    ("AGENT_ID", "ä"),
    ("AGENT_ID", "x" * 256),
    ("SERVER_URL", "backend.example"),
    ("SERVER_URL", "http://backend.example"),
    ("SERVER_URL", "http://127.0.0.1.backend.example"),
    ("SERVER_URL", "http://localhost.backend.example"),
    ("SERVER_URL", "http://127.0.0.1@backend.example"),
    ("SERVER_URL", "http://0.0.0.0"),
    ("SERVER_URL", "http://10.0.0.1"),
    ("SERVER_URL", "ftp://backend.example"),
    ("SERVER_URL", "https://"),
    ("SERVER_URL", "https:///path"),
    ("SERVER_URL", "https://[::1"),
    ("SERVER_URL", "https://backend.example:port"),
    ("SERVER_URL", "https://backend.example:70000"),
    ("SERVER_URL", "https://backend.example?q=1"),
    ("SERVER_URL", "https://backend.example#part"),
    ("SERVER_URL", "https://backend example"),
    ("SERVER_URL", "https://user@backend.example"),
    ("CLIENT_TOKEN", "two words"),
    ("CLIENT_TOKEN", "line\n"),
    ("CLIENT_TOKEN", "ü"),
    ("REQUIRED_TAGS", "ManagedBy"),
    ("REQUIRED_TAGS", "=SpotOptimizer"),
    ("REQUIRED_TAGS", "a=b,c"),
    ("REQUIRED_TAGS", "a=b,a=c"),
    ("PROTECT_TAG", "x" * 2049),
    ("MISSING_INSTANCE_POLICY", "Ignore"),
    ("MISSING_INSTANCE_POLICY", "report"),
    ("MAX_TERMINATIONS_PER_RUN", "0"),
    ("MAX_TERMINATIONS_PER_RUN", "-1"),
    ("MAX_TERMINATIONS_PER_RUN", "many"),
    ("MAX_TERMINATIONS_PER_RUN", "1.5"),
    ("MAX_TERMINATIONS_PER_RUN", "9" * 5000),
    ("MAX_FLEET_PERCENT", "0"),
    ("MAX_FLEET_PERCENT", "101"),
    ("MAX_FLEET_PERCENT", "10%"),
    ("ASG_MEMBERS", "shrink"),
    ("STUCK_AFTER_SECONDS", "0"),
    ("BACKEND_CONCURRENCY", "0"),
    ("BACKEND_CONCURRENCY", "65"),
    ("IDEMPOTENCY_WINDOW_SECONDS", "0"),
    ("IDEMPOTENCY_WINDOW_SECONDS", "1h"),
    ("CLEANUP_SNAPSHOTS_OLDER_THAN_DAYS", "0"),
    ("CLEANUP_AMIS_OLDER_THAN_DAYS", "0"),
    ("POWERTOOLS_LOG_LEVEL", "LOUD"),
    ("AUTO_TERMINATE_ENABLED", "maybe"),
    ("AUTO_TERMINATE_ENABLED", " false"),
    ("DRY_RUN", "2"),
    ("CONFIRM_TERMINATION", "si"),
    ("REQUIRE_RUNNING_PEER", "truefalse"),
]


@pytest.mark.parametrize(("name", "text"), BAD)
def test_a_bad_value_is_refused_under_its_variable_s_name(name: str, text: str) -> None:
    said = refusal(**{name: text})
    assert said.startswith(f"1 bad variable(s) in the environment: {name}: ")
    assert "missing" not in said


@pytest.mark.parametrize(
    "name", ["AWS_REGION", "AGENT_ID", "SERVER_URL", "CLIENT_TOKEN_PARAMETER", "IDEMPOTENCY_TABLE"]
)
@pytest.mark.parametrize("given", [None, ""])
def test_a_required_variable_that_is_missing_or_empty_is_named(
    name: str, given: str | None
) -> None:
    environment = {k: v for k, v in LEAST.items() if k != name}
    if given is not None:
        environment[name] = given
    with pytest.raises(SettingsError, match=rf"^1 bad variable\(s\).*: {name}: missing$"):
        Settings.read(environment, {})


@pytest.mark.parametrize("name", sorted(ENVIRONMENT_VARIABLES - set(LEAST) - {"REQUIRED_TAGS"}))
def test_an_empty_optional_variable_counts_as_not_set(name: str) -> None:
    assert read(**{name: ""}) == read()


def test_one_error_names_every_bad_variable() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.read(dict(BAD) | {"AWS_REGION": ""}, {})
    said = str(caught.value)
    names = {name for name, _ in BAD} | {"AWS_REGION", "IDEMPOTENCY_TABLE"}
    assert said.startswith(f"{len(names)} bad variable(s)")
    assert all(f"{name}: " in said for name in names)


def test_a_token_makes_the_parameter_unnecessary() -> None:
    environment = {k: v for k, v in LEAST.items() if k != "CLIENT_TOKEN_PARAMETER"}
    assert Settings.read(environment | {"CLIENT_TOKEN": "t"}, {}).client_token == "t"


def test_the_default_region_stands_in_for_the_region() -> None:
    environment = {k: v for k, v in LEAST.items() if k != "AWS_REGION"}
    found = Settings.read(environment | {"AWS_DEFAULT_REGION": "eu-west-1"}, {})
    assert found.region == "eu-west-1"


def test_other_variables_are_not_read() -> None:
    assert read(HOME="/root", agent_id="small letters") == read()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLIENT_TOKEN", f"{SECRET_VALUE} with a space"),
        ("CLIENT_TOKEN", f"{SECRET_VALUE}\udc80"),
        ("SERVER_URL", f"https://user:{SECRET_VALUE}@backend.example"),
        ("SERVER_URL", f"http://user:{SECRET_VALUE}@[bad"),
        ("SERVER_URL", f"https://backend.example?token={SECRET_VALUE}"),
        ("SERVER_URL", f"https://user:{SECRET_VALUE}@backend.example:port"),
        ("SERVER_URL", f"user:{SECRET_VALUE}"),
    ],
)
def test_no_error_holds_a_secret(name: str, value: str) -> None:
    said = refusal(**{name: value})
    assert name in said
    assert SECRET_VALUE not in said


def test_a_good_token_is_not_told_beside_another_variable_s_error() -> None:
    assert SECRET_VALUE not in refusal(CLIENT_TOKEN=SECRET_VALUE, MAX_FLEET_PERCENT="x")


def test_the_settings_representation_does_not_hold_the_token() -> None:
    settings = read(CLIENT_TOKEN=SECRET_VALUE)
    assert SECRET_VALUE not in repr(settings)
    assert SECRET_VALUE not in str(settings)


def test_the_event_s_agent_stands_in() -> None:
    assert read({"agent_id": "other"}).agent_id == "other"
    environment = {k: v for k, v in LEAST.items() if k != "AGENT_ID"}
    assert Settings.read(environment, {"agent_id": "other"}).agent_id == "other"


def test_other_keys_of_the_event_are_ignored() -> None:
    event = {"source": "aws.scheduler", "AGENT_ID": "x", "dry_run": True, "SERVER_URL": "x"}
    assert read(event) == read()


@pytest.mark.parametrize(
    "agent", [None, "", 5, True, ["a"], {"a": 1}, "two words", "a\n", "\ud800"]
)
def test_a_bad_agent_in_the_event_is_an_error_and_not_the_environment_s_agent(agent: Any) -> None:
    assert "AGENT_ID: " in refusal({"agent_id": agent})


@pytest.mark.parametrize("event", [[], "text", 5, 1.5, True])
def test_an_event_that_is_no_object_is_refused(event: object) -> None:
    with pytest.raises(SettingsError, match="the event must be a JSON object"):
        Settings.read(LEAST, event)


def test_an_event_of_nothing_is_refused() -> None:
    with pytest.raises(SettingsError, match="not NoneType"):
        Settings.read(LEAST, None)


def test_the_token_s_parameter_may_name_the_agent() -> None:
    settings = read({"agent_id": "b"}, CLIENT_TOKEN_PARAMETER="/spot/{agent_id}/token")
    assert settings.token_parameter == "/spot/b/token"


def test_so_may_the_schedule_s_name_where_the_scheduler_s_alphabet_holds() -> None:
    settings = read({"agent_id": "a:b@c_d.e"}, SCHEDULE_NAME="group/run-{agent_id}")
    assert settings.schedule_name == "group/run-a-b-c_d.e"


def test_settings_are_values() -> None:
    """They are the key under which an execution environment keeps its clients."""
    assert hash(read()) == hash(read())
    assert read() != read(AGENT_ID="other")


@pytest.mark.parametrize("text", [",", " ", " , ,"])
def test_only_an_empty_value_switches_the_required_tags_off(text: str) -> None:
    """Guards fail closed (style.md 4): what is no list of tags must not mean "no check"."""
    refusal(REQUIRED_TAGS=text)


def test_a_blank_protect_tag_is_refused() -> None:
    refusal(PROTECT_TAG=" ")


def test_a_window_beyond_the_calendar_is_refused() -> None:
    refusal(IDEMPOTENCY_WINDOW_SECONDS=str(10**12))


@pytest.mark.parametrize("url", ["https://backend.example?", "https://backend.example#"])
def test_a_url_that_ends_in_an_empty_query_is_refused(url: str) -> None:
    refusal(SERVER_URL=url)


def test_a_bad_log_level_does_not_break_the_import() -> None:
    """Contract section 2: "one error that names every bad variable", at the first event."""
    done = subprocess.run(
        [sys.executable, "-c", "import handler.termination"],
        env={"PYTHONPATH": str(SRC), "POWERTOOLS_LOG_LEVEL": "LOUD"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
