"""The environment, read into one frozen type (contract section 2, "Environment")."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from handler.instances.guard import AsgMembers, MissingPolicy


class SettingsError(Exception):
    """The environment, or the event, cannot be worked with; names every bad variable."""


Tags = tuple[tuple[str, str], ...]


def _tags(text: object) -> object:
    """`key=value,...` as pairs; empty means no check."""
    if not isinstance(text, str):
        return text
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    tags = [(key.strip(), value.strip()) for key, _, value in pairs]
    if text and not pairs:
        raise ValueError("it names no tag; to check none, leave it empty")
    if any(not sign or not key for (_, sign, _), (key, _) in zip(pairs, tags, strict=True)):
        raise ValueError("write it as key=value,key=value")
    if len({key for key, _ in tags}) < len(tags):
        raise ValueError("it names a key twice")
    return tuple(tags)


def _server_url(url: str) -> str:
    """The base URL without a slash at its end; the token goes over https, or stays on the host."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        raise ValueError("it is no URL") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError("write it as https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it must not hold a user name or password")
    if re.search(r"[?#\s]", url):
        raise ValueError("it must have no query, fragment or space")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ValueError("use https: plain http is for a loopback host only")
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


Text = Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^\S(?:.*\S)?$")]
Count = Annotated[int, Field(ge=1)]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
SECRET = frozenset({"CLIENT_TOKEN", "SERVER_URL"})
"""Variables whose value no error shows; a URL may hold a password."""


