"""The environment: every variable's default, what it takes, and what it does not; the event is in test_settings_event."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from handler.instances.model import Agent, UntaggedReplicas
from handler.instances.rules import AsgMembers, MissingPolicy
from handler.settings import (
    ENVIRONMENT_VARIABLES,
    SECRET,
    VARIABLES,
    EventError,
    Settings,
    SettingsError,
)

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
    return str(caught.value)


def booleans(name: str, field: str) -> dict[tuple[str, str], tuple[str, object]]:
    taken = {
        True: ("true", "True", "TRUE", "1", "yes", "on", "ON"),
        False: ("false", "FALSE", "0", "no", "off", "Off"),
    }
    return {(name, text): (field, value) for value, texts in taken.items() for text in texts}


DEFAULTS = {
    "AWS_REGION": ("region", "us-east-1"),
    "AGENT_ID": ("agents", (Agent("agent-1"),)),
    "SERVER_URL": ("server_url", "https://backend.example"),
    "CLIENT_TOKEN_PARAMETER": ("token_parameter_pattern", "/spot/token"),
    "CLIENT_TOKEN": ("client_token", None),
    "BACKEND_CA_PARAMETER": ("backend_ca_parameter", None),
    "AUTO_TERMINATE_ENABLED": ("auto_terminate_enabled", True),
    "DRY_RUN": ("dry_run", False),
    "CONFIRM_TERMINATION": ("confirm_termination", False),
    "REQUIRED_TAGS": ("required_tags", (("ManagedBy", "SpotOptimizer"),)),
    "UNTAGGED_REPLICAS": ("untagged_replicas", UntaggedReplicas.REFUSE),
    "PROTECT_TAG": ("protect_tag", "DoNotTerminate"),
    "MISSING_INSTANCE_POLICY": ("missing_instance_policy", MissingPolicy.REPORT_TERMINATED),
    "MAX_TERMINATIONS_PER_RUN": ("max_terminations_per_run", 500),
    "MAX_FLEET_PERCENT": ("max_fleet_percent", 100),
    "ASG_MEMBERS": ("asg_members", AsgMembers.REFUSE),
    "REQUIRE_RUNNING_PEER": ("require_running_peer", False),
    "STUCK_AFTER_SECONDS": ("stuck_after_seconds", 900),
    "OVERDUE_AFTER_SECONDS": ("overdue_after_seconds", 3600),
    "BACKEND_CONCURRENCY": ("backend_concurrency", 8),
    "IDEMPOTENCY_TABLE": ("idempotency_table", "reports"),
    "IDEMPOTENCY_WINDOW_SECONDS": ("idempotency_window_seconds", 86400),
    "EVENT_BUS_NAME": ("event_bus_name", None),
    "CLEANUP_SNAPSHOTS_OLDER_THAN_DAYS": ("snapshots_older_than_days", 7),
    "CLEANUP_AMIS_OLDER_THAN_DAYS": ("amis_older_than_days", 30),
    "KEEP_LATEST_AMIS": ("keep_latest_amis", 1),
    "KEEP_LATEST_SNAPSHOTS": ("keep_latest_snapshots", 1),
    "MAX_DELETIONS_PER_RUN": ("max_deletions_per_run", 50),
    "SCHEDULE_NAME": ("schedule_name", None),
    "POWERTOOLS_SERVICE_NAME": ("service_name", "spot-cleanup"),
    "POWERTOOLS_METRICS_NAMESPACE": ("metrics_namespace", "SpotOptimizer"),
    "POWERTOOLS_LOG_LEVEL": ("log_level", "INFO"),
}
"""Contract section 2, "Environment", and the names beyond it."""


def test_the_variables_are_these() -> None:
    assert set(DEFAULTS) == ENVIRONMENT_VARIABLES


def test_the_least_environment_gives_the_contract_s_defaults() -> None:
    for field, value in DEFAULTS.values():
        assert getattr(read(), field) == value, field


URLS = {
    "https://b.example/base/": "https://b.example/base",
    "https://b.example:8443": "https://b.example:8443",
    "https://B.Example/Base": "https://b.example/Base",
    "HTTPS://b.example": "https://b.example",
    "https://b.example:": "https://b.example",
    "https://[2001:db8::1]:8443/x": "https://[2001:db8::1]:8443/x",
    "https://host.docker.internal": "https://host.docker.internal",
    "http://127.0.0.1:5000": "http://127.0.0.1:5000",
    "HTTP://127.0.0.1:5000": "http://127.0.0.1:5000",
    "http://127.9.9.9": "http://127.9.9.9",
    "http://[::1]:5000": "http://[::1]:5000",
    "http://localhost:5000/": "http://localhost:5000",
    "http://LocalHost": "http://localhost",
}
GOOD: dict[tuple[str, str], tuple[str, object]] = {
    ("AGENT_ID", "a.b_c-D9"): ("agents", (Agent("a.b_c-D9"),)),
    ("AGENT_ID", "x" * 64): ("agents", (Agent("x" * 64),)),
    ("AGENT_ID", " a = web app , b,c=x=y"): (
        "agents",
        (Agent("a", "web app"), Agent("b"), Agent("c", "x=y")),
    ),
    ("AGENT_ID", "a=ü" + "x" * 254): ("agents", (Agent("a", "ü" + "x" * 254),)),
    ("AGENT_ID", "a=b,b=a"): ("agents", (Agent("a", "b"), Agent("b", "a"))),
    **{("SERVER_URL", text): ("server_url", url) for text, url in URLS.items()},
    ("CLIENT_TOKEN", SECRET_VALUE): ("client_token", SECRET_VALUE),
    ("CLIENT_TOKEN_PARAMETER", "/s/{agent_id}/t"): ("token_parameter_pattern", "/s/{agent_id}/t"),
    ("BACKEND_CA_PARAMETER", "/spot/ca"): ("backend_ca_parameter", "/spot/ca"),
    ("REQUIRED_TAGS", ""): ("required_tags", ()),
    ("REQUIRED_TAGS", "a=b"): ("required_tags", (("a", "b"),)),
    ("REQUIRED_TAGS", " a = b , c=d=e,"): ("required_tags", (("a", "b"), ("c", "d=e"))),
    ("REQUIRED_TAGS", "a="): ("required_tags", (("a", ""),)),
    ("UNTAGGED_REPLICAS", "terminate"): ("untagged_replicas", UntaggedReplicas.TERMINATE),
    ("PROTECT_TAG", "Keep it"): ("protect_tag", "Keep it"),
    ("MISSING_INSTANCE_POLICY", "ignore"): ("missing_instance_policy", MissingPolicy.IGNORE),
    ("MISSING_INSTANCE_POLICY", "verify"): ("missing_instance_policy", MissingPolicy.VERIFY),
    ("MAX_TERMINATIONS_PER_RUN", "1"): ("max_terminations_per_run", 1),
    ("MAX_FLEET_PERCENT", "1"): ("max_fleet_percent", 1),
    ("ASG_MEMBERS", "terminate_and_shrink"): ("asg_members", AsgMembers.TERMINATE_AND_SHRINK),
    ("STUCK_AFTER_SECONDS", "60"): ("stuck_after_seconds", 60),
    ("OVERDUE_AFTER_SECONDS", "60"): ("overdue_after_seconds", 60),
    ("BACKEND_CONCURRENCY", "1"): ("backend_concurrency", 1),
    ("BACKEND_CONCURRENCY", "64"): ("backend_concurrency", 64),
    ("IDEMPOTENCY_TABLE", "other"): ("idempotency_table", "other"),
    ("IDEMPOTENCY_WINDOW_SECONDS", "60"): ("idempotency_window_seconds", 60),
    ("EVENT_BUS_NAME", "default"): ("event_bus_name", "default"),
    ("CLEANUP_SNAPSHOTS_OLDER_THAN_DAYS", "1"): ("snapshots_older_than_days", 1),
    ("CLEANUP_AMIS_OLDER_THAN_DAYS", "3650"): ("amis_older_than_days", 3650),
    ("KEEP_LATEST_AMIS", "0"): ("keep_latest_amis", 0),
    ("KEEP_LATEST_SNAPSHOTS", "0"): ("keep_latest_snapshots", 0),
    ("MAX_DELETIONS_PER_RUN", "1000"): ("max_deletions_per_run", 1000),
    ("SCHEDULE_NAME", "group/name"): ("schedule_name", "group/name"),
    ("POWERTOOLS_SERVICE_NAME", "mine"): ("service_name", "mine"),
    ("POWERTOOLS_METRICS_NAMESPACE", "Mine"): ("metrics_namespace", "Mine"),
    ("POWERTOOLS_LOG_LEVEL", "debug"): ("log_level", "DEBUG"),
    **booleans("AUTO_TERMINATE_ENABLED", "auto_terminate_enabled"),
    **booleans("DRY_RUN", "dry_run"),
    **booleans("CONFIRM_TERMINATION", "confirm_termination"),
    **booleans("REQUIRE_RUNNING_PEER", "require_running_peer"),
}


@pytest.mark.parametrize(("name", "text"), GOOD)
def test_a_good_value_is_taken(name: str, text: str) -> None:
    field, value = GOOD[name, text]
    assert getattr(read(**{name: text}), field) == value


BAD = {
    "AWS_REGION": ["us east"],
    "AGENT_ID": [
        *("two words", "a\tb", "a\nb", "ä", "x" * 65, "team:1", "a/b", "{agent_id}", " ", ","),
        *("a,,b", "a,", "=web", "a=", "a= ", "a=x,b=", "a=x\x00", "a=\udc80", f"a={'x' * 256}"),
        *("a,a", "a=x,a=y", "a, a", "a=x,b=x", "a=x,b= x"),
    ],
    "SERVER_URL": [
        *("backend.example", "ftp://backend.example", "https://", "https:///path", "https://[::1"),
        *("https://..", "https://.", "https://a..b", "https://-a", f"https://{'a' * 64}.example"),
        *("https://[::1%25lo]", "https://[v1.a]", "https://bäckend.example", "https://a\\b"),
        *("http://backend.example", "HTTP://backend.example", "http://host.docker.internal"),
        *("http://127.0.0.1.backend.example", "http://localhost.backend.example"),
        *("http://127.0.0.1@backend.example", "http://0.0.0.0", "http://10.0.0.1", "http://[::2]"),
        *("https://backend.example:port", "https://backend.example:70000", "https://b.example:0"),
        *("https://backend.example?q=1", "https://backend.example#part", "https://b.example?"),
        *("https://b.example#", "https://backend example", "https://b.exam\tple", " https://b.c"),
        *(
            "https://user@backend.example",
            "https://user:pass@backend.example",
            "https://user:12/3@b.c",
            "https://@b.c",
        ),
    ],
    "CLIENT_TOKEN_PARAMETER": ["/spot/{agent}/token", "/spot/token ", "/spot/{AGENT_ID}", "a+b="],
    "CLIENT_TOKEN": ["two words", "line\n", "ü"],
    "BACKEND_CA_PARAMETER": ["/spot/{agent_id}/ca", "a b"],
    "AUTO_TERMINATE_ENABLED": ["maybe", " false", "t", "None"],
    "DRY_RUN": ["2", "wahr"],
    "CONFIRM_TERMINATION": ["si"],
    "REQUIRED_TAGS": [
        *("ManagedBy", "=SpotOptimizer", "a=b,c", "a=b,a=c", ",", " ", " , ,", "a=\n"),
        *("x" * 129 + "=a", "a=" + "x" * 257),
    ],
    "UNTAGGED_REPLICAS": ["Terminate", "ignore"],
    "PROTECT_TAG": ["x" * 129, " ", "Keep\n", " Keep"],
    "MISSING_INSTANCE_POLICY": ["Ignore", "report"],
    "MAX_TERMINATIONS_PER_RUN": ["0", "-1", "+1", "many", "1.5", "1_0", "٣", "²", "9" * 5000],
    "MAX_FLEET_PERCENT": ["0", "101", "10%"],
    "ASG_MEMBERS": ["shrink"],
    "REQUIRE_RUNNING_PEER": ["truefalse"],
    "STUCK_AFTER_SECONDS": ["0"],
    "OVERDUE_AFTER_SECONDS": ["0", "1h"],
    "BACKEND_CONCURRENCY": ["0", "65"],
    "IDEMPOTENCY_TABLE": ["a table"],
    "IDEMPOTENCY_WINDOW_SECONDS": ["0", "1h", str(10**12)],
    "EVENT_BUS_NAME": ["a bus"],
    "CLEANUP_SNAPSHOTS_OLDER_THAN_DAYS": ["0", "3651"],
    "CLEANUP_AMIS_OLDER_THAN_DAYS": ["0", "3651"],
    "KEEP_LATEST_AMIS": ["-1"],
    "KEEP_LATEST_SNAPSHOTS": ["-1"],
    "MAX_DELETIONS_PER_RUN": ["0", "1001"],
    "SCHEDULE_NAME": ["name", "group/", "a/b/c", "group/run-{agent_id}", "group/two words"],
    "POWERTOOLS_SERVICE_NAME": ["\n", "x" * 1025],
    "POWERTOOLS_METRICS_NAMESPACE": ["\n", "x" * 256],
    "POWERTOOLS_LOG_LEVEL": ["LOUD", "WARN"],
}


def test_every_variable_has_bad_values_here() -> None:
    assert set(BAD) == ENVIRONMENT_VARIABLES


@pytest.mark.parametrize(("name", "text"), [(name, x) for name in BAD for x in BAD[name]])
def test_a_bad_value_is_refused_under_its_variable_s_name(name: str, text: str) -> None:
    said = refusal(**{name: text})
    assert said.startswith(f"1 bad variable(s) in the environment: {name}: ")
    assert "missing" not in said
    assert (f" (it is {text!r})" in said) == (name not in SECRET and len(repr(text)) <= 300)
    assert len(said) < 600


@pytest.mark.parametrize("name", LEAST)
@pytest.mark.parametrize("given", [None, ""])
def test_a_required_variable_that_is_missing_or_empty_is_named(
    name: str, given: str | None
) -> None:
    environment = {k: v for k, v in LEAST.items() if k != name}
    if given is not None:
        environment[name] = given
    with pytest.raises(SettingsError, match=rf"^1 bad variable\(s\).*: {name}: missing$"):
        Settings.read(environment, {})


def test_an_empty_optional_variable_and_a_default_written_out_change_nothing() -> None:
    for name in ENVIRONMENT_VARIABLES - set(LEAST) - {"REQUIRED_TAGS"}:
        assert read(**{name: ""}) == read(), name
    for name, (_, _, default) in VARIABLES.items():
        assert not default or read(**{name: default}) == read(), name


def test_one_error_names_every_bad_variable_and_every_bad_key() -> None:
    bad = {name: texts[0] for name, texts in BAD.items()}
    event = {"agent_id": None, "dry_run": 1, "doctor": "yes", "detail": {"a": 1}, "Doctor": True}
    with pytest.raises(EventError) as caught:
        Settings.read(bad, event)
    said = str(caught.value)
    assert said.startswith(f"{len(bad)} bad variable(s) in the environment: ")
    assert all(f"{name}: " in said for name in bad)
    assert "; 5 bad key(s) in the event: " in said
    assert all(f"{key}: " in said for key in ("agent_id", "dry_run", "doctor", "'Doctor'"))


def test_each_of_several_bad_agents_is_named_by_its_place() -> None:
    said = refusal(AGENT_ID="a,team:1,b=,a,c=x,d=x")
    for fault in ("entry 2 has no id", "entry 3 has no logical id", "entry 4 names an id again"):
        assert fault in said
    assert "entry 6 names a logical id again" in said


def test_a_token_makes_the_parameter_unnecessary() -> None:
    environment = {k: v for k, v in LEAST.items() if k != "CLIENT_TOKEN_PARAMETER"}
    settings = Settings.read(environment | {"CLIENT_TOKEN": "t"}, {})
    assert settings.client_token == "t"
    assert settings.token_parameter("agent-1") == ""


def test_the_default_region_stands_in_for_the_region() -> None:
    environment = {k: v for k, v in LEAST.items() if k != "AWS_REGION"}
    found = Settings.read(environment | {"AWS_DEFAULT_REGION": "eu-west-1"}, {})
    assert found.region == "eu-west-1"


def test_other_variables_are_not_read() -> None:
    assert read(HOME="/root", agent_id="small letters") == read()


@pytest.mark.parametrize("url", ["http://host.docker.internal:5000", "HTTP://HOST.docker.internal"])
def test_plain_http_to_sam_s_host_is_for_sam_local_alone(url: str) -> None:
    """Contract section 2: `host.docker.internal` while `AWS_SAM_LOCAL` is `true`."""
    assert read(SERVER_URL=url, AWS_SAM_LOCAL="true").server_url == url.lower()
    for other in ("", "false", "1"):
        assert "SERVER_URL: use https" in refusal(SERVER_URL=url, AWS_SAM_LOCAL=other)
    elsewhere = "http://host.docker.internal.example"
    assert "SERVER_URL: use https" in refusal(SERVER_URL=elsewhere, AWS_SAM_LOCAL="true")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLIENT_TOKEN", f"{SECRET_VALUE} with a space"),
        ("CLIENT_TOKEN", f"{SECRET_VALUE}\udc80"),
        ("CLIENT_TOKEN_PARAMETER", f"{SECRET_VALUE}+the/token/itself="),
        ("SERVER_URL", f"https://user:{SECRET_VALUE}@backend.example"),
        ("SERVER_URL", f"https://user:/{SECRET_VALUE}@backend.example"),
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


@pytest.mark.parametrize("name", sorted(ENVIRONMENT_VARIABLES - {"CLIENT_TOKEN"}))
def test_a_good_token_is_not_told_where_another_variable_holds_it_by_mistake(name: str) -> None:
    token = SECRET_VALUE + "'\\"
    assert SECRET_VALUE not in refusal(
        **{"CLIENT_TOKEN": token, "MAX_FLEET_PERCENT": "x", name: f"\t{token}"}
    )


def test_the_settings_representation_does_not_hold_the_token() -> None:
    settings = read(CLIENT_TOKEN=SECRET_VALUE)
    assert SECRET_VALUE not in repr(settings)
    assert SECRET_VALUE not in str(settings)


def test_the_token_s_parameter_may_name_the_agent() -> None:
    settings = read(CLIENT_TOKEN_PARAMETER="/spot/{agent_id}/token")
    assert settings.token_parameter("b") == "/spot/b/token"


def test_settings_are_values() -> None:
    """They are the key under which an execution environment keeps its clients."""
    assert hash(read()) == hash(read())
    assert read() != read(AGENT_ID="other")


@pytest.mark.parametrize("module", ["termination", "housekeeping"])
def test_a_bad_log_level_does_not_break_the_import(module: str) -> None:
    """Contract section 2: "one error that names every bad variable", at the first event."""
    done = subprocess.run(
        [sys.executable, "-c", f"import handler.{module}"],
        env={"PYTHONPATH": str(SRC), "POWERTOOLS_LOG_LEVEL": "LOUD"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_settings_load_no_library() -> None:
    """Every library costs start-up, and the settings are read before anything else."""
    loaded = "{name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys, handler.settings; print(sorted({loaded}))"],
        env={"PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "['__main__', 'handler']\n"