class Settings(BaseModel):
    """Every variable that the function reads, under the contract's names.

    An empty variable counts as not set, except `REQUIRED_TAGS`, where it means "no check".
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    region: Annotated[str, Field(alias="AWS_REGION", min_length=1)]
    agent_id: Annotated[
        str, Field(alias="AGENT_ID", min_length=1, max_length=255, pattern=r"^[!-~]+$")
    ]
    server_url: Annotated[str, AfterValidator(_server_url), Field(alias="SERVER_URL")]
    client_token: Annotated[
        str | None, Field(alias="CLIENT_TOKEN", pattern=r"^[!-~]+$", repr=False)
    ] = None
    client_token_parameter: Annotated[
        str | None, Field(alias="CLIENT_TOKEN_PARAMETER", min_length=1)
    ] = None
    auto_terminate_enabled: Annotated[bool, Field(alias="AUTO_TERMINATE_ENABLED")] = True
    dry_run: Annotated[bool, Field(alias="DRY_RUN")] = False
    confirm_termination: Annotated[bool, Field(alias="CONFIRM_TERMINATION")] = False
    required_tags: Annotated[Tags, BeforeValidator(_tags), Field(alias="REQUIRED_TAGS")] = (
        ("ManagedBy", "SpotOptimizer"),
    )
    protect_tag: Annotated[Text, Field(alias="PROTECT_TAG")] = "DoNotTerminate"
    missing_instance_policy: Annotated[MissingPolicy, Field(alias="MISSING_INSTANCE_POLICY")] = (
        MissingPolicy.REPORT_TERMINATED
    )
    max_terminations_per_run: Annotated[Count, Field(alias="MAX_TERMINATIONS_PER_RUN")] = 500
    max_fleet_percent: Annotated[int, Field(alias="MAX_FLEET_PERCENT", ge=1, le=100)] = 100
    asg_members: Annotated[AsgMembers, Field(alias="ASG_MEMBERS")] = AsgMembers.REFUSE
    require_running_peer: Annotated[bool, Field(alias="REQUIRE_RUNNING_PEER")] = False
    stuck_after_seconds: Annotated[Count, Field(alias="STUCK_AFTER_SECONDS")] = 900
    backend_concurrency: Annotated[int, Field(alias="BACKEND_CONCURRENCY", ge=1, le=64)] = 8
    idempotency_table: Annotated[Text, Field(alias="IDEMPOTENCY_TABLE")]
    idempotency_window_seconds: Annotated[
        int, Field(alias="IDEMPOTENCY_WINDOW_SECONDS", ge=1, le=366 * 86400)
    ] = 3600
    snapshots_older_than_days: Annotated[
        Count, Field(alias="CLEANUP_SNAPSHOTS_OLDER_THAN_DAYS", le=3650)
    ] = 7
    amis_older_than_days: Annotated[Count, Field(alias="CLEANUP_AMIS_OLDER_THAN_DAYS", le=3650)] = (
        30
    )
    keep_latest_amis: Annotated[int, Field(alias="KEEP_LATEST_AMIS", ge=0)] = 1
    keep_latest_snapshots: Annotated[int, Field(alias="KEEP_LATEST_SNAPSHOTS", ge=0)] = 1
    max_deletions_per_run: Annotated[Count, Field(alias="MAX_DELETIONS_PER_RUN", le=1000)] = 50
    schedule_pattern: Annotated[
        str | None, Field(alias="SCHEDULE_NAME", pattern=r"^[^/\s]{1,64}/[^/\s]{1,64}$")
    ] = None
    service_name: Annotated[Text, Field(alias="POWERTOOLS_SERVICE_NAME")] = "spot-cleanup"
    metrics_namespace: Annotated[Text, Field(alias="POWERTOOLS_METRICS_NAMESPACE")] = (
        "SpotOptimizer"
    )
    log_level: Annotated[
        LogLevel,
        BeforeValidator(lambda level: level.upper() if isinstance(level, str) else level),
        Field(alias="POWERTOOLS_LOG_LEVEL"),
    ] = "INFO"

    @property
    def token_parameter(self) -> str:
        """The SSM parameter's name, with `{agent_id}` in it filled in."""
        return (self.client_token_parameter or "").replace("{agent_id}", self.agent_id)

    @property
    def schedule_name(self) -> str | None:
        """The schedule's `group/name`, filled in likewise."""
        return schedule_of(self.schedule_pattern or "", self.agent_id) or None

    @classmethod
    def read(cls, environment: Mapping[str, str], event: object) -> Settings:
        """Read the environment; an event's `agent_id` stands in for `AGENT_ID`.

        Raises:
            SettingsError: names every variable that is missing or bad, and what is wrong with it.
        """
        if not isinstance(event, dict):
            raise SettingsError(f"the event must be a JSON object, not {type(event).__name__}")
        given: dict[str, Any] = {
            name: value
            for name in ENVIRONMENT_VARIABLES
            if (value := environment.get(name)) or (name == "REQUIRED_TAGS" and value is not None)
        }
        given.setdefault("AWS_REGION", environment.get("AWS_DEFAULT_REGION") or "")
        if "CLIENT_TOKEN" not in given:
            given.setdefault("CLIENT_TOKEN_PARAMETER", "")
        if "agent_id" in event:
            given["AGENT_ID"] = event["agent_id"]
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise SettingsError(_say(error, given)) from None


def schedule_of(pattern: str, agent_id: str) -> str:
    """A schedule's name: what the scheduler does not allow in it is a hyphen, as in the template."""
    return pattern.replace("{agent_id}", re.sub(r"[^0-9A-Za-z_.-]", "-", agent_id))


def _say(error: ValidationError, given: Mapping[str, object]) -> str:
    said = []
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        name = str(fault["loc"][0])
        missing = not given.get(name, "")
        wrong = "missing" if missing else fault["msg"].removeprefix("Value error, ")
        shown = "" if missing or name in SECRET else f" (it is {given[name]!r})"
        said.append(f"{name}: {wrong}{shown}")
    return f"{len(said)} bad variable(s) in the environment: {'; '.join(said)}"


ENVIRONMENT_VARIABLES = frozenset(
    str(field.alias) for field in Settings.model_fields.values() if field.alias
)
"""Every variable that the function reads for itself; the AWS SDK reads its own."""
